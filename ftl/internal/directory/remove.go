package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// StuckError says that a part of a tree can't be deleted.
type StuckError struct {
	Path   string // the first such entry
	Err    error  // why
	Others int    // how many more there are
}

func (e *StuckError) Error() string {
	text := fmt.Sprintf("delete %s: %v", e.Path, e.Err)
	if e.Others > 0 {
		text += fmt.Sprintf(", and %d more", e.Others)
	}
	return text
}

func (e *StuckError) Unwrap() error { return e.Err }

func (e *StuckError) copy() *StuckError {
	if e == nil {
		return nil
	}
	return new(*e)
}

// errMountPoint is the reason for which what is mounted in a tree is left alone.
var errMountPoint = fmt.Errorf("it is a mount point: %w", unix.EBUSY)

const (
	// maxDepth is how many levels of a tree are open at once. What is deeper is first moved up.
	maxDepth = 64
	// maxPasses bounds the work in a directory to which somebody else adds all the time.
	maxPasses = 10_000
	// batch is how many entries of a directory are read at once.
	batch = 1024
)

// RemoveAll deletes the entry name of d with all that is below it. It follows no link and enters no
// mount. Directories that their owner may not write to are made writable first. Absence is not an
// error.
//
// An entry that can't be deleted does not stop it: all the others go, and the error is a
// [*StuckError]. Once ctx is done it returns ctx's error.
func (d *Dir) RemoveAll(ctx context.Context, name string) error {
	r := &remover{ctx: ctx}
	stat, err := d.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		r.remove(d, name, isDir(stat))
	} else {
		r.leave(d, name, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.stuck != nil {
		return r.stuck
	}
	return nil
}

// remover deletes one tree.
type remover struct {
	ctx   context.Context
	open  []*Dir // from the top of the tree to where the remover is
	stuck *StuckError
}

// leave notes that an entry stays.
func (r *remover) leave(parent *Dir, name string, err error) {
	if r.stuck == nil {
		r.stuck = &StuckError{Path: parent.join(name), Err: err}
		return
	}
	r.stuck.Others++
}

// remove deletes an entry, and reports whether it is gone from its place.
func (r *remover) remove(parent *Dir, name string, dir bool) bool {
	if dir {
		return r.removeDir(parent, name)
	}
	err := unix.Unlinkat(parent.fd(), name, 0)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return true
	}
	r.leave(parent, name, err)
	return false
}

// removeDir empties a directory and deletes it. One that can't be opened may still be empty.
func (r *remover) removeDir(parent *Dir, name string) bool {
	if len(r.open) >= maxDepth && r.moveUp(parent, name) {
		return true
	}
	dir, err := openWritable(parent, name)
	if err != nil {
		if unlinkDir(parent, name) == nil {
			return true
		}
		r.leave(parent, name, err)
		return false
	}
	defer dir.Close()
	if mounted, err := isMountPoint(parent, dir); err != nil || mounted {
		r.leave(parent, name, errors.Join(err, errMountPoint))
		return false
	}
	r.open = append(r.open, dir)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	return r.removeOpen(parent, dir, name)
}

// removeOpen reads a directory until it is gone or nothing in it can be deleted: some file systems
// pass entries over where others are deleted meanwhile, and what was too deep is moved up to here.
func (r *remover) removeOpen(parent, dir *Dir, name string) bool {
	for range maxPasses {
		before := r.stuck.copy()
		gone, stayed, err := r.pass(dir)
		if r.ctx.Err() != nil {
			return false
		}
		if err == nil && stayed == 0 {
			err = unlinkDir(parent, name)
		}
		switch {
		case err == nil && stayed == 0:
			return true
		case err != nil && (gone == 0 || !isNotEmpty(err)):
			r.leave(parent, name, err)
			return false
		case gone == 0:
			return false
		}
		r.stuck = before // the next pass counts again
	}
	r.leave(parent, name, fmt.Errorf("somebody adds to it all the time: %w", unix.ENOTEMPTY))
	return false
}

// pass deletes what can be deleted, and tells how many entries went and how many stayed.
func (r *remover) pass(dir *Dir) (gone, stayed int, err error) {
	if _, err := dir.file.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	for {
		entries, err := dir.file.ReadDir(batch)
		for _, entry := range entries {
			if r.ctx.Err() != nil {
				return gone, stayed, nil
			}
			if r.remove(dir, entry.Name(), entry.IsDir()) {
				gone++
			} else {
				stayed++
			}
		}
		if err == io.EOF {
			return gone, stayed, nil
		}
		if err != nil {
			return gone, stayed, err
		}
	}
}

// unlinkDir deletes an empty directory. Absence is not an error.
func unlinkDir(parent *Dir, name string) error {
	err := unix.Unlinkat(parent.fd(), name, unix.AT_REMOVEDIR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func isNotEmpty(err error) bool { return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) }

// moveUp moves a directory that is too deep to the top of the tree, where a later pass finds it, so
// that no tree needs more than maxDepth open files.
func (r *remover) moveUp(parent *Dir, name string) bool {
	top, free := r.open[0], rand.Text()
	err := unix.Renameat(parent.fd(), name, top.fd(), free)
	if errors.Is(err, fs.ErrPermission) && makeWritable(parent, name) == nil { // a directory is changed when it is moved
		err = unix.Renameat(parent.fd(), name, top.fd(), free)
	}
	return err == nil
}

// openWritable opens a directory in which entries are to be deleted.
func openWritable(parent *Dir, name string) (*Dir, error) {
	dir, err := parent.OpenDir(name)
	if errors.Is(err, fs.ErrPermission) && makeWritable(parent, name) == nil {
		dir, err = parent.OpenDir(name)
	}
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	info, err := dir.Stat()
	if err == nil && info.Mode().Perm()&0o700 != 0o700 && ownerOf(info) == os.Geteuid() {
		err = dir.file.Chmod(0o700)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// onOtherDevice reports whether a directory is on another file system than its parent.
func onOtherDevice(parent, dir *Dir) (bool, error) {
	var above, below unix.Stat_t
	if err := errors.Join(unix.Fstat(parent.fd(), &above), unix.Fstat(dir.fd(), &below)); err != nil {
		return false, err
	}
	return above.Dev != below.Dev, nil
}
