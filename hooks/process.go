package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// A Process is one process of this host and no other, also after it has ended,
// its pid has been given away, or the host was booted anew. It is meant to be
// written down, as JSON, and compared with ==. The zero value is no process,
// and not alive.
//
// Only Linux tells what is needed: elsewhere every question about a process is
// errors.ErrUnsupported.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // when it started, in clock ticks since the boot
	Boot  string `json:"boot"`  // the kernel's name for this boot
}

// Self returns the running process.
func Self() (Process, error) { return Of(os.Getpid()) }

// Of returns the process that has the pid now. If there is none, the error
// satisfies errors.Is(err, fs.ErrNotExist).
func Of(pid int) (Process, error) {
	stat, err := readStat(pid)
	if err != nil {
		return Process{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	boot, err := bootID()
	if err != nil {
		return Process{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return Process{PID: pid, Start: stat.start, Boot: boot}, nil
}

// Alive reports whether the process still runs. One that has ended but has not
// been waited for by its parent does not.
func (p Process) Alive() (bool, error) {
	if p.PID <= 0 {
		return false, nil
	}
	boot, err := bootID()
	if err != nil {
		return false, fmt.Errorf("check process %d: %w", p.PID, err)
	}
	if boot != p.Boot {
		return false, nil
	}
	stat, err := readStat(p.PID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("check process %d: %w", p.PID, err)
	}
	return stat.start == p.Start && !stat.ended, nil
}

// Running returns how long the process runs, by a clock that nobody sets. It is
// meant for one that is alive.
func (p Process) Running() (time.Duration, error) {
	uptime, err := sinceBoot()
	if err != nil {
		return 0, fmt.Errorf("find the age of process %d: %w", p.PID, err)
	}
	return max(0, uptime-time.Duration(p.Start)*time.Second/ticksPerSecond), nil
}

// ticksPerSecond is what the kernel divides a second into for programs, on all
// of Go's platforms.
const ticksPerSecond = 100

// Contains reports whether the process that has the pid now is p, or a child of
// it, or a child's child. One that is no longer alive contains none: what it
// left behind belongs to nobody.
func (p Process) Contains(pid int) (bool, error) {
	if alive, err := p.Alive(); err != nil || !alive {
		return false, err
	}
	for pid > 1 {
		if pid == p.PID {
			return true, nil
		}
		stat, err := readStat(pid)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("find the parent of process %d: %w", pid, err)
		}
		pid = stat.parent
	}
	return false, nil
}

// Wait returns when the process is no longer alive, which it need not be when
// Wait is called, or with ctx's error. The caller need not be its parent.
func (p Process) Wait(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if alive, err := p.Alive(); err != nil || !alive {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d: %w", p.PID, context.Cause(ctx))
		}
	}
}

// Terminate ends the process, which must lead a process group as every hook
// does: TERM to the group, and KILL to what is left of it after the grace (0 is
// DefaultGrace). It returns when the process is no longer alive. A process that
// isn't alive any more is left alone with its group, and is not an error.
// When ctx is done it returns with ctx's error, possibly before the KILL.
func (p Process) Terminate(ctx context.Context, grace time.Duration) error {
	if grace == 0 {
		grace = DefaultGrace
	}
	if alive, err := p.Alive(); err != nil || !alive {
		return err
	}
	if err := endGroup(ctx, p.PID, grace); err != nil {
		return fmt.Errorf("terminate process %d: %w", p.PID, err)
	}
	return p.Wait(ctx)
}

// A processStat is what the kernel tells about a process.
type processStat struct {
	start  uint64
	parent int
	ended  bool // it only waits to be waited for
}
