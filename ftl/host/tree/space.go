package tree

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// What has to be left beside a revision: for the state, the logs and what the
// hooks write.
const (
	spareSpace  = 16 << 20 // bytes
	spareInodes = 16
)

// NoRoom says what a revision needs and what a file system has.
type NoRoom struct{ where, what string }

func (e *NoRoom) Error() string { return e.where + ": " + e.what }

// CheckRoom makes sure that there is room for a tree of so many bytes and entries. A lack of it is a
// [*noRoom].
func (t *Place) CheckRoom(bytes, entries uint64) error {
	dir, err := t.Files.OpenDir(t.Revs())
	if err != nil {
		return err
	}
	defer dir.Close()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(dir.File().Fd()), &fs); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", t.Revs(), err)
	}
	if lack := lacking(fs, bytes, entries); lack != "" {
		return &NoRoom{t.Revs(), lack}
	}
	return nil
}

// lacking says what a tree needs and what a file system has, if that is less.
func lacking(fs unix.Statfs_t, bytes, entries uint64) string {
	const mib = 1 << 20
	// Each entry takes up to a block more than its bytes.
	need := bytes + entries*uint64(fs.Bsize) + spareSpace
	if free := uint64(fs.Bavail) * uint64(fs.Bsize); free < need {
		return fmt.Sprintf("too little space: it needs %d MiB, %d MiB are free", (need+mib-1)/mib, free/mib)
	}
	// Some file systems make inodes as they need them, and say that there are none.
	if need, free := entries+spareInodes, uint64(fs.Ffree); fs.Files > 0 && free < need {
		return fmt.Sprintf("too few inodes: it needs %d, %d are free", need, free)
	}
	return ""
}
