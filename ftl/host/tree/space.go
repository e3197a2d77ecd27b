package tree

import (
	"fmt"
	"io/fs"
	"math"
	"syscall"

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

// CheckRoom makes sure that there is room for a tree of so many bytes and entries. What is at the
// paths becomes a part of it, or goes. A lack of room is a [*NoRoom].
func (t *Place) CheckRoom(bytes, entries uint64, paths ...string) error {
	dir, err := t.Files.OpenDir(t.Revs())
	if err != nil {
		return err
	}
	defer dir.Close()
	var room unix.Statfs_t
	if err := unix.Fstatfs(int(dir.File().Fd()), &room); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", t.Revs(), err)
	}
	lack := lacking(room, bytes, entries)
	if lack == "" {
		return nil
	}
	for _, path := range paths {
		t.addRoom(&room, path)
	}
	if lack = lacking(room, bytes, entries); lack != "" {
		return &NoRoom{t.Revs(), lack}
	}
	return nil
}

// addRoom counts what a file or a tree takes as free. What can't be looked at is none.
func (t *Place) addRoom(room *unix.Statfs_t, path string) {
	info, err := t.Files.Lstat(path)
	if err != nil {
		return
	}
	count := func(info fs.FileInfo) {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			room.Bavail += uint64(stat.Blocks) * 512 / max(1, uint64(room.Bsize))
			room.Ffree++
		}
	}
	if !info.IsDir() {
		count(info)
		return
	}
	root, err := t.Files.OpenRoot(path)
	if err != nil {
		return
	}
	defer root.Close()
	fs.WalkDir(root.FS(), ".", func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			count(info)
		}
		return nil
	})
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

// Free returns how many bytes and inodes are free in the file system of a directory. Where inodes
// are made as they are needed, there are always enough.
func Free(dir string) (bytes, inodes uint64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, 0, fmt.Errorf("look at the free space of %s: %w", dir, err)
	}
	inodes = uint64(fs.Ffree)
	if fs.Files == 0 {
		inodes = math.MaxUint64
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize), inodes, nil
}
