package directory

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// FileError says why a file is neither read nor written: ftl has not made it.
type FileError struct{ Path, Reason string }

func (e *FileError) Error() string { return e.Path + " " + e.Reason }

// ReadFile reads a file that lies in d. Whatever could keep the reader waiting, or lead it
// elsewhere, is a [*FileError]: a symbolic link, what is not a regular file, one of another user
// than the directory's, as a hard link can be, and one with more bytes than the limit. Absence is
// [fs.ErrNotExist].
func (d *Dir) ReadFile(name string, limit int64) ([]byte, error) {
	file, err := d.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	tooLong := &FileError{d.join(name), fmt.Sprintf("has more than %d bytes", limit)}
	if info.Size() > limit {
		return nil, tooLong
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit { // it grows
		err = tooLong
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// OpenFile opens a file that lies in d, as [os.OpenFile] does. What ReadFile does not read, it does
// not open.
func (d *Dir) OpenFile(name string, flags int, perm fs.FileMode) (*os.File, error) {
	if stat, err := d.stat(name); err == nil && stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, &FileError{d.join(name), kindOf(stat)} // to open a device may do something
	}
	// A file is emptied only after it was looked at.
	fd, err := openFD(d.fd(), name, flags&^os.O_TRUNC|unix.O_NOFOLLOW, perm)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, &FileError{d.join(name), "is a symbolic link"}
	case errors.Is(err, unix.ENXIO): // a fifo that nobody reads, a socket
		return nil, &FileError{d.join(name), "is not a regular file"}
	case err != nil:
		return nil, d.pathError("open", name, err)
	}
	file := os.NewFile(uintptr(fd), d.join(name))
	err = d.checkFile(file)
	if err == nil && flags&os.O_TRUNC != 0 {
		err = file.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// kindOf says what is there instead of a regular file.
func kindOf(stat unix.Stat_t) string {
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return "is a symbolic link"
	case unix.S_IFDIR:
		return "is a directory"
	case unix.S_IFIFO:
		return "is a fifo"
	}
	return "is not a regular file"
}

// checkFile returns why a file that was opened in d can't be one of ftl's.
func (d *Dir) checkFile(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &FileError{file.Name(), "is not a regular file"}
	}
	dir, err := d.Stat()
	if err != nil {
		return err
	}
	if owner := ownerOf(info); owner != ownerOf(dir) {
		return &FileError{file.Name(), fmt.Sprintf("belongs to user %d, not to the owner of its directory", owner)}
	}
	return nil
}
