package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// advanceAndNote is advance, and notes in the log what came of it.
func (l *locked) advanceAndNote(ctx context.Context, recovery bool) error {
	t, message := *l.State.Jump, ""
	params := l.State.Ready[t.To].Params
	if t.Phase != tree.PhasePreJump {
		message = "taken up in " + string(t.Phase)
	}
	var err error
	manifest, _ := l.keptManifest(t.To)
	task := ftl.Begin(func(event ftl.Event) {
		l.tellCaller(event)
		if event.State != ftl.Running && !notNow(err) && !errors.Is(err, errNotYet) { // which the log is told once, and not at every sync
			l.note(event, tree.Details{From: t.From, Reason: t.Reason, Params: params})
		}
	}, ftl.Event{Revision: t.To, Step: ftl.Jump, Planned: l.plannedSteps(manifest.About)})
	l.recorded.start()
	err = l.advance(ctx, recovery)
	if steps := l.recorded.stop(); err == nil && t.Phase == tree.PhasePreJump {
		l.keepSteps(steps)
	}
	task.End(message, err)
	return err
}

// advance takes the jump from the phase that it is in to its end, or to the end of the way back.
// Without an error the state has no jump any more; with one, it tells how far the jump went.
func (l *locked) advance(ctx context.Context, recovery bool) error {
	var goneOn error
	for l.State.Jump != nil {
		r := rules[l.State.Jump.Phase]
		err := l.perform(ctx, r, recovery)
		recovery = false
		if r.goesOnAfter(err) || l.State.Jump.Force && notNow(err) {
			goneOn, err = ftl.Join(goneOn, l.tell(r, err)), nil
		}
		if err == nil && r.hook == ftl.PreJump {
			err = l.lastLook(ctx)
		}
		if err == nil {
			err = l.proceed(r)
		} else {
			err = l.fail(ctx, r, err)
		}
		if err != nil {
			return ftl.Join(goneOn, err)
		}
	}
	return goneOn
}

// perform does what a phase is about. A revision that does not bring the hook has passed.
func (l *locked) perform(ctx context.Context, r rule, recovery bool) error {
	t := l.State.Jump
	of := r.of.in(t)
	run := hookRun{name: r.hook, of: of, old: t.From, new: t.To, reason: t.Reason, attempt: t.Tries, recovery: recovery}
	if r.back {
		run.old, run.new, run.reason = t.To, t.From, tree.ReasonRevert
	}
	if r.hook == ftl.PreJump {
		run.asked = t.Mark != (tree.Mark{}) && t.Mark == l.State.Deferred.Mark
	}
	switch {
	case r.hook == "":
		return l.swap(r)
	case of == (revision.Revision{}):
		return nil
	case r.hook != ftl.Check:
		return l.runHook(ctx, run)
	case l.shipsCheck(of):
		if err := l.runCheck(ctx, run, of); err != nil {
			return err
		}
	}
	if l.mustReach(r) {
		return l.reachBucket(ctx, of)
	}
	return nil
}

// swap flips the links, forth or back.
func (l *locked) swap(r rule) error {
	t := l.State.Jump
	to, message := t.After(), ""
	if t.From != (revision.Revision{}) {
		message = "was " + t.From.String()
	}
	if r.back {
		to, message = t.Before(), "again, as "+t.To.String()+" was rejected"
	}
	task := l.begins(to.Current, ftl.Flip)
	err := l.Flip(to)
	task.End(message, err)
	return err
}

// proceed goes on to the next phase, or ends the jump.
func (l *locked) proceed(r rule) error {
	t := l.State.Jump
	if r.next == tree.PhasePostJump {
		l.State.Flipped(t)
	}
	next := r.next
	if next != tree.PhaseNone && rules[next].hook == ftl.Check && !l.shipsCheck(rules[next].of.in(t)) && !l.mustReach(rules[next]) {
		next = rules[next].next
	}
	switch {
	case next != tree.PhaseNone:
		return l.enter(next)
	case r.back:
		return l.rolledBack()
	}
	return l.finish()
}

// enter notes that a phase begins.
func (l *locked) enter(phase tree.Phase) error {
	t := l.State.Jump
	t.Phase, t.Tries = phase, 1
	if phase == tree.PhasePostJump {
		t.Rounds++
	}
	return l.WriteState()
}

// finish ends a jump that has done all it should.
func (l *locked) finish() error {
	st := l.State
	l.jumped = true
	delete(st.Rejected, st.Jump.To)
	st.Vote(st.Jump.To, rollout.OK)
	st.Inconsistent = ""
	st.Jump = nil
	return l.WriteState()
}

