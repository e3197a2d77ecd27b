package archive

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openBelow opens a directory at any depth below another one. No part of the path may be a symlink.
// The error is [errors.ErrUnsupported] before Linux 5.6, and in a sandbox that doesn't know the
// call.
func openBelow(dir int, name string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN: // something was renamed meanwhile
			continue
		case err == unix.ENOSYS || err == unix.EPERM:
			return -1, errors.ErrUnsupported
		}
		return fd, os.NewSyscallError("openat2", err)
	}
}
