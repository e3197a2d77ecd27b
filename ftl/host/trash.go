package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// removeAll deletes a tree without following a link out of it. A tree may have
// directories that even their owner may not write to.
func removeAll(path string) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	name := filepath.Base(path)
	err = root.RemoveAll(name)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err := unlockDirs(root, name); err != nil {
		return err
	}
	return root.RemoveAll(name)
}

// unlockDirs makes every directory of a tree writable for its owner.
func unlockDirs(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil || !info.IsDir() {
		return err
	}
	if err := root.Chmod(name, 0o700); err != nil {
		return err
	}
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	entries, err := dir.ReadDir(-1)
	if err := errors.Join(err, dir.Close()); err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := unlockDirs(root, filepath.Join(name, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// empty deletes what is in a directory. One that is not there is empty.
func (p *pkg) empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := removeAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// finishRemovals deletes what is left of packages whose removal was interrupted.
// It is in nobody's way, so what can't be deleted stays.
func (h *Host) finishRemovals() {
	left, err := filepath.Glob(filepath.Join(h.Root, ".*"+removedInfix+"*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		if err := removeAll(dir); err != nil {
			h.warn("%v", err)
		}
	}
}

func isEmptyDir(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}
