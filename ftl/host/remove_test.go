package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl"
)

// The tree is what a removal is taken up by, so it goes last: what is beside it
// would stay for ever.
func TestRemovalThatBreaksOffLeavesTheTreeOnly(t *testing.T) {
	if os.Geteuid() == 0 { // who may write to every directory
		runAsNobody(t)
		return
	}
	p := newPackage(t)
	r := letter(t, "a")
	if err := os.Mkdir(p.RevisionDir(r), 0o755); err != nil {
		t.Fatal(err)
	}
	(&syncing{holding: holding{pkg: p}}).keepIndex(r, strings.NewReader("index"))
	log := p.HookLog(r, ftl.PostSync)
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p.Revs(), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(p.Revs(), 0o700) })
	var told []ftl.Event
	p.host.Report = func(event ftl.Event) { told = append(told, event) }
	if err := lockPackage(t, p).remove(t.Context(), r, leaving{}); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || told[0].State != ftl.Running || told[1].State != ftl.Failure || len(p.inPlace) != 1 {
		t.Errorf("told %v, want that it began and failed; what stays: %v", told, p.inPlace)
	}
	if err := p.CheckTree(r); err != nil {
		t.Error(err)
	}
	for _, path := range []string{p.indexPath(r), log} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is still there", filepath.Base(path))
		}
	}
}
