package hooks

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"
)

func closeInherited() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	switch {
	case errors.Is(err, unix.ENOSYS), // before Linux 5.9, and in some sandboxes
		errors.Is(err, unix.EPERM),  // in others
		errors.Is(err, unix.EINVAL): // before Linux 5.11
		return closeListed()
	}
	return err
}
