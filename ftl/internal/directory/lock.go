package directory

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// TryLock locks a file or a directory that is open, and reports whether it could: somebody else may
// hold the lock. It is the kernel's, and gone when the file is closed, however that comes.
func TryLock(file *os.File) (bool, error) {
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, &os.PathError{Op: "lock", Path: file.Name(), Err: err}
		}
	}
}
