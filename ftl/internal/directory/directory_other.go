//go:build !linux

package directory

import "golang.org/x/sys/unix"

// isMountPoint reports whether something is mounted on dir, an entry of parent.
func isMountPoint(parent, dir *Dir) (bool, error) { return onOtherDevice(parent, dir) }

// makeWritable lets the owner of a directory in d do everything with it. It follows no link.
func makeWritable(d *Dir, name string) error {
	return unix.Fchmodat(d.fd(), name, 0o700, unix.AT_SYMLINK_NOFOLLOW)
}
