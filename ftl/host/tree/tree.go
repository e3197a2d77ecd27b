// Package tree is one package's directory on a host: paths and links, the state, locks and logs.
//
// It knows of no command and of no bucket, and runs no hook. A [Tree] can only be read. Who holds
// the lock of the package gets a [Locked], and only that writes the links and the state.
//
// What lies in the directory is input. All work in it goes by one handle, which was checked when it
// was opened: a path that is resolved twice can lead to two directories.
package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/revision"
)

// Tree is one package's directory. It can be read; what changes it takes a lock.
type Tree struct {
	*Place
	Reserve
	Locks
	Logs
	Leftovers
}

// Place is where a package's directory is, and the handle on it.
type Place struct {
	Options
	Name  revision.Package
	Dir   string          // its path, for messages and for hooks
	Files *directory.Tree // of Dir: all that is done in it is done by this handle
	root  string          // FTL_ROOT
}

// Options are what a tree has to know of whoever changes it.
type Options struct {
	Command     string               // what the user started
	User        string               // who started it
	HookTimeout func() time.Duration // how long a hook may take that another ftl has left behind
	Warn        func(format string, args ...any)
}

// Open opens the directory of a package. One that is not there, or can't be opened, is a Tree too:
// each method that needs it returns why. The caller closes it.
func Open(root string, name revision.Package, options Options) *Tree {
	dir := filepath.Join(root, name.String())
	place := &Place{Options: options, Name: name, Dir: dir, Files: directory.OpenTree(dir), root: root}
	reserve := Reserve{place}
	return &Tree{place, reserve, Locks{place, reserve}, Logs{place}, Leftovers{place}}
}

// Close closes the directory. It is opened again where it is needed, so the last one who uses it
// closes it.
func (t *Place) Close() {
	t.Files.Close()
	t.Files = directory.OpenTree(t.Dir)
}

// Where things are. What begins with a dot in revs can't be a revision's id.
func (t *Place) Revs() string   { return filepath.Join(t.Dir, "revs") }
func (t *Place) Stage() string  { return filepath.Join(t.Dir, "revs", ".stage") }
func (t *Place) Trash() string  { return filepath.Join(t.Dir, "revs", ".trash") }
func (t *Place) Meta() string   { return filepath.Join(t.Dir, ".ftl") }
func (t *Place) LogDir() string { return filepath.Join(t.Dir, ".ftl", "log") }
func (t *Place) Shared() string { return filepath.Join(t.Dir, "shared") }

func (t *Place) RevisionDir(r revision.Revision) string { return filepath.Join(t.Revs(), r.ID()) }

func (t *Place) CurrentLink() string  { return filepath.Join(t.Dir, "current") }
func (t *Place) PreviousLink() string { return filepath.Join(t.Dir, "previous") }

// Prepare makes the directories that a changing command needs.
func (t *Place) Prepare() error {
	for _, dir := range []struct {
		path string
		perm fs.FileMode
	}{
		{t.Revs(), 0o755}, {t.Stage(), 0o700}, {t.Trash(), 0o700}, {t.Meta(), 0o755}, {t.LogDir(), 0o700},
	} {
		if err := t.Files.Mkdir(dir.path, dir.perm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// CheckTree makes sure that a revision has a directory.
func (t *Place) CheckTree(r revision.Revision) error {
	info, err := t.Files.Lstat(t.RevisionDir(r))
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", t.RevisionDir(r))
	}
	return err
}

// Local returns the revisions that have a directory, ready or not, oldest first.
func (t *Place) Local() ([]revision.Revision, error) {
	entries, err := t.Files.ReadDir(t.Revs())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var local []revision.Revision
	for _, entry := range entries {
		if r, err := t.Name.Revision(entry.Name()); err == nil && entry.IsDir() {
			local = append(local, r)
		}
	}
	sortRevisions(local)
	return local, nil
}
