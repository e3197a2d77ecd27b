package archive

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openBelow opens a directory somewhere below another one, on a way without symlinks, as a place to work in. It is
// [errors.ErrUnsupported] before Linux 5.6, and where a sandbox doesn't know the call.
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
