// Package directory works below an open directory, by handles.
//
// A path is resolved anew each time it is used, and whoever may write to a directory on the way can
// exchange what it leads to in between. A [Dir] is opened once, and what is done in it is done to
// one of its entries, never through a symbolic link. What was checked is then what is used.
package directory

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/strictmodes"
)

// Dir is a directory that is open. The zero value is none.
type Dir struct {
	file *os.File
	path string // that it was opened by, for people
}

// Open opens the directory at path, through symbolic links. What it returns has to be closed.
func Open(path string) (*Dir, error) {
	return openAt(unix.AT_FDCWD, path, path, 0)
}

// OpenSafeDir is OpenDir for a directory in one that is safe.
func (d *Dir) OpenSafeDir(name string) (*Dir, error) {
	dir, err := d.OpenDir(name)
	if err != nil {
		return nil, err
	}
	if err := strictmodes.CheckOpen(dir.file); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// OpenDir opens a directory in d. A symbolic link is an error, as everything else is that is not a
// directory; a fifo does not block.
func (d *Dir) OpenDir(name string) (*Dir, error) {
	return openAt(d.fd(), name, d.join(name), unix.O_NOFOLLOW)
}

func openAt(parent int, name, path string, flags int) (*Dir, error) {
	fd, err := openFD(parent, name, flags|unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Dir{os.NewFile(uintptr(fd), path), path}, nil
}

// openFD opens without waiting for anybody, and keeps what it opens from hooks.
func openFD(parent int, name string, flags int, perm fs.FileMode) (int, error) {
	for {
		fd, err := unix.Openat(parent, name, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, uint32(perm.Perm()))
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// Close closes the handle.
func (d *Dir) Close() error { return d.file.Close() }

// Path returns the path that d was opened by. It is for messages: another directory may be there by
// now.
func (d *Dir) Path() string { return d.path }

// Stat describes the directory that is open.
func (d *Dir) Stat() (fs.FileInfo, error) { return d.file.Stat() }

// File returns the open directory itself. It is closed with d.
func (d *Dir) File() *os.File { return d.file }

func (d *Dir) fd() int { return int(d.file.Fd()) }

func (d *Dir) join(name string) string { return filepath.Join(d.path, name) }

func (d *Dir) pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: d.join(name), Err: err}
}

// stat describes an entry of d, which is not followed.
func (d *Dir) stat(name string) (unix.Stat_t, error) {
	var stat unix.Stat_t
	err := unix.Fstatat(d.fd(), name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	return stat, err
}

func isDir(stat unix.Stat_t) bool { return stat.Mode&unix.S_IFMT == unix.S_IFDIR }
