package tree

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// Holder is the record of who holds a lock.
type Holder struct {
	Process hooks.Process `json:"process"`
	Command string        `json:"command"`
	Since   time.Time     `json:"since"`
	Hook    *RunningHook  `json:"hook,omitempty"`
	// Released is set when the holder has given the lock back.
	Released bool `json:"released,omitempty"`
}

// RunningHook is a hook that runs under a lock.
type RunningHook struct {
	Process  hooks.Process     `json:"process"`
	Name     ftl.Step          `json:"name"`
	Revision revision.Revision `json:"revision"`
	Since    time.Time         `json:"since"`
}

// holderAtWork reports whether another process has not given the lock back, and
// lives.
func (t Locks) holderAtWork(name LockName, self hooks.Process) (bool, error) {
	last, ok := t.ReadHolder(name)
	if !ok || last.Released || last.Process == self {
		return false, nil
	}
	return last.Process.Alive()
}

// EnterHook records the hook that is about to run.
func (l *Lock) EnterHook(process hooks.Process, name ftl.Step, r revision.Revision) error {
	l.Hook = &RunningHook{process, name, r, time.Now()}
	return l.record()
}

// LeaveHook records that the hook has ended. One that could not be ended stays on record.
func (l *Lock) LeaveHook() error {
	if l.Hook == nil {
		return nil
	}
	if alive, err := l.Hook.Process.Alive(); err != nil || alive {
		return err
	}
	l.Hook = nil
	return l.record()
}

func (l *Lock) record() error {
	data, err := json.Marshal(l.Holder)
	if err != nil {
		return err
	}
	path := filepath.Join(l.locks.Dir, l.name.Record)
	err = l.locks.reserve.WithReserve(func() error { return l.locks.Files.ReplaceFile(path, data, 0o644) })
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.EISDIR) {
		return ftl.Errorf(ftl.Refused, "find out who made it, then delete it", "%s is a directory", path)
	}
	return err
}

// ReadHolder returns the record beside a lock. It is only as good as a record
// can be: the holder may be gone.
func (t Locks) ReadHolder(name LockName) (Holder, bool) {
	var h Holder
	data, err := t.Files.ReadFile(filepath.Join(t.Dir, name.Record), MaxRecord)
	if err != nil || json.Unmarshal(data, &h) != nil {
		return Holder{}, false
	}
	return h, true
}

// firstRelease is before the first ftl: a clock that said less was not set.
var firstRelease = time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC)

// Age returns how long a process that is alive is at what it began then. Where
// the clock was not set then, or was set back since, that is taken to be as long
// as the process runs.
func Age(since time.Time, of hooks.Process) time.Duration {
	if d := time.Since(since); d >= 0 && since.After(firstRelease) {
		return d
	}
	running, err := of.Running()
	if err != nil { // only where there are no holders either
		return 0
	}
	return running
}

// busy says who holds a lock.
func (t Locks) busy(name LockName) error {
	who, known := t.AtWork(name)
	if !known {
		who = "another ftl is at work on " + t.Name.String()
	}
	return ftl.Errorf(ftl.Busy, t.busyHint(name), "%s", who)
}

// busyHint says how to end a hook that another ftl is stuck in. Where there is nothing to go back
// to, that is a jump to what is active, or to what the hook belongs to.
func (t Locks) busyHint(name LockName) string {
	const hint = "wait for it; if it is stuck in a hook: ftl "
	cur, err := t.Links()
	held, known := t.ReadHolder(name)
	switch {
	case err == nil && cur.Previous != (revision.Revision{}):
		return hint + "jump-back --interrupt " + t.Name.String()
	case err == nil && cur.Current != (revision.Revision{}):
		return hint + "jump --interrupt " + cur.Current.String()
	case known && held.Hook != nil:
		return hint + "jump --interrupt " + held.Hook.Revision.String()
	}
	return "wait for it"
}

// AtWork says who has taken a lock and not given it back, and false where nobody
// who still lives has.
func (t Locks) AtWork(name LockName) (string, bool) {
	held, ok := t.ReadHolder(name)
	if alive, err := held.Process.Alive(); !ok || held.Released || err != nil || !alive {
		return "", false
	}
	who := fmt.Sprintf("another ftl is at work on %s: %q, pid %d, for %v",
		t.Name, held.Command, held.Process.PID, Age(held.Since, held.Process).Round(time.Second))
	if name == SyncLock && held.Hook == nil { // a sync that jumps holds both
		if other, ok := t.ReadHolder(ChangeLock); ok && other.Process == held.Process {
			held.Hook = other.Hook
		}
	}
	if held.Hook != nil {
		who += fmt.Sprintf(", in %s of %s (pid %d) for %v",
			held.Hook.Name, held.Hook.Revision, held.Hook.Process.PID, Age(held.Hook.Since, held.Hook.Process).Round(time.Second))
	}
	return who, true
}

// InterruptedPath is where --interrupt says which hook it has ended. How that
// exits does not tell: a shell makes 143 of a child that was ended by TERM, for
// any reason.
func (t Locks) InterruptedPath() string { return filepath.Join(t.Meta(), "interrupted") }

// markInterrupted says that a hook is about to be ended. Without the mark a check
// is tried again, and ended again.
func (t Locks) markInterrupted(hook hooks.Process) {
	if data, err := json.Marshal(hook); err == nil {
		t.Files.ReplaceFile(t.InterruptedPath(), data, 0o644)
	}
}

// WasInterrupted reports whether --interrupt has ended a hook.
func (t Locks) WasInterrupted(hook hooks.Process) bool {
	data, err := t.Files.ReadFile(t.InterruptedPath(), MaxRecord)
	if err != nil {
		return false
	}
	var marked hooks.Process
	return json.Unmarshal(data, &marked) == nil && marked == hook
}

// OutlivedHook names a hook that still runs though its ftl has died.
func (t Locks) OutlivedHook() string {
	for _, name := range []LockName{SyncLock, ChangeLock} {
		held, ok := t.ReadHolder(name)
		if !ok || held.Hook == nil {
			continue
		}
		if alive, err := held.Process.Alive(); err != nil || alive {
			continue
		}
		if alive, err := held.Hook.Process.Alive(); err == nil && alive {
			return fmt.Sprintf("%s of %s (pid %d)", held.Hook.Name, held.Hook.Revision, held.Hook.Process.PID)
		}
	}
	return ""
}
