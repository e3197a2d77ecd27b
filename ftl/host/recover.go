package host

import (
	"context"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// rollForward takes up a jump that was interrupted before its links were
// flipped, or in between. What is left to do after the flip is not done here: a
// newer jump supersedes it. A hook that fails is only told of, as it must not
// block what the command is about.
func (l *locked) rollForward(ctx context.Context) error {
	err := l.takeUp(ctx)
	if hookFailed(err) && !interrupted(err) {
		l.host.warn("%s: %v", l.Name, err)
		return nil
	}
	return err
}

// takeUp goes on with a jump that was interrupted. One that was in pre-jump is dropped, and one
// whose revision has vanished is undone.
func (l *locked) takeUp(ctx context.Context) error {
	switch moveOfRecovery(l.State.Jump, l.usable) {
	case dropInterrupted:
		if err := l.drop(); err != nil {
			return err
		}
		return l.resume(ctx)
	case undoInterrupted:
		if err := l.undo(); err != nil {
			return err
		}
		return l.resume(ctx)
	case finishInterrupted:
		return l.finishInterrupted(ctx)
	}
	return nil
}

// usable reports whether a revision can become active.
func (l *locked) usable(r revision.Revision) bool { return l.isUsable(l.State, r) }

func (p *pkg) isUsable(st *tree.State, r revision.Revision) bool {
	return st.IsVerified(r, p.host.trusting()) && p.CheckTree(r) == nil
}

// recovering calls do, and says that a jump is not over, and is taken up.
func (l *locked) recovering(do func() error) error {
	t := l.State.Jump
	task := ftl.Begin(l.report, ftl.Event{Revision: t.To, Step: ftl.Recover, Message: "the jump was interrupted in " + string(t.Phase)})
	err := do()
	task.End("", err)
	return err
}

// drop ends a jump of which nothing but pre-jump has run.
func (l *locked) drop() error {
	l.State.Jump = l.State.Jump.Unfinished
	return l.WriteState()
}

// undo puts the links back as they were before a jump. What is left to do then is to start the old
// revision again.
func (l *locked) undo() error {
	t := l.State.Jump
	return l.recovering(func() error {
		if err := l.Flip(t.Before()); err != nil {
			return err
		}
		l.State.Jump = t.Undone()
		return l.WriteState()
	})
}

// recordFlip notes that both links have flipped.
func (l *locked) recordFlip() error {
	t := l.State.Jump
	if err := l.Flip(t.After()); err != nil { // which may not be durable yet
		return err
	}
	return l.proceed(rules[t.Phase])
}

func (l *locked) finishInterrupted(ctx context.Context) error {
	return l.recovering(func() error {
		l.State.Jump.Tries++
		if err := l.WriteState(); err != nil {
			return err
		}
		return l.advanceAndNote(ctx, true)
	})
}

// takeOver goes on with an interrupted jump as what a person asks for.
func (l *locked) takeOver(ctx context.Context, asked request) error {
	l.State.Jump.Reason, l.State.Jump.Mark = asked.reason, tree.Mark{}
	l.tellAsked(asked)
	return l.finishInterrupted(ctx)
}

// resume goes on with what is left to do of the active revision's jump, after another one that came
// in its place is dropped. A post-jump that has failed has its own time.
func (l *locked) resume(ctx context.Context) error {
	t := l.State.Jump
	if t == nil || !t.Flipped() || t.HasFailed() || ctx.Err() != nil {
		return nil
	}
	return l.retryPostJump(ctx)
}

// startAnew runs post-jump, and what follows it, of the active revision again.
func (l *locked) startAnew(ctx context.Context, cur tree.Links, reason tree.Reason) error {
	st := l.State
	sound := st.Jump == nil && st.Inconsistent == "" // and only what the hooks are told is new
	if st.Jump == nil {
		st.Jump = &tree.Transition{To: cur.Current, Previous: cur.Previous, Phase: tree.PhasePostJump, Reason: reason, Started: time.Now()}
	}
	st.Jump.Tries, st.Jump.Rounds = 0, 0
	if err := l.runPostJump(ctx, !sound && !st.Jump.HasFailed()); err != nil {
		return err
	}
	l.tellAtOnce(cur.Current, ftl.Flip, "its post-jump has run again")
	return nil
}

// retryPostJump runs post-jump again, of a jump that is done but for it.
func (l *locked) retryPostJump(ctx context.Context) error {
	return l.runPostJump(ctx, !l.State.Jump.HasFailed())
}

func (l *locked) runPostJump(ctx context.Context, recovery bool) error {
	l.State.Jump.Tries++
	l.State.Jump.Rounds++
	if err := l.WriteState(); err != nil {
		return err
	}
	return l.advanceAndNote(ctx, recovery)
}
