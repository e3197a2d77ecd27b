package host

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rhettg/ftl/ftl/host/tree"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/ftl/internal/spill"
)

// What lies in a tree may be anything, and the commands that only show read it too.
func TestFilesOfATreeAreInput(t *testing.T) {
	spoilers := map[string]func(path string) error{
		"fifo":              func(path string) error { return unix.Mkfifo(path, 0o644) },
		"link to a device":  func(path string) error { return os.Symlink("/dev/zero", path) },
		"directory":         func(path string) error { return os.Mkdir(path, 0o755) },
		"sparse":            func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40)) },
		"link to a console": func(path string) error { return os.Symlink("/dev/tty", path) },
	}
	for name, spoil := range spoilers {
		t.Run(name, func(t *testing.T) {
			p := newPackage(t)
			if err := os.Mkdir(filepath.Join(p.Meta(), "index"), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{
				p.StatePath(), p.ActivityLog(), p.LeftoversPath(), p.InterruptedPath(), p.indexPath(letter(t, "a")),
				filepath.Join(p.Dir, tree.ChangeLock.Record), filepath.Join(p.Dir, tree.SyncLock.Record),
			} {
				if err := spoil(path); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := p.ReadState(); !isFileError(err) {
				t.Errorf("state: got %v", err)
			}
			if lines, err := p.ReadLog(); !isFileError(err) && (name != "sparse" || len(lines) > 0) { // of which the end is read
				t.Errorf("log: got %v", err)
			}
			if _, ok := p.ReadHolder(tree.ChangeLock); ok {
				t.Error("there is a holder")
			}
			if got := p.ReadLeftovers(); len(got.Trees) > 0 {
				t.Errorf("there are leftovers: %v", got)
			}
			if _, ok := p.openRevisionTree(letter(t, "a"), spill.Temporary); ok {
				t.Error("there is an index")
			}
			for _, lock := range []tree.LockName{tree.ChangeLock, tree.SyncLock} { // of these, a directory is in the way
				if err := os.Remove(filepath.Join(p.Dir, lock.Record)); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.withLockMending(t.Context(), tree.Patience{}, func(*locked) error { return nil }); err != nil {
				t.Errorf("set aside: %v", err)
			}
			if packages, err := p.host.Packages(); err != nil || len(packages) != 1 {
				t.Errorf("got %v, %v, want one package", packages, err)
			}
			if all, err := p.host.Status(t.Context(), nil); err != nil || len(all) != 1 {
				t.Errorf("status: got %v, %v", all, err)
			}
		})
	}
}

func TestDirectoryOfATreeThatIsALink(t *testing.T) {
	p := newPackage(t)
	elsewhere := filepath.Join(t.TempDir(), "meta")
	if err := errors.Join(os.Rename(p.Meta(), elsewhere), os.Symlink(elsewhere, p.Meta())); err != nil {
		t.Fatal(err)
	}
	if st, err := p.ReadState(); err == nil {
		t.Errorf("a state was read through a link: %+v", st)
	}
	if p.IsRemoved() {
		t.Error("it is taken for removed")
	}
	if packages, err := p.host.Packages(); err != nil || len(packages) != 1 || packages[0] != p.Name {
		t.Errorf("got %v, %v", packages, err)
	}
}

func isFileError(err error) bool {
	_, ok := errors.AsType[*directory.FileError](err)
	return ok
}
