package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// lockPackage locks a package until the test ends.
func lockPackage(t *testing.T, p *pkg) *locked {
	t.Helper()
	held := mustLock(t, p)
	t.Cleanup(func() { held.Release() })
	st, err := p.ReadState()
	if err != nil {
		t.Fatal(err)
	}
	return &locked{holding{p, held}, &tree.Locked{Tree: p.Tree, Lock: held, State: st}}
}

// newPackage returns an empty package called pkg of a host of its own.
func newPackage(t *testing.T) *pkg {
	t.Helper()
	h := &Host{Root: t.TempDir(), Command: "ftl test", Warn: t.Logf}
	if err := os.Mkdir(filepath.Join(h.Root, "pkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := h.open(letter(t, "a").Package())
	t.Cleanup(p.Close)
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	return p
}

func letter(t *testing.T, name string) revision.Revision {
	t.Helper()
	if name == "" {
		return revision.Revision{}
	}
	r, err := revision.Parse("pkg." + name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustLock takes the change lock of a package.
func mustLock(t *testing.T, p *pkg) *tree.Lock {
	t.Helper()
	l, err := p.lock(t.Context(), tree.ChangeLock, tree.Patience{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
