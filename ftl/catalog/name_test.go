package catalog

import (
	"strings"
	"testing"
)

func TestSplitName(t *testing.T) {
	for file, want := range map[string]struct{ pkg, extension string }{
		"my_site.tgz":                            {"my_site", "tgz"},
		"p.v1.tar.gz":                            {"p", "v1.tar.gz"},
		"Makefile":                               {"Makefile", ""},
		"a..b":                                   {"a", ".b"},
		"a.ftl.gz":                               {"a", "ftl.gz"},
		"a.rev":                                  {"a", "rev"},
		"a.FTL":                                  {"a", "FTL"},
		"a.1.2-3~4+5_6":                          {"a", "1.2-3~4+5_6"},
		"a." + strings.Repeat("x", maxExtension): {"a", strings.Repeat("x", maxExtension)},
		strings.Repeat("p", 64) + ".tgz":         {strings.Repeat("p", 64), "tgz"},
	} {
		pkg, extension, err := SplitName(file)
		if err != nil || pkg.String() != want.pkg || extension != want.extension {
			t.Errorf("%q: got %q, %q, %v; want %q, %q", file, pkg, extension, err, want.pkg, want.extension)
		}
	}
	for _, file := range []string{
		"", ".", "..", "/", ".hidden", "my site.tgz", "-x.tgz", "ü.tgz", "a.", "a.tgz.", "a.ftl", "a.tgz.ftl",
		"a.t gz", "a.t/gz", "a.é", "a.\x00", "a.\n", "a." + strings.Repeat("x", maxExtension+1), strings.Repeat("p", 65),
	} {
		if pkg, extension, err := SplitName(file); err == nil {
			t.Errorf("%q is accepted as %q, %q", file, pkg, extension)
		}
	}
}

// What splitName accepts makes keys that are read back as the same revision.
func TestKeysOfNames(t *testing.T) {
	r := parse(t, "a.2026112145296Wq")
	for _, extension := range []string{"", "tgz", "v1.tar.gz", ".b", "rev", "ftl.gz", "2026112145296Wq"} {
		key := ArchiveKey(r, extension)
		if got, ext, ok := keyRevision(key); !ok || got != r || ext != extension {
			t.Errorf("%q: read as %q, %q, %v; want %q, %q", key, got, ext, ok, r, extension)
		}
	}
	for _, key := range []string{"a.rev", "a", "a.", "_ftl/lock", "_ftl/a.b", "x/a.1.tgz", "a.1.t/gz", "a b.1.tgz", "a..tgz", ""} {
		if got, ext, ok := keyRevision(key); ok {
			t.Errorf("%q is taken for an object of %q, %q", key, got, ext)
		}
	}
}
