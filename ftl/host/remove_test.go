package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rhettg/ftl/hooks"
)

// The tree is what a removal is taken up by, so it goes last: what is beside it
// would stay for ever.
func TestRemovalThatBreaksOffLeavesTheTreeOnly(t *testing.T) {
	p := newPackage(t)
	r := letter(t, "a")
	if err := os.Mkdir(p.revisionDir(r), 0o755); err != nil {
		t.Fatal(err)
	}
	p.keepIndex(r, []byte("index"))
	log := p.hookLog(r, hooks.PostSync)
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Nothing can be moved into a trash that is a file.
	if err := os.Remove(p.trash()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.trash(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	st := &state{Format: stateFormat}
	if err := p.remove(t.Context(), nil, st, r, RemoveOptions{}); err == nil {
		t.Fatal("the tree was moved")
	}
	if err := p.checkTree(r); err != nil {
		t.Error(err)
	}
	for _, path := range []string{p.indexPath(r), log} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is still there", filepath.Base(path))
		}
	}
}
