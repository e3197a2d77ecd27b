package host

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rhettg/ftl/revision"
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

// finishRemovals deletes what is left of packages whose removal was interrupted,
// and nothing that is not named and owned just so. It is in nobody's way, so
// what can't be deleted stays.
func (h *Host) finishRemovals() {
	entries, err := os.ReadDir(h.Root)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || !isRemoved(entry.Name()) {
			continue
		}
		if owner, ok := ownerOf(info); !ok || owner != os.Geteuid() {
			continue
		}
		if err := removeAll(filepath.Join(h.Root, entry.Name())); err != nil {
			h.warn("%v", err)
		}
	}
}

// removedName is that of a package's directory while it is deleted: it begins
// with a dot, so it is no package's.
func removedName(name revision.Package) string {
	return "." + name.String() + removedInfix + rand.Text()
}

const removedInfix = ".removed."

func isRemoved(name string) bool {
	pkg, text, found := strings.Cut(strings.TrimPrefix(name, "."), removedInfix)
	_, err := revision.ParsePackage(pkg)
	return found && err == nil && name[0] == '.' && len(text) == len(rand.Text()) && strings.Trim(text, base32) == ""
}

// base32 is the alphabet of rand.Text.
const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

func isEmptyDir(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}
