// Package durable changes files so that a crash or a power cut leaves the old or the new, never
// something between.
//
// A rename is atomic for other processes, but after a power cut it may have reached the disk before
// the bytes it names: the file is then there and empty. So the order is always the same: write,
// sync the content, rename, sync the directory. A sync that fails is an error at once and is not
// tried again, since the kernel may have dropped the pages that it could not write.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// WriteFile replaces the file of that name in a directory. After it returns without an error, the
// new content survives a power cut; after an error or a crash the file is the old or the new one as
// a whole. The temporary name is that of the file with a "." before and ".tmp" behind, so at most
// one process may write a file at a time.
func WriteFile(in *os.Root, name string, data []byte, perm fs.FileMode) error {
	if err := replace(in, name, bytes.NewReader(data), perm, (*os.File).Sync); err != nil {
		return err
	}
	return SyncDir(in, path.Dir(name))
}

// ReplaceFile is WriteFile without the syncs: atomic for other processes, but
// not after a power cut. It is for what only means something until a reboot.
func ReplaceFile(in *os.Root, name string, data []byte, perm fs.FileMode) error {
	return CopyFile(in, name, bytes.NewReader(data), perm)
}

// CopyFile is ReplaceFile with what is read from a reader.
func CopyFile(in *os.Root, name string, from io.Reader, perm fs.FileMode) error {
	return replace(in, name, from, perm, func(*os.File) error { return nil })
}

func replace(in *os.Root, name string, from io.Reader, perm fs.FileMode, sync func(*os.File) error) (err error) {
	temporary, err := freeTemporary(in, name)
	if err != nil {
		return err
	}
	f, err := in.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			in.Remove(temporary) // a full disk needs the room
		}
	}()
	if _, err := io.Copy(f, from); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := sync(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return in.Rename(temporary, name)
}

// freeTemporary returns the temporary name of a file. It is always the same one,
// and what a crash has left there is removed, so that nothing adds up.
func freeTemporary(in *os.Root, name string) (string, error) {
	temporary := path.Join(path.Dir(name), "."+path.Base(name)+".tmp")
	if err := in.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return temporary, nil
}

// ReplaceLink makes a name in a directory a symbolic link to target, whatever
// link was there before: at every moment it is the old or the new link. It is
// durable once the directory is synced, which is left to the caller, who may
// have more than one link to replace. It fails where there is something else
// than a link. Like WriteFile, it is for one process at a time.
func ReplaceLink(in *os.Root, target, name string) error {
	info, err := in.Lstat(name)
	switch {
	case err == nil && info.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s is not a symbolic link; move it out of the way", name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temporary, err := freeTemporary(in, name)
	if err != nil {
		return err
	}
	if err := in.Symlink(target, temporary); err != nil {
		return err
	}
	if err := in.Rename(temporary, name); err != nil {
		return errors.Join(err, in.Remove(temporary))
	}
	return nil
}

// RemoveLink removes what ReplaceLink has made, and what a crash has left of it. Absence is not an
// error.
func RemoveLink(in *os.Root, name string) error {
	if _, err := freeTemporary(in, name); err != nil {
		return err
	}
	if _, err := in.Lstat(name); errors.Is(err, fs.ErrNotExist) { // Remove hides an error about what is not there
		return nil
	}
	return in.Remove(name)
}

// SyncDir makes the names in a directory durable; "." is the one that is open.
func SyncDir(in *os.Root, name string) error {
	dir, err := in.Open(name)
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", name, err), dir.Close())
	}
	return dir.Close()
}

// syncEach makes a tree durable file by file, where there is no way to sync a
// whole file system.
func syncEach(in *os.Root, name string) error {
	return fs.WalkDir(in.FS(), name, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && !entry.Type().IsRegular() {
			return nil
		}
		return SyncDir(in, name) // a file is opened and synced just like a directory
	})
}

// renameChecked is RenameNew where the kernel can't do it in one step. The
// caller holds the lock that keeps other writers away between the two.
func renameChecked(in *os.Root, from, to string) error {
	if _, err := in.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return in.Rename(from, to)
}
