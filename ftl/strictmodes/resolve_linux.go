package strictmodes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Check checks every file and directory on the way from / to path, and path itself. Symbolic links
// are followed, and what they lead through is checked too. What is unsafe is an [*Error]; any other
// error is one of the file system's. A path that does not exist is [fs.ErrNotExist].
func Check(path string) error {
	r, err := resolve(path)
	if err != nil {
		return err
	}
	return r.at.Close()
}

// OpenDir opens the directory at path when nobody else could exchange it. Each directory on the way
// is opened in the one before and checked as it is open, so what was checked is what is used. The
// errors are those of Check.
func OpenDir(path string) (*os.File, error) {
	r, err := resolve(path)
	if err != nil {
		return nil, err
	}
	defer r.at.Close()
	fd, err := unix.Openat(int(r.at.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// CheckOpen checks a file or directory that is open, and nothing on the way to it.
func CheckOpen(file *os.File) error {
	_, err := entry{file, file.Name()}.check(false)
	return err
}

// entry is a file or directory that is open only for what is to be known of it.
type entry struct {
	at   *os.File
	path string // without links
}

// resolve opens what a path leads to, and checks all that it leads through.
func resolve(path string) (entry, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return entry{}, err
	}
	here, err := openTop()
	if err != nil {
		return entry{}, err
	}
	rest := parts(path)
	for links := 0; len(rest) > 0; {
		next, err := here.step(rest[0])
		rest = rest[1:]
		target := ""
		if err == nil {
			target, err = next.check(len(rest) > 0)
		}
		switch {
		case err != nil:
		case target == "":
			here.at.Close()
			here = next
			continue
		case links == maxLinks:
			err = &fs.PathError{Op: "check", Path: path, Err: unix.ELOOP}
		case filepath.IsAbs(target):
			here.at.Close()
			here, err = openTop()
		}
		next.close()
		if err != nil {
			here.close()
			return entry{}, err
		}
		links++
		rest = append(parts(target), rest...)
	}
	return here, nil
}

func openTop() (entry, error) {
	top, err := openEntry(unix.AT_FDCWD, "/", "/")
	if err == nil {
		_, err = top.check(true)
	}
	if err != nil {
		top.close()
	}
	return top, err
}

// step opens what a name in a directory leads to. A symbolic link is opened itself.
func (e entry) step(name string) (entry, error) {
	return openEntry(int(e.at.Fd()), name, filepath.Join(e.path, name))
}

func openEntry(in int, name, path string) (entry, error) {
	fd, err := unix.Openat(in, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return entry{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return entry{os.NewFile(uintptr(fd), path), path}, nil
}

func (e entry) close() {
	if e.at != nil {
		e.at.Close()
	}
}

// check checks what is open. Of a symbolic link it returns the target.
func (e entry) check(parent bool) (target string, err error) {
	info, err := e.at.Stat()
	if err != nil {
		return "", err
	}
	if err := CheckInfo(e.path, info, parent); err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		if parent && isSticky(info) {
			return "", nil
		}
		return "", e.checkList(info)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(e.at.Fd()), "", buf)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: e.path, Err: err}
	}
	return string(buf[:n]), nil
}

// checkList refuses an access control list by which others may write: the bits of the group are
// then the most that the list allows, and those of a user that it names too.
func (e entry) checkList(info fs.FileInfo) error {
	if info.Mode().Perm()&0o020 == 0 {
		return nil
	}
	_, err := unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", e.at.Fd()), "system.posix_acl_access", nil)
	switch {
	case err == nil:
		return &Error{e.path, "can be written to by others, by its access control list (" + whose(info) + ")", sudo(info) + "setfacl -b"}
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return nil
	}
	return &fs.PathError{Op: "read the access control list of", Path: e.path, Err: err}
}
