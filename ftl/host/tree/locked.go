package tree

import (
	"context"
	"errors"
	"fmt"

	"github.com/rhettg/ftl/ftl"
)

// Locked is a tree whose change lock is held, with the state as it was read under the lock.
// Whatever writes the state or the links is a method of it: without the lock there is nothing to
// call.
type Locked struct {
	Tree  *Tree
	Lock  *Lock
	State *State
}

// WithLock calls f with the lock that owns the links and the state.
func (t *Tree) WithLock(ctx context.Context, patience Patience, f func(*Locked) error) error {
	return t.withLock(ctx, patience, (*Locked).read, f)
}

// WithLockMending is WithLock for the commands that must work on a damaged host: a state that can't
// be read is set aside.
func (t *Tree) WithLockMending(ctx context.Context, patience Patience, f func(*Locked) error) error {
	return t.withLock(ctx, patience, (*Locked).readMending, f)
}

func (t *Tree) withLock(ctx context.Context, patience Patience, first, then func(*Locked) error) error {
	held, err := t.Lock(ctx, ChangeLock, patience)
	if err != nil {
		return err
	}
	l := &Locked{Tree: t, Lock: held}
	if err = first(l); err == nil && then != nil {
		err = then(l)
	}
	return ftl.Join(err, held.Release())
}

func (l *Locked) read() (err error) {
	l.State, err = l.Tree.ReadState()
	return err
}

// readMending is read for a damaged host.
func (l *Locked) readMending() error {
	err := l.read()
	if !errors.Is(err, ErrState) {
		return err
	}
	t := l.Tree
	aside := t.StatePath() + ".unreadable"
	t.Warn("%s: %v; it is now %s", t.Name, err, aside)
	if err := t.Files.Rename(t.StatePath(), aside); err != nil {
		return err
	}
	// An older ftl wrote into it what hooks printed.
	if info, err := t.Files.Lstat(aside); err == nil && info.Mode().IsRegular() {
		if err := t.Files.Chmod(aside, 0o600); err != nil {
			return err
		}
	}
	return l.read()
}

// WriteState replaces the state. On a full disk it gives up the reserve, so that
// a jump-back still works.
func (l *Locked) WriteState() error {
	data, err := l.State.encode()
	if err != nil {
		return err
	}
	err = l.Tree.WithReserve(func() error { return l.Tree.Files.WriteFile(l.Tree.StatePath(), data, 0o644) })
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return nil
}
