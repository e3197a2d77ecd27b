package host

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// pkg is what a command does with one package of the host. It can be read; to change it takes a
// lock.
type pkg struct {
	*tree.Tree
	*teller
	kept
	host *Host

	postSync    sync.Mutex      // held while a post-sync runs
	stoodBack   bool            // sync has left the work to another one
	rolling     *rolling        // the rollout that sync has found, nil where there is none
	jumped      bool            // sync has come to the end of a jump
	cutOff      bool            // the bucket, which sync has read, does not answer after its jump
	distrust    error           // why what sync has found in the bucket does not count, nil where it does
	unfetchable error           // why the manifest of a revision does not count
	read        *reading        // what sync has read in the bucket, nil where it could not
	inPlace     []tree.Leftover // of revisions that were removed, in their own places
	unlogged    sync.Map        // the logs that could not be opened
}

func (h *Host) open(name revision.Package) *pkg {
	t := tree.Open(h.Root, name, tree.Options{
		Command: h.Command, User: h.User, HookTimeout: h.hookTimeout, Warn: h.warn,
	})
	return &pkg{Tree: t, teller: &teller{Tree: t, host: h}, kept: kept{t}, host: h}
}

// holding is a package of which one of the locks is held: only then a hook may run.
type holding struct {
	*pkg
	held *tree.Lock
}

// locked is a package whose change lock is held. Whatever runs the hooks of a jump is a method of
// it.
type locked struct {
	holding
	*tree.Locked
}

// syncing is a package whose sync lock is held: it may fill revs/.stage and make revisions ready.
type syncing struct {
	holding
	spares *spares // nil: there are none
}

// lock takes one of the package's locks. That the package is gone by then is told as that it was
// never there.
func (p *pkg) lock(ctx context.Context, name tree.LockName, patience tree.Patience) (*tree.Lock, error) {
	held, err := p.Tree.Lock(ctx, name, patience)
	return held, p.orGone(err)
}

// withLock calls f with the lock that owns the links and the state.
func (p *pkg) withLock(ctx context.Context, patience tree.Patience, f func(*locked) error) error {
	return p.orGone(p.Tree.WithLock(ctx, patience, p.changing(f)))
}

// withLockMending is withLock for the commands that must work on a damaged host:
// a state that can't be read is set aside.
func (p *pkg) withLockMending(ctx context.Context, patience tree.Patience, f func(*locked) error) error {
	return p.orGone(p.Tree.WithLockMending(ctx, patience, p.changing(f)))
}

func (p *pkg) changing(f func(*locked) error) func(*tree.Locked) error {
	return func(l *tree.Locked) error { return f(&locked{holding{p, l.Lock}, l}) }
}

// orGone says what it means that a package is gone.
func (p *pkg) orGone(err error) error {
	if errors.Is(err, tree.ErrGone) {
		if gone := p.mustExist(); gone != nil {
			return gone
		}
	}
	return err
}

// update changes the state, and nothing else.
func (p *pkg) update(ctx context.Context, wait time.Duration, change func(*tree.State)) error {
	return p.withLock(ctx, tree.Patience{Wait: wait}, func(l *locked) error {
		change(l.State)
		return l.WriteState()
	})
}
