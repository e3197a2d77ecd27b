// Package durable changes files so that a crash or a power cut leaves the old
// or the new, never something between.
//
// A rename is atomic for other processes, but after a power cut it may have
// reached the disk before the bytes it names: the file is then there and
// empty. So the order is always the same: write, sync the content, rename,
// sync the directory. A sync that fails is an error at once and is not tried
// again, since the kernel may have dropped the pages that it could not write.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path. After it returns without an error, the
// new content survives a power cut; after an error or a crash the file is the
// old or the new one as a whole. The temporary name is path's with a "." before
// and ".tmp" behind, so at most one process may write a path at a time.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	if err := replace(path, data, perm, (*os.File).Sync); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// ReplaceFile is WriteFile without the syncs: atomic for other processes, but
// not after a power cut. It is for what only means something until a reboot.
func ReplaceFile(path string, data []byte, perm fs.FileMode) error {
	return replace(path, data, perm, func(*os.File) error { return nil })
}

func replace(path string, data []byte, perm fs.FileMode, sync func(*os.File) error) (err error) {
	temporary, err := freeTemporary(path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temporary) // a full disk needs the room
		}
	}()
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := sync(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// freeTemporary returns the temporary name of a path. It is always the same one,
// and what a crash has left there is removed, so that nothing adds up.
func freeTemporary(path string) (string, error) {
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return temporary, nil
}

// ReplaceLink makes path a symbolic link to target, whatever link was there
// before: at every moment path is the old or the new link. It is durable once
// the directory is synced, which is left to the caller, who may have more than
// one link to replace. It fails where path is not a link. Like WriteFile, it is
// for one process at a time.
func ReplaceLink(target, path string) error {
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s is not a symbolic link; move it out of the way", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temporary, err := freeTemporary(path)
	if err != nil {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// SyncDir makes the names in a directory durable.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", path, err), dir.Close())
	}
	return dir.Close()
}

// syncEach makes a tree durable file by file, where there is no way to sync a
// whole file system.
func syncEach(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && !entry.Type().IsRegular() {
			return nil
		}
		return SyncDir(path) // a file is opened and synced just like a directory
	})
}

// renameChecked is RenameNew where the kernel can't do it in one step. The
// caller holds the lock that keeps other writers away between the two.
func renameChecked(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to)
}
