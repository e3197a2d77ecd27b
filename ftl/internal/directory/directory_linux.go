package directory

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// isMountPoint reports whether something is mounted on dir, an entry of parent. A bind mount may be
// of the same file system, so its number tells only where the kernel does not (before Linux 5.8).
func isMountPoint(parent, dir *Dir) (bool, error) {
	var stat unix.Statx_t
	err := unix.Statx(dir.fd(), "", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT, 0, &stat)
	if err == nil && stat.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
	}
	if err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) { // not in every sandbox
		return false, err
	}
	return onOtherDevice(parent, dir)
}

// makeWritable lets the owner of a directory in d do everything with it. It follows no link.
func makeWritable(d *Dir, name string) error {
	fd, err := openFD(d.fd(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o700)
}
