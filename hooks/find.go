package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Script is a hook found in a revision. It runs what its directory handle
// leads to: exchanging the path of the revision exchanges nothing for it.
type Script struct {
	Name Name
	Path string // in the revision, one of Candidates(Name)

	dir *os.File
}

// Open opens the directory of a revision, for Find. The caller closes it when
// the scripts found in it have run. A symbolic link is an error, and so is a
// revision that is missing.
func Open(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) { // which must not pass for a revision that has no hook
		return nil, fmt.Errorf("open %s: the revision is missing", dir)
	}
	return f, err
}

// Find returns the hook of the revision in dir, which has to stay open until the
// script has run; Open opens one, and so does [os.Root.Open] of ".".
//
// A revision without this hook, which includes one that is a single file, is an
// error that satisfies errors.Is(err, fs.ErrNotExist). Nothing else is: not a
// candidate that exists but must not be run. A hook must be a regular file, not
// a symbolic link nor below one, with its owner's x bit. It and the directories
// that it is in must belong to the running user or to root, and nobody else may
// write to them. If the first candidate must not be run, the ones after it are
// not tried.
func Find(dir *os.File, name Name) (Script, error) {
	for _, candidate := range Candidates(name) {
		script := Script{Name: name, Path: candidate, dir: dir}
		f, err := script.open()
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return Script{}, fmt.Errorf("find %s in %s: %w", name, dir.Name(), err)
		}
		f.Close()
		return script, nil
	}
	return Script{}, fmt.Errorf("find %s in %s: %w", name, dir.Name(), fs.ErrNotExist)
}

// open opens the script, and checks what it has opened: a name that is
// checked first and opened later could mean another file by then.
func (s Script) open() (*os.File, error) {
	dir := s.dir
	if inFolder, _ := path.Split(s.Path); inFolder != "" {
		opened, err := openAt(s.dir, folder, folder)
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		dir = opened
	}
	f, err := openAt(dir, path.Base(s.Path), s.Path)
	if err != nil {
		return nil, err
	}
	if err := s.check(f, dir); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// check returns why the script, which was opened in a directory, is not to be
// run.
func (s Script) check(f, dir *os.File) error {
	if err := checkScript(s.Path, f); err != nil {
		return err
	}
	for _, at := range []struct {
		name string
		dir  *os.File
	}{{"the revision's directory", s.dir}, {folder, dir}} {
		info, err := at.dir.Stat()
		if err != nil {
			return err
		}
		if err := checkWriters(at.name, info); err != nil {
			return err
		}
	}
	return nil
}

// openAt opens what is in a directory, never through a link. The path is for
// messages.
func openAt(dir *os.File, name, path string) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ELOOP) && name == folder:
		return nil, fmt.Errorf("%s is a symbolic link: make it a directory and spool again", path)
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%s is a symbolic link: put the script itself there and spool again", path)
	case errors.Is(err, unix.ENXIO):
		return nil, fmt.Errorf("%s is not a regular file: put a script there and spool again", path)
	case err != nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
}

// checkScript returns why the script is not to be run.
func checkScript(name string, f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file: put a script there and spool again", name)
	case info.Mode()&0o100 == 0:
		return fmt.Errorf("%s is not executable: chmod +x %[1]s and spool again", name)
	}
	return checkWriters(name, info)
}

// checkWriters returns who else could have written what is about to be run.
func checkWriters(name string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return fmt.Errorf("%s: cannot tell whose it is", name)
	case int(stat.Uid) != os.Geteuid() && stat.Uid != 0:
		return fmt.Errorf("%s belongs to user %d, ftl runs as %d: run ftl as its owner, or chown the revision",
			name, stat.Uid, os.Geteuid())
	case mode&0o002 != 0, mode&0o020 != 0 && stat.Gid != 0:
		return fmt.Errorf("%s can be written to by others, who could run anything as the user who runs ftl: chmod go-w", name)
	}
	return nil
}

// isAbsent reports whether err means that there is no such file, also because
// what should be its directory is a file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
