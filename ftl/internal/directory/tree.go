package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/ftl/strictmodes"
)

// Tree is what is below a directory. Its methods take whole paths, as they stand in messages, and
// resolve them from the directory, which is open from the first use on: whatever its own path leads
// to by then, they work on what was opened. No method follows a link out of the tree, and none that
// opens a file follows a link at all. Where the directory can't be opened, each method returns why.
type Tree struct {
	path string
	safe bool // it was checked when it was opened, and is not opened again

	mu   sync.Mutex
	here *handles
}

// handles are of the same directory.
type handles struct {
	top   *Dir
	root  *os.Root
	owner int
}

// OpenTree returns the directory at path, where links may lead.
func OpenTree(path string) *Tree { return &Tree{path: path} }

// OpenSafeTree opens the directory at path where nobody but root and the user who runs this could
// exchange it or anything on the way to it. If somebody could, the error is a [*strictmodes.Error].
func OpenSafeTree(path string) (*Tree, error) {
	file, err := strictmodes.OpenDir(path)
	if err != nil {
		return nil, err
	}
	here, err := newHandles(&Dir{file, path})
	if err != nil {
		return nil, err
	}
	return &Tree{path: path, safe: true, here: here}, nil
}

// open returns the handles, and opens them first where that is to be done.
func (t *Tree) open() (*handles, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.here != nil {
		return t.here, nil
	}
	if t.safe {
		return nil, &fs.PathError{Op: "open", Path: t.path, Err: fs.ErrClosed}
	}
	top, err := Open(t.path)
	if err == nil {
		t.here, err = newHandles(top)
	}
	return t.here, err
}

func newHandles(top *Dir) (*handles, error) {
	info, err := top.Stat()
	if err != nil {
		return nil, errors.Join(err, top.Close())
	}
	root, err := os.OpenRoot(top.path)
	if root, err = sameAs(top, root, err); err != nil {
		return nil, errors.Join(err, top.Close())
	}
	return &handles{top, root, ownerOf(info)}, nil
}

// ErrExchanged is the error of a directory that somebody exchanges just now.
var ErrExchanged = errors.New("was exchanged for another directory while it was opened")

// sameAs makes sure that a root, which the standard library opens by its path, is the directory
// that is open.
func sameAs(dir *Dir, root *os.Root, err error) (*os.Root, error) {
	if err != nil {
		return nil, err
	}
	here, err := dir.Stat()
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if there, err := root.Stat("."); err != nil || !os.SameFile(here, there) {
		return nil, errors.Join(fmt.Errorf("%s %w", dir.path, ErrExchanged), err, root.Close())
	}
	return root, nil
}

// Close closes the directory; what was opened in it stays open. One that was checked can't be used
// any more.
func (t *Tree) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.here == nil {
		return nil
	}
	err := errors.Join(t.here.root.Close(), t.here.top.Close())
	t.here = nil
	return err
}

// Err returns why the directory can't be opened.
func (t *Tree) Err() error {
	_, err := t.open()
	return err
}

// Owner returns the user whom the directory belongs to.
func (t *Tree) Owner() (int, error) {
	here, err := t.open()
	if err != nil {
		return -1, err
	}
	return here.owner, nil
}

// name returns a path in the tree as a name below its directory.
func (t *Tree) name(path string) (string, error) {
	if path == t.path {
		return ".", nil
	}
	name, ok := strings.CutPrefix(path, t.path+"/")
	if !ok || !filepath.IsLocal(name) {
		return "", fmt.Errorf("%s is not in %s", path, t.path)
	}
	return name, nil
}

// whole puts the whole path into an error about a name in the tree.
func (t *Tree) whole(err error) error {
	if failure, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: strings.TrimSuffix(failure.Op, "at"), Path: t.wholePath(failure.Path), Err: failure.Err}
	}
	if failure, ok := errors.AsType[*os.LinkError](err); ok {
		return &os.LinkError{
			Op: strings.TrimSuffix(failure.Op, "at"), Old: t.wholePath(failure.Old), New: t.wholePath(failure.New), Err: failure.Err,
		}
	}
	return err
}

func (t *Tree) wholePath(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(t.path, name)
}

func (t *Tree) do(path string, f func(root *os.Root, name string) error) error {
	here, err := t.open()
	if err != nil {
		return err
	}
	name, err := t.name(path)
	if err != nil {
		return err
	}
	return t.whole(f(here.root, name))
}

// Lstat describes an entry.
func (t *Tree) Lstat(path string) (info fs.FileInfo, err error) {
	err = t.do(path, func(root *os.Root, name string) error {
		info, err = root.Lstat(name)
		return err
	})
	return info, err
}

// Readlink returns the target of a symbolic link. Of anything else the error is EINVAL.
func (t *Tree) Readlink(path string) (target string, err error) {
	err = t.do(path, func(root *os.Root, name string) error {
		target, err = root.Readlink(name)
		return err
	})
	return target, err
}

