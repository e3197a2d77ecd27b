package tree

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// IsReadOnly reports whether a path is known to lie on a file system that is read-only.
func IsReadOnly(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Flags&unix.ST_RDONLY != 0
}

// MountOf returns the directory where the file system of a directory begins.
func MountOf(dir string) string {
	var here, above unix.Stat_t
	if unix.Stat(dir, &here) != nil {
		return dir
	}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		if unix.Stat(parent, &above) != nil || above.Dev != here.Dev {
			break
		}
	}
	return dir
}
