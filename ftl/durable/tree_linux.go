package durable

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const noFollow = unix.O_NOFOLLOW

// SyncTree makes everything under root durable, names, bytes and modes. It
// syncs the whole file system that root is on, which is several times faster
// than one fsync for each of many files. Since Linux 5.8 that reports an
// earlier failure to write anything of that file system back.
func SyncTree(root string) error {
	dir, err := os.Open(root)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(dir.Fd()))
	if closed := dir.Close(); err == nil {
		err = closed
	}
	if errors.Is(err, unix.ENOSYS) {
		return syncEach(root)
	}
	if err != nil {
		return fmt.Errorf("sync the file system of %s: %w", root, err)
	}
	return nil
}

// RenameNew renames from to a name that must not be there yet; otherwise the
// error satisfies [fs.ErrExist] and nothing has changed.
func RenameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not on every file system
		return renameChecked(from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
