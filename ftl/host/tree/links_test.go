package tree

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadLink(t *testing.T) {
	tests := []struct {
		name, target string
		want         string // a letter, "" is none
		astray       string // what is said of it
	}{
		{"relative", "revs/a", "a", ""},
		{"absolute", "ROOT/pkg/revs/a", "a", ""},
		{"in a roundabout way", "./revs/../revs//a/", "a", ""},
		{"to what is not there", "revs/b", "b", ""},
		{"elsewhere", "/nowhere", "", "points to /nowhere, which is not a revision of pkg"},
		{"out of the package", "../other/revs/a", "", "which is not a revision of pkg"},
		{"to all revisions", "revs", "", "which is not a revision of pkg"},
		{"into a revision", "revs/a/public", "", "which is not a revision of pkg"},
		{"to the stage", "revs/.stage", "", "which is not a revision of pkg"},
		{"to itself", "current", "", "which is not a revision of pkg"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPackage(t)
			target := strings.Replace(test.target, "ROOT", p.root, 1)
			if err := os.Symlink(target, p.CurrentLink()); err != nil {
				t.Fatal(err)
			}
			got, err := p.Links()
			if want := letter(t, test.want); got.Current != want {
				t.Errorf("got %v, want %v", got.Current, want)
			}
			if IsStray(err) != (test.astray != "") || err != nil && !strings.Contains(err.Error(), test.astray) {
				t.Errorf("got %v, want it to say %q", err, test.astray)
			}
		})
	}
}

func TestWhatIsNotALinkIsAstray(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"file":      func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		p := newPackage(t)
		if err := spoil(p.PreviousLink()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Links(); !IsStray(err) || !strings.Contains(err.Error(), "previous is not a symbolic link") {
			t.Errorf("%s: got %v, want it to be astray", name, err)
		}
	}
}

func TestFlip(t *testing.T) {
	p := newPackage(t)
	l := lockPackage(t, p)
	a, b := letter(t, "a"), letter(t, "b")
	none := letter(t, "")
	for _, want := range []Links{{a, none}, {b, a}, {b, a}, {a, b}, {a, none}, {none, none}, {none, none}} {
		if err := l.Flip(want); err != nil {
			t.Fatalf("flip to %v: %v", want, err)
		}
		if got, err := p.Links(); got != want || err != nil {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
}

func TestHintOfAStrayLink(t *testing.T) {
	for previous, want := range map[string]string{
		"":       "ftl jump pkg.ID",
		"revs/b": "ftl jump-back pkg, which goes to pkg.b",
		"/":      "ftl jump pkg.ID",
	} {
		p := newPackage(t)
		if err := os.Symlink("/nowhere", p.CurrentLink()); err != nil {
			t.Fatal(err)
		}
		if previous != "" {
			if err := os.Symlink(previous, p.PreviousLink()); err != nil {
				t.Fatal(err)
			}
		}
		_, err := p.Links()
		if got := hintOf(err); got != "to mend it: "+want {
			t.Errorf("with previous %q: got %q, want %q", previous, got, want)
		}
	}
}

// What somebody has put in the place of a link is kept, whatever is there already.
func TestStrayLinksAreMended(t *testing.T) {
	p := newPackage(t)
	a := letter(t, "a")
	if err := lockPackage(t, p).mendLinks(); err != nil {
		t.Errorf("nothing to mend: %v", err)
	}
	for _, dir := range []string{p.RevisionDir(a), p.CurrentLink() + ".aside"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(p.CurrentLink(), []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("revs/a", p.PreviousLink()); err != nil {
		t.Fatal(err)
	}
	if err := (&Locked{Tree: p}).mendLinks(); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Links(); err != nil || got != (Links{Previous: a}) {
		t.Errorf("got %v, %v, want previous as it was", got, err)
	}
	if text, err := os.ReadFile(p.CurrentLink() + ".aside.2"); err != nil || string(text) != "precious" {
		t.Errorf("what was in the place of current: %q, %v", text, err)
	}
}

func TestDanglingCurrentIsNotActive(t *testing.T) {
	p := newPackage(t)
	a, b := letter(t, "a"), letter(t, "b")
	if err := lockPackage(t, p).Flip(Links{Current: a, Previous: b}); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Present(); err != nil || got != (Links{Previous: b}) {
		t.Errorf("got %v, %v, want previous only", got, err)
	}
	if err := p.CheckCurrent(); err == nil || hintOf(err) != "to fetch it again: ftl jump pkg.a" {
		t.Errorf("got %v, want that it is not there", err)
	}
	if err := os.Mkdir(p.RevisionDir(a), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Present(); err != nil || got.Current != a {
		t.Errorf("got %v, %v, want it active", got, err)
	}
	if err := p.CheckCurrent(); err != nil {
		t.Error(err)
	}
}

func TestFreeName(t *testing.T) {
	p := newPackage(t)
	path := filepath.Join(p.Dir, "x")
	for _, want := range []string{path, path + ".2", path + ".3"} {
		got, err := p.freeName(path)
		if got != want || err != nil {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		if err := os.Symlink("dangling", got); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLinksOfAPackageThatIsNotThere(t *testing.T) {
	p := Open(t.TempDir(), letter(t, "a").Package(), Options{})
	if got, err := p.Links(); got != (Links{}) || err != nil {
		t.Errorf("links: got %v, %v, want none", got, err)
	}
	if got, err := p.Local(); len(got) > 0 || err != nil {
		t.Errorf("local: got %v, %v, want none", got, err)
	}
	if err := p.CheckTree(letter(t, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("checkTree: got %v, want not exist", err)
	}
}

func TestLocalAreDirectoriesNamedLikeARevision(t *testing.T) {
	p := newPackage(t)
	for _, name := range []string{"b", "a", "2026112145296Wq", ".a.removed.X", "rev", "with.dot"} {
		if err := os.Mkdir(filepath.Join(p.Revs(), name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(p.Revs(), "c"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(p.Revs(), "d")); err != nil {
		t.Fatal(err)
	}
	local, err := p.Local()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range local {
		got = append(got, r.ID())
	}
	if want := "a b 2026112145296Wq"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
