package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl"
)

func TestSubscriptionsAreDirectoriesNamedLikeAPackage(t *testing.T) {
	h := &Host{Root: t.TempDir()}
	elsewhere := t.TempDir()
	for _, name := range []string{"web", "api", "my.site", "lost+found", ".hidden", "-x"} {
		if err := os.Mkdir(filepath.Join(h.Root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(h.Root, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"far": elsewhere, "dangling": "/nowhere", "tofile": "file"} {
		if err := os.Symlink(target, filepath.Join(h.Root, name)); err != nil {
			t.Fatal(err)
		}
	}
	packages, misnamed, err := h.subscriptions()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range packages {
		names = append(names, name.String())
	}
	if got := strings.Join(names, " "); got != "api far web" {
		t.Errorf("packages: got %q", got)
	}
	if got := strings.Join(misnamed, " "); got != "-x my.site" {
		t.Errorf("misnamed: got %q", got)
	}
}

func TestRootThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for root, want := range map[string]string{
		filepath.Join(t.TempDir(), "missing"): "there is no directory",
		file:                                  "is not a directory",
	} {
		h := &Host{Root: root}
		_, err := h.Packages()
		if failure, ok := errors.AsType[*ftl.Error](err); !ok || failure.Kind != ftl.NotFound || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want it to say %q", root, err, want)
		}
	}
}

func TestPackageOfAnotherName(t *testing.T) {
	p := newPackage(t)
	for name, target := range map[string]string{"other": "pkg", "absolute": p.Dir, "twice": "other"} {
		if err := os.Symlink(target, filepath.Join(p.host.Root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.checkAlone(); err != nil {
		t.Errorf("what is linked to: %v", err)
	}
	packages, _, err := p.host.subscriptions()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range packages {
		if name == p.Name {
			continue
		}
		err := p.host.open(name).checkAlone()
		if failure, ok := errors.AsType[*ftl.Error](err); !ok || failure.Kind != ftl.Refused {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	missing := p.host.open(letter(t, "a").Package())
	missing.Dir += "-missing"
	if err := missing.checkAlone(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing one: got %v", err)
	}
}

// A package that was removed, and of which only the shared directory is left, is none.
func TestRemovedPackageIsNotListed(t *testing.T) {
	p := newPackage(t)
	if got, err := p.host.Packages(); len(got) != 1 || err != nil {
		t.Errorf("got %v, %v, want one", got, err)
	}
	l := lockPackage(t, p)
	l.State.Removed = true
	if err := l.WriteState(); err != nil {
		t.Fatal(err)
	}
	if got, err := p.host.Packages(); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v, want none", got, err)
	}
}
