package tree

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// newPackage returns an empty package called pkg in a root of its own.
func newPackage(t *testing.T) *Tree {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "pkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := Open(root, letter(t, "a").Package(), Options{
		Command: "ftl test", HookTimeout: func() time.Duration { return 10 * time.Minute }, Warn: t.Logf,
	})
	t.Cleanup(p.Close)
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	return p
}

// lockPackage locks a package until the test ends.
func lockPackage(t *testing.T, p *Tree) *Locked {
	t.Helper()
	held := mustLock(t, p)
	t.Cleanup(func() { held.Release() })
	st, err := p.ReadState()
	if err != nil {
		t.Fatal(err)
	}
	return &Locked{p, held, st}
}

func mustLock(t *testing.T, p *Tree) *Lock {
	t.Helper()
	l, err := p.Lock(t.Context(), ChangeLock, Patience{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// letter returns a revision of pkg with a letter for its id, the zero one for none.
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

func hintOf(err error) string {
	failure, ok := errors.AsType[*ftl.Error](err)
	if !ok {
		return ""
	}
	return failure.Hint
}
