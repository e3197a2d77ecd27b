package catalog

import (
	"strings"
	"testing"
)

func TestNodeOf(t *testing.T) {
	for name, want := range map[string]string{
		"web-1":                   "web-1",
		"AROAEXAMPLE:i-0abc":      "AROAEXAMPLE:i-0abc",
		"a@b.example_org":         "a@b.example_org",
		".hidden":                 "~2Ehidden",
		"a/b":                     "a~2Fb",
		"~operator":               "~7Eoperator",
		"büro":                    "b~C3~BCro",
		"":                        "",
		strings.Repeat("x", 128):  strings.Repeat("x", 128),
		strings.Repeat("/", 3000): strings.Repeat("~2F", 3000)[:62] + "~~",
	} {
		node := NodeOf(name)
		if got := node.String(); got != want && !(len(name) == 3000 && len(got) == maxNode && strings.HasPrefix(got, want)) {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
		if again, err := ParseNode(node.String()); name != "" && (err != nil || again != node) {
			t.Errorf("%q: the node reads as %v, %v", name, again, err)
		}
	}
}

func FuzzNodeOf(f *testing.F) {
	f.Add("web-1", "web/1")
	f.Add("a~2F", "a/")
	f.Fuzz(func(t *testing.T, a, b string) {
		if NodeOf(a) == NodeOf(b) && a != b {
			t.Errorf("%q and %q are both %s", a, b, NodeOf(a))
		}
	})
}

func TestParseNodeRefuses(t *testing.T) {
	for _, text := range []string{"", ".a", "a/b", "a b", "ä", "a\n", strings.Repeat("x", 129)} {
		if _, err := ParseNode(text); err == nil {
			t.Errorf("%q is a node", text)
		}
	}
}
