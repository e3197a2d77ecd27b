//go:build !linux

package strictmodes

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Check checks every file and directory on the way from / to path, and path itself. Symbolic links
// are followed, and what they lead through is checked too. What is unsafe is an [*Error]; any other
// error is one of the file system's. A path that does not exist is [fs.ErrNotExist].
func Check(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	at, links := "/", 0
	if err := checkOne(at, true); err != nil {
		return err
	}
	rest := parts(path)
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		target, isLink, err := readLink(next)
		if err != nil {
			return err
		}
		if err := checkOne(next, len(rest) > 0); err != nil {
			return err
		}
		if !isLink {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return &fs.PathError{Op: "check", Path: path, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(parts(target), rest...)
	}
	return nil
}

// OpenDir opens the directory at path when nobody else could exchange it. The errors are those of
// Check.
func OpenDir(path string) (*os.File, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// CheckOpen checks a file or directory that is open, and nothing on the way to it.
func CheckOpen(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return CheckInfo(file.Name(), info, false)
}

func readLink(path string) (target string, isLink bool, err error) {
	target, err = os.Readlink(path)
	if errors.Is(err, syscall.EINVAL) { // it is not a link
		return "", false, nil
	}
	return target, err == nil, err
}

func checkOne(path string, parent bool) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	return CheckInfo(path, info, parent)
}
