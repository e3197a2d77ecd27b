package host

import (
	"context"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// rollForward takes up a jump that was interrupted before its links were
// flipped, or in between. What is left to do after the flip is not done here: a
// newer jump supersedes it. A hook that fails is only told of, as it must not
// block what the command is about.
func (p *pkg) rollForward(ctx context.Context, l *lock, st *state) error {
	err := p.takeUp(ctx, l, st)
	if hookFailed(err) && !interrupted(err) {
		p.host.warn("%s: %v", p.name, err)
		return nil
	}
	return err
}

func (p *pkg) takeUp(ctx context.Context, l *lock, st *state) error {
	f := st.Jump
	if f == nil || f.flipped() {
		return nil
	}
	if f.Phase == phasePreJump { // nothing has changed
		st.Jump = nil
		return p.writeState(st)
	}
	p.report(ftl.Event{Revision: f.To, Step: ftl.Recover, State: ftl.Running, Message: "the jump was interrupted in " + string(f.Phase)})
	if f.Phase == phaseUnJump && (!st.isReady(f.To) || p.checkTree(f.To) != nil) {
		return p.returnTo(ctx, l, st)
	}
	f.Tries++
	if err := p.writeState(st); err != nil {
		return err
	}
	return p.fly(ctx, l, st, true)
}

// returnTo ends a jump whose revision has vanished while un-jump may already
// have stopped the old one: the old one's post-jump starts it again.
func (p *pkg) returnTo(ctx context.Context, l *lock, st *state) error {
	f := st.Jump
	if f.From == (revision.Revision{}) {
		st.Jump = nil
		return p.writeState(st)
	}
	f.To, f.From = f.From, f.To
	if err := p.enter(st, phasePostJump); err != nil {
		return err
	}
	return p.fly(ctx, l, st, true)
}

// retryPostJump runs post-jump again, of a jump that is done but for it.
func (p *pkg) retryPostJump(ctx context.Context, l *lock, st *state) error {
	st.Jump.Tries++
	st.Jump.Rounds++
	if err := p.writeState(st); err != nil {
		return err
	}
	return p.fly(ctx, l, st, !st.Jump.failed())
}
