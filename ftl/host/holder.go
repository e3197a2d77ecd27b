package host

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// holder is the record of who holds a lock.
type holder struct {
	Process hooks.Process `json:"process"`
	Command string        `json:"command"`
	Since   time.Time     `json:"since"`
	Hook    *runningHook  `json:"hook,omitempty"`
	// Released is set when the holder has given the lock back.
	Released bool `json:"released,omitempty"`
}

// runningHook is a hook that runs under a lock.
type runningHook struct {
	Process  hooks.Process     `json:"process"`
	Name     hooks.Name        `json:"name"`
	Revision revision.Revision `json:"revision"`
	Since    time.Time         `json:"since"`
}

// holderAtWork reports whether another process has not given the lock back, and
// lives.
func (p *pkg) holderAtWork(name lockName, self hooks.Process) (bool, error) {
	last, ok := p.readHolder(name)
	if !ok || last.Released || last.Process == self {
		return false, nil
	}
	return last.Process.Alive()
}

// enterHook records the hook that is about to run; leaveHook that it has ended.
func (l *lock) enterHook(process hooks.Process, name hooks.Name, r revision.Revision) error {
	l.Hook = &runningHook{process, name, r, time.Now()}
	return l.record()
}

// One that could not be ended stays on record.
func (l *lock) leaveHook() error {
	if l.Hook == nil {
		return nil
	}
	if alive, err := l.Hook.Process.Alive(); err != nil || alive {
		return err
	}
	l.Hook = nil
	return l.record()
}

func (l *lock) record() error {
	data, err := json.Marshal(l.holder)
	if err != nil {
		return err
	}
	path := filepath.Join(l.pkg.dir, l.name.record)
	return l.pkg.withReserve(func() error { return durable.ReplaceFile(path, data, 0o644) })
}

// readHolder returns the record beside a lock. It is only as good as a record
// can be: the holder may be gone.
func (p *pkg) readHolder(name lockName) (holder, bool) {
	var h holder
	data, err := os.ReadFile(filepath.Join(p.dir, name.record))
	if err != nil || json.Unmarshal(data, &h) != nil {
		return holder{}, false
	}
	return h, true
}

// busy says who holds a lock.
func (p *pkg) busy(name lockName) error {
	who, known := p.atWork(name)
	if !known {
		who = "another ftl is at work on " + p.name.String()
	}
	return ftl.Errorf(ftl.Busy, "wait for it; if it is stuck in a hook, --interrupt of jump and jump-back ends that", "%s", who)
}

// atWork says who has taken a lock and not given it back, and false where nobody
// who still lives has.
func (p *pkg) atWork(name lockName) (string, bool) {
	held, ok := p.readHolder(name)
	if alive, err := held.Process.Alive(); !ok || held.Released || err != nil || !alive {
		return "", false
	}
	who := fmt.Sprintf("another ftl is at work on %s: %q, pid %d, for %v",
		p.name, held.Command, held.Process.PID, time.Since(held.Since).Round(time.Second))
	if name == syncLock && held.Hook == nil { // a sync that jumps holds both
		if other, ok := p.readHolder(changeLock); ok && other.Process == held.Process {
			held.Hook = other.Hook
		}
	}
	if held.Hook != nil {
		who += fmt.Sprintf(", in %s of %s (pid %d) for %v",
			held.Hook.Name, held.Hook.Revision, held.Hook.Process.PID, time.Since(held.Hook.Since).Round(time.Second))
	}
	return who, true
}
