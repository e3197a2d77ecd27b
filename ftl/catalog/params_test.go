package catalog

import (
	"maps"
	"strings"
	"testing"
)

func TestParams(t *testing.T) {
	for _, words := range [][]string{
		{"A="}, {"DOMAIN=example.org", "B_2=a=b"}, {`Q="quoted"`, "S= spaces ", "U=ü", "T=!x"}, {strings.Repeat("N", maxParamName) + "=1"},
	} {
		params, err := ParseParams(words)
		if err != nil {
			t.Errorf("%q: %v", words, err)
			continue
		}
		entry := Entry{Revision: parse(t, "tool.1"), Serial: 7, Params: params}
		read, err := parseEntry(entry.String())
		if err != nil || !maps.Equal(read.Params, params) || read.Understood() != nil {
			t.Errorf("%s: read as %v, %v", entry, read.Params, err)
		}
	}
	for _, word := range []string{
		"", "A", "=x", "a=x", "1A=x", "_A=x", "A-B=x", "Ä=x", "A=a\nb", "A=\x00", "A=\xff", strings.Repeat("N", maxParamName+1) + "=1",
		"A=" + strings.Repeat("x", maxParamsText),
	} {
		if params, err := ParseParams([]string{word}); err == nil {
			t.Errorf("%q is accepted as %v", word, params)
		}
	}
}

// A parameter that this ftl would not have written is one that it does not know.
func TestUnknownParams(t *testing.T) {
	for _, word := range []string{"!param.domain=x", "!param.=x", "!param"} {
		entry, err := parseEntry("tool.1 serial=7 " + word)
		if err != nil || entry.Understood() == nil {
			t.Errorf("%s: read as %+v, %v, want it to be unknown", word, entry, err)
		}
	}
}
