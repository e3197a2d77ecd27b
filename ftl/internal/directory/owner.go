package directory

import (
	"io/fs"
	"syscall"
)

// ownerOf returns the user that a file belongs to, and -1 where that can't be told.
func ownerOf(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Uid)
}
