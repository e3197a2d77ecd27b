package hooks

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloseInherited keeps the descriptors above 2 that this process has inherited
// from being passed on to hooks; the process itself keeps them. main calls it
// first of all. Without it, a daemon started by a hook would hold a
// lock that was meant to end with ftl, as in "flock -n /run/x ftl sync".
func CloseInherited() error {
	if err := closeInherited(); err != nil {
		return fmt.Errorf("mark inherited descriptors close-on-exec: %w", err)
	}
	return nil
}

// closeListed is closeInherited where there is no system call for it.
func closeListed() error {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		// Descriptors that are closed by now, such as the directory's own, do
		// no harm.
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
