package tree

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Reserve is disk that is set aside, so that a jump-back works when the disk is full: bytes for the
// state, and inodes for what a jump makes anew, which are the logs of its hooks, a link and what is
// written beside its old version.
type Reserve struct{ *Place }

const (
	reserveFiles    = 8
	reserveFileSize = 8 << 10
)

func (t Reserve) path() string { return filepath.Join(t.Meta(), "reserve") }

// KeepReserve sets some disk aside. Where that is not possible, the host works
// without.
func (t Reserve) KeepReserve() {
	if info, err := t.Files.Lstat(t.path()); err == nil && !info.IsDir() {
		t.Files.Remove(t.path()) // that of an older ftl, one file
	}
	if err := t.Files.Mkdir(t.path(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return
	}
	content := make([]byte, reserveFileSize)
	for i := range content {
		content[i] = byte(i ^ i>>8) // not zeros, which some file systems don't store
	}
	for i := range reserveFiles {
		path := filepath.Join(t.path(), strconv.Itoa(i))
		if info, err := t.Files.Lstat(path); err == nil && info.Size() == reserveFileSize {
			continue
		}
		if err := t.Files.ReplaceFile(path, content, 0o600); err != nil {
			return
		}
	}
}

// giveUpReserve reports whether there was a reserve to give up.
func (t Reserve) giveUpReserve() bool {
	if _, err := t.Files.Lstat(t.path()); err != nil {
		return false
	}
	return t.Files.RemoveAll(context.Background(), t.path()) == nil
}

// WithReserve calls f, and once more with the reserve given up when the disk is
// full.
func (t Reserve) WithReserve(f func() error) error {
	err := f()
	if IsFull(err) && t.giveUpReserve() {
		err = f()
	}
	return err
}

// IsFull reports whether an error is that of a disk or a quota that is full.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
