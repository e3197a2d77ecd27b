package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// JumpOptions are the choices of Jump and JumpBack.
type JumpOptions struct {
	Interrupt bool // end the hook that another ftl is in, instead of waiting for it
	Force     bool // go on although pre-jump says "not now"
	// Unverified lets JumpBack go to a revision that nobody who is trusted has signed.
	Unverified bool
	// Params are what the revision's hooks are told; nil are those that it has.
	Params catalog.Params
}

// Jump activates r on this host, and fetches it first where it is not ready. To
// jump to the active revision is nothing to do, unless its post-jump failed:
// then that runs again. What a manual jump chose stands until the master
// changes.
func (h *Host) Jump(ctx context.Context, r revision.Revision, opts JumpOptions) error {
	p := h.open(r.Package())
	defer p.Close()
	asked := request{to: r, reason: tree.ReasonJump, JumpOptions: opts}
	return p.manualJump(ctx, asked, func(tree.Links) (revision.Revision, error) { return r, nil })
}

// JumpBack activates the previous revision. Twice is back where one was.
func (h *Host) JumpBack(ctx context.Context, name revision.Package, opts JumpOptions) error {
	p := h.open(name)
	defer p.Close()
	return p.manualJump(ctx, request{reason: tree.ReasonJumpBack, JumpOptions: opts}, func(saw tree.Links) (revision.Revision, error) {
		if saw.Previous == (revision.Revision{}) {
			return saw.Previous, p.noPrevious()
		}
		return saw.Previous, nil
	})
}

// noPrevious is the error of a jump-back where nothing is previous. A jump that was
// interrupted is still to be ended: the hint says how.
func (p *pkg) noPrevious() error {
	hint := "jump to a revision by its name; ftl list " + p.Name.String() + " shows them"
	if st, err := p.ReadState(); err == nil && st.Jump.Interrupted() && st.Jump.From != (revision.Revision{}) {
		hint = "a jump was interrupted in " + string(st.Jump.Phase) + "; to go on with it: ftl jump " + st.Jump.To.String() + "; or to stay: ftl jump " + st.Jump.From.String()
	}
	return ftl.Errorf(ftl.NotFound, hint, "%s has no previous revision on this host", p.Name)
}

// notReadyError says that a revision has to be fetched first.
type notReadyError struct{ revision revision.Revision }

func (e *notReadyError) Error() string { return e.revision.String() + " is not ready on this host" }

// request is what a person asks for.
type request struct {
	JumpOptions
	to     revision.Revision
	reason tree.Reason
	saw    tree.Links // when it was asked
}

func (p *pkg) manualJump(ctx context.Context, asked request, choose func(tree.Links) (revision.Revision, error)) error {
	if p.host.DryRun {
		return p.rehearseJump(ctx, asked, choose)
	}
	if err := p.begin(); err != nil {
		return err
	}
	wait := tree.Patience{Wait: p.host.lockWait(), Interrupt: asked.Interrupt}
	if err := p.MendLinks(ctx, wait); err != nil {
		return err
	}
	// Where to is settled by what list shows now. While we wait for the lock,
	// somebody else may jump, or a jump be turned back.
	var err error
	if asked.saw, err = p.expected(); err != nil {
		return err
	}
	if asked.to, err = choose(asked.saw); err != nil {
		return err
	}
	err = p.withLockMending(ctx, wait, func(l *locked) error { return l.manualJump(ctx, asked) })
	missing, ok := errors.AsType[*notReadyError](err)
	if !ok {
		return err
	}
	if p.host.Open == nil {
		return p.notHere(missing)
	}

	held, err := p.lock(ctx, tree.SyncLock, wait)
	if err != nil {
		return err
	}
	s := &syncing{holding: holding{p, held}}
	if err := s.obtainByName(ctx, missing.revision, asked.Params); err != nil {
		return ftl.Join(err, held.Release())
	}
	// Nobody may remove it again before the jump, so that lock is kept until
	// the other one is held.
	err = p.withLockMending(ctx, wait, func(l *locked) error {
		return ftl.Join(held.Release(), l.manualJump(ctx, asked))
	})
	return ftl.Join(err, held.Release())
}

func (p *pkg) rehearseJump(ctx context.Context, asked request, choose func(tree.Links) (revision.Revision, error)) error {
	d, err := p.rehearse(mendsAll)
	if err != nil {
		return err
	}
	saw := d.state.Jump.Shown(d.cur)
	if _, busy := p.AtWork(tree.ChangeLock); busy {
		saw = d.state.Jump.Leaves(saw)
	}
	if asked.to, err = choose(saw); err != nil {
		return err
	}
	return d.jumpByHand(ctx, asked)
}

// expected returns the links that a person has in mind who asks for a jump: what
// list shows. Where another ftl is in the middle of a jump, they are as that jump
// leaves them, since by then this one's turn has come.
func (p *pkg) expected() (tree.Links, error) {
	st, err := p.ReadState()
	if errors.Is(err, tree.ErrState) { // it will be set aside
		return p.Links()
	}
	if err != nil || st.Removed {
		return tree.Links{}, err
	}
	shown, err := p.shown(st)
	if _, busy := p.AtWork(tree.ChangeLock); err != nil || !busy {
		return shown, err
	}
	return st.Jump.Leaves(shown), nil
}

