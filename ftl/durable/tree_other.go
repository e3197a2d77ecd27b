//go:build !linux

package durable

import "syscall"

const noFollow = syscall.O_NOFOLLOW

// SyncTree makes everything under root durable, names, bytes and modes.
func SyncTree(root string) error { return syncEach(root) }

// RenameNew renames from to a name that must not be there yet; otherwise the
// error satisfies fs.ErrExist and nothing has changed.
func RenameNew(from, to string) error { return renameChecked(from, to) }
