package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/durable"
)

// The reserve is disk that is set aside, so that a jump-back works when the disk
// is full: bytes for the state, and inodes for what a jump makes anew, which are
// the logs of its hooks, a link and what is written beside its old version.
const (
	reserveFiles    = 8
	reserveFileSize = 8 << 10
)

func (p *pkg) reserve() string { return filepath.Join(p.meta(), "reserve") }

// keepReserve sets some disk aside. Where that is not possible, the host works
// without.
func (p *pkg) keepReserve() {
	if info, err := os.Lstat(p.reserve()); err == nil && !info.IsDir() {
		os.Remove(p.reserve()) // that of an older ftl, one file
	}
	if err := os.Mkdir(p.reserve(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return
	}
	content := make([]byte, reserveFileSize)
	for i := range content {
		content[i] = byte(i ^ i>>8) // not zeros, which some file systems don't store
	}
	for i := range reserveFiles {
		path := filepath.Join(p.reserve(), strconv.Itoa(i))
		if info, err := os.Lstat(path); err == nil && info.Size() == reserveFileSize {
			continue
		}
		if err := durable.ReplaceFile(path, content, 0o600); err != nil {
			return
		}
	}
}

// giveUpReserve reports whether there was a reserve to give up.
func (p *pkg) giveUpReserve() bool {
	if _, err := os.Lstat(p.reserve()); err != nil {
		return false
	}
	return removeAll(p.reserve()) == nil
}

// withReserve calls f, and once more with the reserve given up when the disk is
// full.
func (p *pkg) withReserve(f func() error) error {
	err := f()
	if isFull(err) && p.giveUpReserve() {
		err = f()
	}
	return err
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
