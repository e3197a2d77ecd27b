//go:build !linux

package durable

import "os"

// SyncTree makes everything in a directory durable, names, bytes and modes.
func SyncTree(in *os.Root, name string) error { return syncEach(in, name) }

// RenameNew renames from to a name that must not be there yet; otherwise the
// error satisfies fs.ErrExist and nothing has changed.
func RenameNew(in *os.Root, from, to string) error { return renameChecked(in, from, to) }