// Mkdir makes a directory.
func (t *Tree) Mkdir(path string, perm fs.FileMode) error {
	return t.do(path, func(root *os.Root, name string) error { return root.Mkdir(name, perm) })
}

// Remove deletes a file or an empty directory.
func (t *Tree) Remove(path string) error {
	return t.do(path, func(root *os.Root, name string) error { return root.Remove(name) })
}

// Chmod sets the mode of an entry.
func (t *Tree) Chmod(path string, mode fs.FileMode) error {
	return t.do(path, func(root *os.Root, name string) error { return root.Chmod(name, mode) })
}

// Chtimes sets the times of an entry.
func (t *Tree) Chtimes(path string, at time.Time) error {
	return t.do(path, func(root *os.Root, name string) error { return root.Chtimes(name, at, at) })
}

// Rename moves an entry within the tree.
func (t *Tree) Rename(from, to string) error {
	name, err := t.name(to)
	if err != nil {
		return err
	}
	return t.do(from, func(root *os.Root, was string) error { return root.Rename(was, name) })
}

// OpenRoot opens a directory as a root of its own.
func (t *Tree) OpenRoot(path string) (*os.Root, error) {
	dir, err := t.OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var below *os.Root
	err = t.do(path, func(root *os.Root, name string) error {
		below, err = root.OpenRoot(name)
		return err
	})
	return sameAs(dir, below, err)
}

// OpenDir opens a directory. No part of its name may be a link.
func (t *Tree) OpenDir(path string) (*Dir, error) {
	name, err := t.name(path)
	if err != nil {
		return nil, err
	}
	here, err := t.open()
	if err != nil {
		return nil, err
	}
	dir, err := here.top.OpenDir(".")
	for part := range strings.SplitSeq(name, "/") {
		if err != nil {
			return nil, err
		}
		above := dir
		dir, err = above.OpenDir(part)
		err = errors.Join(err, above.Close())
	}
	return dir, err
}

// ReadDir returns the entries of a directory.
func (t *Tree) ReadDir(path string) ([]fs.DirEntry, error) {
	dir, err := t.OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.file.ReadDir(-1)
}

// WriteFile is that of package durable.
func (t *Tree) WriteFile(path string, data []byte, perm fs.FileMode) error {
	return t.do(path, func(root *os.Root, name string) error { return durable.WriteFile(root, name, data, perm) })
}

// ReplaceFile is that of package durable.
func (t *Tree) ReplaceFile(path string, data []byte, perm fs.FileMode) error {
	return t.do(path, func(root *os.Root, name string) error { return durable.ReplaceFile(root, name, data, perm) })
}

// CopyFile is that of package durable.
func (t *Tree) CopyFile(path string, from io.Reader, perm fs.FileMode) error {
	return t.do(path, func(root *os.Root, name string) error { return durable.CopyFile(root, name, from, perm) })
}

// ReplaceLink is that of package durable.
func (t *Tree) ReplaceLink(target, path string) error {
	return t.do(path, func(root *os.Root, name string) error { return durable.ReplaceLink(root, target, name) })
}

// RemoveLink is that of package durable.
func (t *Tree) RemoveLink(path string) error { return t.do(path, durable.RemoveLink) }

// SyncDir is that of package durable.
func (t *Tree) SyncDir(path string) error { return t.do(path, durable.SyncDir) }

// SyncTree is that of package durable.
func (t *Tree) SyncTree(path string) error { return t.do(path, durable.SyncTree) }

// WriteBehind is that of package durable.
func (t *Tree) WriteBehind(path string, step int64) (behind *durable.Behind, err error) {
	err = t.do(path, func(root *os.Root, name string) error {
		behind, err = durable.WriteBehind(root, name, step)
		return err
	})
	return behind, err
}

// RenameNew is that of package durable.
func (t *Tree) RenameNew(from, to string) error {
	name, err := t.name(to)
	if err != nil {
		return err
	}
	return t.do(from, func(root *os.Root, was string) error { return durable.RenameNew(root, was, name) })
}

// RemoveAll deletes an entry with all that is below it, as Dir's does.
func (t *Tree) RemoveAll(ctx context.Context, path string) error {
	dir, err := t.OpenDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.RemoveAll(ctx, filepath.Base(path))
}

// OpenFile opens a file, as Dir's does.
func (t *Tree) OpenFile(path string, flag int, perm fs.FileMode) (*os.File, error) {
	dir, err := t.OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.OpenFile(filepath.Base(path), flag, perm)
}

// ReadFile reads a file, as Dir's does.
func (t *Tree) ReadFile(path string, limit int64) ([]byte, error) {
	dir, err := t.OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadFile(filepath.Base(path), limit)
}

// ReadTail returns the last bytes of a file, at most limit, which OpenFile opens.
func (t *Tree) ReadTail(path string, limit int64) ([]byte, error) {
	file, err := t.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return nil, err
	} else if info.Size() > limit {
		if _, err := file.Seek(-limit, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(file, limit))
}