// standing returns the links as they are shown, and where no jump was interrupted, without a
// current whose revision is gone.
func (p *pkg) standing(st *tree.State) (tree.Links, error) {
	if st.Jump.Interrupted() {
		return p.shown(st)
	}
	return p.Present()
}

// shown returns the links as people are told of them.
func (p *pkg) shown(st *tree.State) (tree.Links, error) {
	now, err := p.Links()
	return st.Jump.Shown(now), err
}

// notHere is the error of a revision that can't be fetched, as there is no
// bucket.
func (p *pkg) notHere(missing *notReadyError) error {
	return ftl.Errorf(ftl.NotFound, "set FTL_BUCKET to fetch it; ftl list "+p.Name.String()+" shows what is here", "%w", missing)
}

// mayChange makes sure that the package's tree may be changed by this process.
func (p *pkg) mayChange() error {
	if err := p.mustExist(); err != nil {
		return err
	}
	if err := p.checkAlone(); err != nil {
		return err
	}
	if err := p.checkTrust(); err != nil {
		return err
	}
	safe, err := p.CheckOwner()
	if err != nil {
		return err
	}
	p.Files.Close()
	p.Files = safe
	if err := p.checkMount(); err != nil {
		return err
	}
	return p.RefuseInsideHook(tree.SyncLock, tree.ChangeLock)
}

// begin makes the tree ready for a command that changes it.
func (p *pkg) begin() error {
	if err := p.mayChange(); err != nil {
		return err
	}
	if err := p.Prepare(); err != nil {
		return err
	}
	p.CutLogs()
	return nil
}

func (l *locked) manualJump(ctx context.Context, asked request) error {
	if err := l.endRemoval(); err != nil {
		return err
	}
	shown, err := l.shown(l.State)
	if err != nil {
		return err
	}
	if err := l.prepareJump(l.State, shown, asked); err != nil {
		return err
	}
	to := asked.to
	if asked.reason == tree.ReasonJumpBack && to != shown.Current && asked.saw.Current != shown.Current {
		return ftl.Errorf(ftl.Refused, "look at it, then say where to: ftl jump REVISION",
			"%s was active when you asked to go back to %s, and now %s is", asked.saw.Current, to, shown.Current)
	}
	for {
		cur, err := l.standing(l.State)
		if err != nil {
			return err
		}
		switch moveByHand(l.State, cur, asked, l.usableFor(l.State, asked, l.usable)) {
		case dropInterrupted:
			err = l.drop()
		case undoInterrupted:
			err = l.undo()
		case recordFlip:
			err = l.recordFlip()
		case finishInterrupted:
			if err = l.rollForward(ctx); err == nil && l.State.Jump.Interrupted() {
				err = fmt.Errorf("the jump to %s did not get beyond %s", l.State.Jump.To, l.State.Jump.Phase)
			}
		case takeOver:
			return l.takeOver(ctx, asked)
		case startActive:
			l.State.Overrule()
			l.tellAsked(asked)
			return l.startAnew(ctx, cur, asked.reason)
		case confirmActive:
			l.State.Overrule()
			l.tellAtOnce(to, ftl.Flip, "is already active")
			return l.WriteState()
		case fetchFirst:
			return &notReadyError{to}
		case beginJump:
			l.tellAsked(asked)
			return l.jump(ctx, cur, tree.Transition{To: to, Reason: asked.reason, Force: asked.Force}, l.State.Ready[to].Params)
		}
		if err != nil {
			return err
		}
	}
}

// tellAsked notes the parameters that a person gives; without any, those of before stay.
func (l *locked) tellAsked(asked request) {
	if asked.Params != nil {
		l.State.Tell(asked.to, asked.Params)
	}
}

// jump begins a new jump, in the place of an older one that has flipped the links. Where it is
// dropped, that goes on, after the error of pre-jump, which is the first of those that are
// returned.
func (l *locked) jump(ctx context.Context, from tree.Links, t tree.Transition, params catalog.Params) error {
	if err := l.CheckTree(t.To); err != nil {
		return err
	}
	st := l.State
	st.Tell(t.To, params)
	t.From, t.Previous, t.Started = from.Current, from.Previous, time.Now()
	if t.From == (revision.Revision{}) && t.Previous == t.To { // where current was lost
		t.Previous = revision.Revision{}
	}
	t.Unfinished = st.Jump.LeftToDo()
	st.Jump = &t
	delete(st.Rejected, t.To) // who asks for it again means it
	if err := l.enter(tree.PhasePreJump); err != nil {
		return err
	}
	err := l.advanceAndNote(ctx, false)
	if left := t.Unfinished; left != nil && st.Jump == left {
		err = ftl.Join(err, l.resume(ctx))
	}
	return err
}
