package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A Script is a hook found in a revision.
type Script struct {
	Name Name
	Dir  string // the revision, an absolute path
	Path string // the script in it, one of Candidates(Name)
}

// File returns the script's absolute path.
func (s Script) File() string { return filepath.Join(s.Dir, filepath.FromSlash(s.Path)) }

// Find returns the hook of the revision in dir.
//
// A revision without this hook, which includes one that is a plain file, is an
// error that satisfies errors.Is(err, fs.ErrNotExist). Nothing else is: not a
// directory that is missing, and not a candidate that exists but must not be
// run. A hook must be a regular file, no symbolic link nor below one, with its
// owner's x bit, and belong to the running user; if the first candidate is
// none, the ones after it are not looked at.
func Find(dir string, name Name) (Script, error) {
	script, err := find(dir, name)
	if err != nil {
		return Script{}, fmt.Errorf("find %s in %s: %w", name, dir, err)
	}
	return script, nil
}

func find(dir string, name Name) (Script, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Script{}, err
	}
	if err := checkRevision(dir); err != nil {
		return Script{}, err
	}
	for _, path := range Candidates(name) {
		script := Script{Name: name, Dir: dir, Path: path}
		info, err := os.Lstat(script.File())
		switch {
		case isAbsent(err):
			continue
		case err != nil:
			return Script{}, err
		}
		return script, checkScript(path, info)
	}
	return Script{}, fs.ErrNotExist
}

// checkRevision returns why no hook of this revision can be looked up.
func checkRevision(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return errors.New("the revision is missing") // not the same as having no hook
	} else if err != nil {
		return err
	}
	info, err := os.Lstat(filepath.Join(dir, folder))
	switch {
	case isAbsent(err):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%s is a symbolic link: make it a directory and spool again", folder)
	}
	return nil
}

// checkScript returns why the file at path is not to be run.
func checkScript(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%s is a symbolic link: put the script itself there and spool again", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file: put a script there and spool again", path)
	case info.Mode()&0o100 == 0:
		return fmt.Errorf("%s is not executable: chmod +x %[1]s and spool again", path)
	case !ok:
		return fmt.Errorf("%s: cannot tell whose file it is", path)
	case int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, ftl runs as %d: run ftl as its owner, or chown the revision",
			path, stat.Uid, os.Geteuid())
	}
	return nil
}

// isAbsent reports whether err means that there is no such file, also because
// what should be its directory is a plain file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