// rolledBack ends the way back.
func (l *locked) rolledBack() error {
	st, t := l.State, l.State.Jump
	err := ftl.Errorf(ftl.RolledBack, rejectedHint(t.To),
		"%s was rejected, and %s is active again: %s", t.To, t.From, st.Rejected[t.To].Reason)
	st.Inconsistent = ""
	st.Jump = nil
	l.tellReverted(t, nil)
	return ftl.Join(err, l.WriteState())
}

// tellReverted tells that the way back has ended. It began when the revision was rejected, which
// may have been another ftl's work.
func (l *locked) tellReverted(t *tree.Transition, err error) {
	began := l.State.Rejected[t.To].At
	if began.IsZero() { // that was lost
		began = time.Now()
	}
	l.report(ftl.Event{Revision: t.To, Step: ftl.Revert}.Ended(began, "", err))
}

// goesOnAfter reports whether a failure is one that a jump goes on after.
func (r rule) goesOnAfter(cause error) bool {
	return cause != nil && !stillToDo(cause) && (r.failure == goesOn || r.failure == goesOnFailed)
}

// stillToDo reports whether a hook that was interrupted, or that the disk kept from running, says
// nothing of the revision.
func stillToDo(cause error) bool { return interrupted(cause) || diskFailed(cause) }

// tell warns of a failure that a jump goes on after, or returns it, for the end.
func (l *locked) tell(r rule, cause error) error {
	if r.failure == goesOnFailed {
		return cause
	}
	l.host.warn("%s: %v", l.Name, cause)
	return nil
}

// fail does what comes of a phase that failed. It returns nil where the jump turns back.
func (l *locked) fail(ctx context.Context, r rule, cause error) error {
	switch {
	case r.failure == dropsJump:
		return l.refuse(cause)
	case r.failure == turnsBack && !interrupted(cause):
		return l.turnBack(ctx, cause)
	case r.failure == givesUp && !stillToDo(cause):
		return l.giveUp(cause)
	}
	return cause
}

// refuse ends a jump that pre-jump refused: nothing has changed.
func (l *locked) refuse(cause error) error {
	st, t := l.State, l.State.Jump
	st.Jump = t.Unfinished
	_, looked := errors.AsType[*lookError](cause)
	switch {
	case looked:
		st.Rollout.ForgetTry()
	case notNow(cause) && t.Mark != (tree.Mark{}):
		st.DeferJump(t.Mark, time.Now())
	case !notNow(cause) && !stillToDo(cause):
		st.Fail(t.To, ftl.PreJump, cause, time.Now())
		st.Failures.Of(t.To, ftl.PreJump).ByHand = t.Mark == (tree.Mark{})
	}
	if err := l.WriteState(); err != nil {
		return fmt.Errorf("%w, after %v", err, cause) // and not "not now", which is no error for sync
	}
	return cause
}

// turnBack leaves a revision again that ships a check and does not work. That it is rejected is
// written before the first step, so that neither a crash nor the next sync can bring it back. Where
// there is no check, or nothing to go back to, the jump stays, until it is tried again or
// superseded.
func (l *locked) turnBack(ctx context.Context, cause error) error {
	st, t := l.State, l.State.Jump
	if !diskFailed(cause) {
		st.Vote(t.To, rollout.Bad)
	}
	if diskFailed(cause) || !l.mayRevert() {
		t.Failed = cause.Error()
		if t.Phase == tree.PhaseCheck { // post-jump comes before it again
			t.Phase, t.Tries = tree.PhasePostJump, max(t.Rounds, 1)
		}
		return ftl.Join(cause, l.WriteState())
	}
	if st.Rejected == nil {
		st.Rejected = make(map[revision.Revision]tree.Rejection)
	}
	why := tree.Rejection{At: time.Now(), Reason: cause.Error()}
	st.Rejected[t.To] = why
	l.tellVote(ctx) // before the way back, which may take long or fail
	l.report(ftl.Event{Revision: t.To, Step: ftl.Revert, State: ftl.Running, Message: why.Reason})
	return l.enter(tree.PhaseRevertUnJump)
}

// mayRevert reports whether there is a revision to go back to, and a check that
// says so is wanted.
func (l *locked) mayRevert() bool {
	t := l.State.Jump
	return t.From != (revision.Revision{}) && (l.shipsCheck(t.To) || l.cutOff) && l.CheckTree(t.From) == nil
}

// giveUp ends a way back on which the old revision failed too: the package is inconsistent, and
// waits for a person.
func (l *locked) giveUp(cause error) error {
	st, t := l.State, l.State.Jump
	st.Inconsistent = fmt.Sprintf("%s was rejected (%s), and %s does not work either: %v", t.To, st.Rejected[t.To].Reason, t.From, cause)
	st.Jump = nil
	l.tellReverted(t, cause)
	return ftl.Join(st.NothingWorks(t.From), l.WriteState())
}
