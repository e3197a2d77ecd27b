package catalog

import (
	"maps"
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	for _, test := range []struct {
		words []string
		want  string
	}{
		{nil, ""},
		{[]string{"commit=3f2a"}, "commit=3f2a"},
		{[]string{"url=https://ci/x?a=b&c=1", "commit=3f2a"}, `commit=3f2a url="https://ci/x?a=b&c=1"`},
		{[]string{"empty="}, `empty=""`},
		{[]string{`note=say "hi" twice` + "\n\x1b"}, `note="say \"hi\" twice\n\x1b"`},
		{[]string{"a/b.c-d_e=Zürich"}, "a/b.c-d_e=Zürich"},
	} {
		labels, err := ParseLabels(test.words)
		if err != nil || labels.String() != test.want {
			t.Errorf("%q: got %s, %v, want %s", test.words, labels, err, test.want)
		}
		if again, err := readLabels(labels.String()); err != nil || !maps.Equal(again, labels) {
			t.Errorf("%q: read again: %q, %v", test.words, again, err)
		}
	}
}

func TestLabelsRefused(t *testing.T) {
	many := make([]string, maxLabels+1)
	for i := range many {
		many[i] = strings.Repeat("x", i+1) + "=1"
	}
	long := strings.Repeat("x", maxLabelValue)
	for name, words := range map[string][]string{
		"no value": {"commit"}, "no name": {"=x"}, "a space": {"a b=x"}, "critical": {"!a=x"}, "a digit first": {"1a=x"},
		"a long name": {strings.Repeat("a", 64) + "=x"}, "a long value": {"a=" + long + "x"}, "twice": {"a=1", "a=2"},
		"not UTF-8": {"a=\xff"}, "many": many, "long": {"a=" + long, "b=" + long, "c=" + long, "d=" + long, "e=" + long, "f=" + long, "g=" + long, "h=" + long, "i=" + long},
	} {
		if labels, err := ParseLabels(words); err == nil {
			t.Errorf("%s: got %s, want an error", name, labels)
		}
	}
}
