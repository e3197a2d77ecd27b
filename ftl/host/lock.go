package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
)

// A package has two locks, so that a jump-back never waits for a download. They
// are always taken in this order:
//
//	.ftl/sync.lock   owns revs/.stage and the revisions that are not ready
//	.lock            owns the links, the state and the ready revisions
//
// The lock is the kernel's, on the open file: it is free when its holder has
// died, however that was. Beside it lies a record of who holds it, for people
// who wait, and of the hook that runs under it. The record outlives a holder
// that was killed, so the next one finds a hook that may still be at work.
type lockName struct{ file, record string }

var (
	syncLock   = lockName{".ftl/sync.lock", ".ftl/sync.holder"}
	changeLock = lockName{".lock", ".ftl/lock.holder"}
)

// lock is a lock that is held.
type lock struct {
	pkg   *pkg
	name  lockName
	flock *flock.Flock
	holder
}

// patience says what to do while somebody else holds a lock.
type patience struct {
	wait      time.Duration
	interrupt bool // end the hook that the holder is in
}

const lockPoll = 20 * time.Millisecond

// lock takes one of the package's locks. When somebody else keeps it for longer
// than the wait, the error is ftl.Busy and names the holder.
func (p *pkg) lock(ctx context.Context, name lockName, patience patience) (*lock, error) {
	self, err := hooks.Self()
	if err != nil {
		return nil, err
	}
	l := &lock{pkg: p, name: name, holder: holder{Process: self, Command: p.host.Command, Since: time.Now()}}
	deadline := time.Now().Add(patience.wait)
	for {
		if l.flock, err = p.tryLock(name, self); err != nil {
			return nil, err
		}
		if l.flock != nil {
			break
		}
		if err := p.whileBusy(ctx, name, patience); err != nil {
			return nil, err
		}
		if !time.Now().Before(deadline) {
			return nil, p.busy(name)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
	if err := l.settle(ctx, patience); err != nil {
		return nil, errors.Join(err, l.release())
	}
	if err := l.record(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// tryLock returns nil when somebody else holds the lock. The lock is on the
// file, not on its name: if the file was deleted or replaced meanwhile, another
// process holds the lock that counts, so that is tried again; and if the holder
// by the record is still at work, its lock was deleted under it and counts.
func (p *pkg) tryLock(name lockName, self hooks.Process) (*flock.Flock, error) {
	path := filepath.Join(p.dir, name.file)
	for {
		f := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW), flock.SetPermissions(0o600))
		locked, err := f.TryLock()
		if errors.Is(err, unix.ELOOP) {
			return nil, ftl.Errorf(ftl.Refused, "find out who made it, then delete it", "%s is a symbolic link", path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			if gone := p.mustExist(); gone != nil { // the package was removed while we waited
				return nil, gone
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
			return nil, errors.Join(err, f.Close())
		}
		named, err := os.Lstat(path)
		if err == nil && os.SameFile(held, named) {
			atWork, err := p.holderAtWork(name, self)
			if err != nil || atWork {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		}
		if closed := f.Close(); closed != nil || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, closed)
		}
	}
}

// whileBusy looks at the lock's holder: it refuses to wait for a hook that
// itself waits for this command, and interrupts if that is wanted.
func (p *pkg) whileBusy(ctx context.Context, name lockName, patience patience) error {
	if err := p.refuseInsideHook(name); err != nil {
		return err
	}
	held, ok := p.readHolder(name)
	if !ok || held.Hook == nil || !patience.interrupt {
		return nil
	}
	return p.interrupt(ctx, *held.Hook)
}

func (p *pkg) interrupt(ctx context.Context, hook runningHook) error {
	alive, err := hook.Process.Alive()
	if err != nil || !alive {
		return err
	}
	p.host.warn("%s: ending %s of %s (pid %d)", p.name, hook.Name, hook.Revision, hook.Process.PID)
	return hook.Process.Terminate(ctx, 0)
}

// refuseInsideHook refuses to change a package from inside a hook of it: the
// hook's ftl holds the lock until the hook ends.
func (p *pkg) refuseInsideHook(names ...lockName) error {
	for _, name := range names {
		held, ok := p.readHolder(name)
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
func (l *lock) settle(ctx context.Context, patience patience) error {
	last, ok := l.pkg.readHolder(l.name)
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
func (l *lock) adopt(ctx context.Context, hook runningHook, patience patience) error {
	l.Hook = &hook
	if patience.interrupt {
		return l.pkg.interrupt(ctx, hook)
	}
	alive, err := hook.Process.Alive()
	if err != nil || !alive {
		return err
	}
	if err := l.record(); err != nil {
		return err
	}
	timeout := l.pkg.host.hookTimeout()
	left := min(timeout, timeout-time.Since(hook.Since)) // the clock may have been set back
	l.pkg.host.warn("%s: waiting for %s of %s (pid %d), which outlived its ftl", l.pkg.name, hook.Name, hook.Revision, hook.Process.PID)
	waiting, cancel := context.WithTimeout(ctx, max(left, 0))
	defer cancel()
	if err := hook.Process.Wait(waiting); err == nil || ctx.Err() != nil {
		return err
	}
	return l.pkg.interrupt(ctx, hook)
}

// release gives the lock back. To do it again is no error.
func (l *lock) release() error {
	if !l.flock.Locked() {
		return nil
	}
	l.Released = true
	err := l.record()
	if errors.Is(err, fs.ErrNotExist) { // the package was removed
		err = nil
	}
	return errors.Join(err, l.flock.Close())
}
