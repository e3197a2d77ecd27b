package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/hooks"
)

// Locks are the two locks of a package, so that a jump-back never waits for a download. They
// are always taken in this order:
//
//	.ftl/sync.lock   owns revs/.stage and the revisions that are not ready
//	.lock            owns the links, the state and the ready revisions
//
// The lock is the kernel's, on the open file: it is free when its holder has
// died, however that was. Beside it lies a record of who holds it, for people
// who wait, and of the hook that runs under it. The record outlives a holder
// that was killed, so the next one finds a hook that may still be at work.
type Locks struct {
	*Place
	reserve Reserve
}

// LockName is one of the two.
type LockName struct{ File, Record string }

// The names of the locks, in the order in which they are taken.
var (
	SyncLock   = LockName{".ftl/sync.lock", ".ftl/sync.holder"}
	ChangeLock = LockName{".lock", ".ftl/lock.holder"}
)

// Lock is a lock that is held.
type Lock struct {
	locks Locks
	name  LockName
	file  *os.File // that is locked, nil once it is given back
	Holder
}

// Patience says what to do while somebody else holds a lock.
type Patience struct {
	Wait      time.Duration
	Interrupt bool // end the hook that the holder is in
}

// ErrGone says that the package was removed while somebody waited for its lock.
var ErrGone = errors.New("the package is gone")

const lockPoll = 20 * time.Millisecond

// Lock takes one of the package's locks. When somebody else keeps it for longer
// than the wait, the error is ftl.Busy and names the holder.
func (t Locks) Lock(ctx context.Context, name LockName, patience Patience) (*Lock, error) {
	self, err := hooks.Self()
	if err != nil {
		return nil, err
	}
	l := &Lock{locks: t, name: name, Holder: Holder{Process: self, Command: t.Command, Since: time.Now()}}
	deadline := time.Now().Add(patience.Wait)
	for {
		if l.file, err = t.tryLock(name, self); err != nil {
			return nil, err
		}
		if l.file != nil {
			break
		}
		if err := t.whileBusy(ctx, name, patience); err != nil {
			return nil, err
		}
		if !time.Now().Before(deadline) {
			return nil, t.busy(name)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
	if err := l.settle(ctx, patience); err != nil {
		return nil, ftl.Join(err, l.Release())
	}
	if err := l.record(); err != nil {
		return nil, ftl.Join(err, l.Release())
	}
	return l, nil
}

// tryLock returns nil when somebody else holds the lock. The lock is on the
// file, not on its name: if the file was deleted or replaced meanwhile, another
// process holds the lock that counts, so that is tried again; and if the holder
// by the record is still at work, its lock was deleted under it and counts.
func (t Locks) tryLock(name LockName, self hooks.Process) (*os.File, error) {
	path := filepath.Join(t.Dir, name.File)
	for {
		f, locked, err := t.openLocked(path)
		if _, notOurs := errors.AsType[*directory.FileError](err); notOurs {
			return nil, ftl.Errorf(ftl.Refused, "find out who made it, then delete it", "%w", err)
		}
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := os.Stat(t.Dir); errors.Is(gone, fs.ErrNotExist) {
				return nil, ErrGone
			}
		}
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if !locked {
			return nil, f.Close()
		}
		held, err := f.Stat()
		if err != nil {
			return nil, ftl.Join(err, f.Close())
		}
		named, err := t.Files.Lstat(path)
		if err == nil && os.SameFile(held, named) {
			atWork, err := t.holderAtWork(name, self)
			if err != nil || atWork {
				return nil, ftl.Join(err, f.Close())
			}
			return f, nil
		}
		if closed := f.Close(); closed != nil || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, ftl.Join(err, closed)
		}
	}
}

// openLocked opens a file, and reports whether it could be locked.
func (t Locks) openLocked(path string) (*os.File, bool, error) {
	f, err := t.Files.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	locked, err := directory.TryLock(f)
	if err != nil {
		return nil, false, ftl.Join(err, f.Close())
	}
	return f, locked, nil
}

// whileBusy looks at the lock's holder: it refuses to wait for a hook that
// itself waits for this command, and interrupts if that is wanted.
func (t Locks) whileBusy(ctx context.Context, name LockName, patience Patience) error {
	if err := t.RefuseInsideHook(name); err != nil {
		return err
	}
	held, ok := t.ReadHolder(name)
	if !ok || held.Hook == nil || !patience.Interrupt {
		return nil
	}
	return t.interrupt(ctx, *held.Hook)
}

func (t Locks) interrupt(ctx context.Context, hook RunningHook) error {
	alive, err := hook.Process.Alive()
	if err != nil || !alive {
		return err
	}
	t.Warn("%s: ending %s of %s (pid %d)", t.Name, hook.Name, hook.Revision, hook.Process.PID)
	t.markInterrupted(hook.Process)
	return hook.Process.Terminate(ctx, 0)
}

// RefuseInsideHook refuses to change a package from inside a hook of it: the
// hook's ftl holds the lock until the hook ends.
func (t Locks) RefuseInsideHook(names ...LockName) error {
	for _, name := range names {
		held, ok := t.ReadHolder(name)
		if !ok || held.Hook == nil {
			continue
		}
		inside, err := held.Hook.Process.Contains(os.Getpid())
		if err != nil {
			return err
		}
		if inside {
			return ftl.Errorf(ftl.Refused, "a daemon that the hook starts may do it later",
				"a hook (%s of %s) can't change its own package", held.Hook.Name, held.Hook.Revision)
		}
	}
	return nil
}

// settle waits for a hook that the lock's last holder left behind when it was
// killed: no hook may start while another one is at work. A hook that has had
// its time is ended.
func (l *Lock) settle(ctx context.Context, patience Patience) error {
	last, ok := l.locks.ReadHolder(l.name)
	if !ok || last.Hook == nil {
		return nil
	}
	if err := l.adopt(ctx, *last.Hook, patience); err != nil {
		return err
	}
	l.Hook = nil
	return nil
}

// adopt keeps the record of a hook that another ftl has started until it has
// ended: this one may be killed too.
func (l *Lock) adopt(ctx context.Context, hook RunningHook, patience Patience) error {
	l.Hook = &hook
	if patience.Interrupt {
		return l.locks.interrupt(ctx, hook)
	}
	alive, err := hook.Process.Alive()
	if err != nil || !alive {
		return err
	}
	if err := l.record(); err != nil {
		return err
	}
	timeout := l.locks.HookTimeout()
	left := timeout - Age(hook.Since, hook.Process)
	l.locks.Warn("%s: waiting for %s of %s (pid %d), which outlived its ftl", l.locks.Name, hook.Name, hook.Revision, hook.Process.PID)
	waiting, cancel := context.WithTimeout(ctx, max(left, 0))
	defer cancel()
	if err := hook.Process.Wait(waiting); err == nil || ctx.Err() != nil {
		return err
	}
	return l.locks.interrupt(ctx, hook)
}

// Release gives the lock back. To do it again is no error.
func (l *Lock) Release() error {
	if l.file == nil {
		return nil
	}
	l.Released = true
	err := l.record()
	if errors.Is(err, fs.ErrNotExist) { // the package was removed
		err = nil
	}
	file := l.file
	l.file = nil
	return ftl.Join(err, file.Close())
}
