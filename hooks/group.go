package hooks

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// endGroup sends TERM to a process group, and KILL to what is left of it after
// the grace. The pid of a group's leader is not given to another process while
// the group has a member, also when the leader has ended.
func endGroup(ctx context.Context, pgid int, grace time.Duration) error {
	if err := signalGroup(pgid, syscall.SIGTERM); err != nil {
		return err
	}
	gone, err := awaitGroup(ctx, pgid, grace)
	if gone || err != nil {
		return err
	}
	return signalGroup(pgid, syscall.SIGKILL)
}

// signalGroup sends a signal to a process group; that there is no such group is not an error.
func signalGroup(pgid int, signal syscall.Signal) error {
	if pgid <= 1 {
		return fmt.Errorf("signal process group %d: not a hook's", pgid) // would be ftl's own group, or every process
	}
	err := syscall.Kill(-pgid, signal)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process group %d: %w", pgid, err)
	}
	return nil
}

// awaitGroup waits for a process group to have no more members, at most for the
// given time.
func awaitGroup(ctx context.Context, pgid int, atMost time.Duration) (gone bool, err error) {
	over := time.NewTimer(atMost)
	defer over.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH) {
			return true, nil
		}
		select {
		case <-tick.C:
		case <-over.C:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}
