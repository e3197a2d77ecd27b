package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Whoever changes the sources learns at once which mutation has to follow, and not when the crashes
// run.
func TestMutationsFitTheSources(t *testing.T) {
	for _, m := range mutations {
		for _, e := range m.edits {
			source, err := os.ReadFile(filepath.Join("..", "..", e.file))
			if err == nil {
				_, err = e.apply(string(source))
			}
			if err != nil {
				t.Errorf("%q: %v", m.name, err)
			}
		}
	}
}

func TestMatchesPath(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{".ftl/*", ".ftl/synced", true},
		{".ftl/*", ".ftl/log/some", false},
		{"revs/.trash/**", "revs/.trash/1/lib/deep", true},
		{"revs/.trash/**", "revs/.trash", false},
		{"revs/.trash/**", "revs/.stage/1", false},
		{"/root/.site.removed.*/**", "/root/.site.removed.ABC/revs/1", true},
	} {
		if got := matchesPath(test.pattern, test.name); got != test.want {
			t.Errorf("%q, %q: got %v", test.pattern, test.name, got)
		}
	}
}
