package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// A jump goes through these phases:
//
//	pre-jump(new) → un-jump(old) → previous and current flip → post-jump(new) → check(new)
//
// and back, when a revision that ships a check does not pass it (revert.go).
// Each is written into the state before it begins, so that the next command
// after a crash takes the jump up in the phase where it was. A hook may
// therefore run more than once for a jump, but never not at all.

// JumpOptions are the choices of Jump and JumpBack.
type JumpOptions struct {
	Interrupt bool // end the hook that another ftl is in, instead of waiting for it
}

// Jump activates r on this host, and fetches it first where it is not ready. To
// jump to the active revision is nothing to do, unless its post-jump failed:
// then that runs again. What a manual jump chose stands until the master
// changes.
func (h *Host) Jump(ctx context.Context, r revision.Revision, opts JumpOptions) error {
	return h.open(r.Package()).manualJump(ctx, opts, reasonJump, func(links) (revision.Revision, error) {
		return r, nil
	})
}

// JumpBack activates the previous revision. Twice is back where one was.
func (h *Host) JumpBack(ctx context.Context, name revision.Package, opts JumpOptions) error {
	return h.open(name).manualJump(ctx, opts, reasonJumpBack, func(links links) (revision.Revision, error) {
		if links.previous == (revision.Revision{}) {
			return links.previous, ftl.Errorf(ftl.NotFound, "jump to a revision by its name; ftl list "+name.String()+" shows them",
				"%s has no previous revision on this host", name)
		}
		return links.previous, nil
	})
}

// notReadyError says that a revision has to be fetched first.
type notReadyError struct{ revision revision.Revision }

func (e *notReadyError) Error() string { return e.revision.String() + " is not ready on this host" }

func (p *pkg) manualJump(ctx context.Context, opts JumpOptions, reason reason, choose func(links) (revision.Revision, error)) error {
	if p.host.DryRun {
		return p.dryJump(ctx, choose)
	}
	if err := p.begin(); err != nil {
		return err
	}
	// Where to is settled by what the person sees now. While we wait for the
	// lock, somebody else may jump, or a jump be turned back.
	saw, err := p.linksToBe()
	if err != nil {
		return err
	}
	to, err := choose(saw)
	if err != nil {
		return err
	}
	patience := patience{p.host.lockWait(), opts.Interrupt}
	err = p.withLock(ctx, patience, func(l *lock) error { return p.manualJumpLocked(ctx, l, reason, saw, to) })
	missing, ok := errors.AsType[*notReadyError](err)
	if !ok {
		return err
	}
	if p.host.Open == nil {
		return p.notHere(missing)
	}

	syncing, err := p.lock(ctx, syncLock, patience)
	if err != nil {
		return err
	}
	if err := p.obtainByName(ctx, syncing, missing.revision); err != nil {
		return errors.Join(err, syncing.release())
	}
	// Nobody may remove it again before the jump, so that lock is kept until
	// the other one is held.
	err = p.withLock(ctx, patience, func(l *lock) error {
		return errors.Join(syncing.release(), p.manualJumpLocked(ctx, l, reason, saw, to))
	})
	return errors.Join(err, syncing.release())
}

// linksToBe returns the links, as they will be once a jump that was interrupted
// in the middle is taken up.
func (p *pkg) linksToBe() (links, error) {
	now, err := p.links()
	if err != nil {
		return links{}, err
	}
	st, err := p.readState()
	if errors.Is(err, errState) { // it will be set aside
		return now, nil
	}
	if err != nil {
		return links{}, err
	}
	if f := st.Jump; f != nil && f.Phase != phasePreJump && f.From != (revision.Revision{}) {
		return links{current: f.To, previous: f.From}, nil
	}
	return now, nil
}

// startAnew runs post-jump, and what follows it, of the active revision again.
func (p *pkg) startAnew(ctx context.Context, l *lock, st *state, links links, reason reason) error {
	if st.Jump == nil {
		st.Jump = &flight{To: links.current, Previous: links.previous, Phase: phasePostJump, Reason: reason, Started: time.Now()}
	}
	st.Jump.Tries, st.Jump.Rounds = 0, 0
	if err := p.retryPostJump(ctx, l, st); err != nil {
		return err
	}
	p.report(ftl.Event{Revision: links.current, Step: ftl.Flip, State: ftl.Success, Message: "its post-jump has run again"})
	return nil
}

// notHere is the error of a revision that can't be fetched, as there is no
// bucket.
func (p *pkg) notHere(missing *notReadyError) error {
	return ftl.Errorf(ftl.NotFound, "set FTL_BUCKET to fetch it; ftl list "+p.name.String()+" shows what is here", "%w", missing)
}

// begin makes sure that the package's tree may be changed by this process.
func (p *pkg) begin() error {
	if err := p.mustExist(); err != nil {
		return err
	}
	if err := p.checkOwner(); err != nil {
		return err
	}
	if err := p.refuseInsideHook(syncLock, changeLock); err != nil {
		return err
	}
	if err := p.prepare(); err != nil {
		return err
	}
	p.cutLogs()
	return nil
}

// withLock calls f with the lock that owns the links and the state.
func (p *pkg) withLock(ctx context.Context, patience patience, f func(*lock) error) error {
	l, err := p.lock(ctx, changeLock, patience)
	if err != nil {
		return err
	}
	return errors.Join(f(l), l.release())
}

func (p *pkg) manualJumpLocked(ctx context.Context, l *lock, reason reason, saw links, to revision.Revision) error {
	st, err := p.readOrAdoptState()
	if err != nil {
		return err
	}
	if err := p.rollForward(ctx, l, st); err != nil {
		return err
	}
	links, err := p.links()
	switch {
	case err != nil:
		return err
	case to == links.current && (st.Jump != nil || st.Inconsistent != ""):
		st.overrule()
		return p.startAnew(ctx, l, st, links, reason)
	case reason == reasonJumpBack && to != links.current && saw.current != links.current:
		return ftl.Errorf(ftl.Refused, "look at it, then say where to: ftl jump REVISION",
			"%s was active when you asked to go back to %s, and now %s is", saw.current, to, links.current)
	case to == links.current:
		st.overrule()
		p.report(ftl.Event{Revision: to, Step: ftl.Flip, State: ftl.Success, Message: "is already active"})
		return p.writeState(st)
	case !st.isReady(to) || p.checkTree(to) != nil:
		return &notReadyError{to}
	}
	return p.jump(ctx, l, st, links, flight{To: to, Reason: reason})
}

// jump begins a new jump, in the place of an older one that may be in flight.
func (p *pkg) jump(ctx context.Context, l *lock, st *state, links links, f flight) error {
	if err := p.checkTree(f.To); err != nil {
		return err
	}
	f.From, f.Previous, f.Started = links.current, links.previous, time.Now()
	st.Jump = &f
	st.Removed = false
	delete(st.Rejected, f.To) // who asks for it again means it
	if err := p.enter(st, phasePreJump); err != nil {
		return err
	}
	return p.fly(ctx, l, st, false)
}

// fly is travel, and notes in the log what came of it.
func (p *pkg) fly(ctx context.Context, l *lock, st *state, recovery bool) error {
	f, began := *st.Jump, time.Now()
	err := p.travel(ctx, l, st, recovery)
	if notNow(err) { // which is told once, and not at every sync
		return err
	}
	event := ftl.Event{Revision: f.To, Step: stepJump, State: ftl.Success}
	if f.Phase != phasePreJump {
		event.Message = "taken up in " + string(f.Phase)
	}
	if err != nil {
		event.State, event.Message = ftl.Failure, err.Error()
	}
	p.note(event, details{from: f.From, reason: f.Reason, took: time.Since(began)})
	return err
}

// travel takes the jump in flight from the phase that it is in to its end. Without
// an error the state has no jump in flight any more; with one, it tells how far
// the jump went. After an un-jump that failed the jump goes on: a broken old
// script must not block the fix.
func (p *pkg) travel(ctx context.Context, l *lock, st *state, recovery bool) error {
	f := st.Jump
	var unJumpFailed error
	for st.Jump != nil {
		hook := hookRun{old: f.From, new: f.To, reason: f.Reason, attempt: f.Tries, recovery: recovery}
		recovery = false
		switch f.Phase {
		case phasePreJump:
			hook.name, hook.of = hooks.PreJump, f.To
			if err := p.runHook(ctx, l, st, hook); err != nil {
				return p.dropJump(st, err)
			}
			if err := p.enter(st, phaseUnJump); err != nil {
				return err
			}
		case phaseUnJump:
			hook.name, hook.of = hooks.UnJump, f.From
			if f.From != (revision.Revision{}) {
				unJumpFailed = p.runHook(ctx, l, st, hook)
			}
			if interrupted(unJumpFailed) || diskFailed(unJumpFailed) { // it is still to run
				return unJumpFailed
			}
			if err := p.enter(st, phaseSwap); err != nil {
				return err
			}
		case phaseSwap:
			if err := p.swap(st); err != nil {
				return err
			}
		case phasePostJump:
			hook.name, hook.of = hooks.PostJump, f.To
			if err := p.afterPostJump(st, p.runHook(ctx, l, st, hook)); err != nil {
				return errors.Join(unJumpFailed, err)
			}
		case phaseCheck:
			if err := p.afterCheck(st, p.runCheck(ctx, l, st, hook, f.To)); err != nil {
				return errors.Join(unJumpFailed, err)
			}
		case phaseRevertUnJump, phaseRevertSwap, phaseRevertPostJump, phaseRevertCheck:
			return errors.Join(unJumpFailed, p.revert(ctx, l, st, hook))
		default:
			return fmt.Errorf("the state has a jump in the phase %q, which this ftl does not know", f.Phase)
		}
	}
	return unJumpFailed
}

// enter notes that a phase begins.
func (p *pkg) enter(st *state, phase phase) error {
	st.Jump.Phase, st.Jump.Tries = phase, 1
	if phase == phasePostJump {
		st.Jump.Rounds++
	}
	return p.writeState(st)
}

// dropJump ends a jump that pre-jump refused: nothing has changed.
func (p *pkg) dropJump(st *state, cause error) error {
	f := st.Jump
	st.Jump = nil
	if !interrupted(cause) && !notNow(cause) && !diskFailed(cause) {
		st.fail(f.To, hooks.PreJump, cause, time.Now())
	}
	if err := p.writeState(st); err != nil {
		return fmt.Errorf("%w, after %v", err, cause) // and not "not now", which is no error for sync
	}
	return cause
}

// swap flips the links. From here on the entry that asked for the jump is done
// with, and so is every one that a manual jump overrules.
func (p *pkg) swap(st *state) error {
	f := st.Jump
	to := links{current: f.To, previous: f.From}
	if f.From == (revision.Revision{}) {
		to.previous = f.Previous
	}
	p.report(ftl.Event{Revision: f.To, Step: ftl.Flip, State: ftl.Running})
	if err := p.flip(to); err != nil {
		return err
	}
	was := ""
	if f.From != (revision.Revision{}) {
		was = "was " + f.From.String()
	}
	p.report(ftl.Event{Revision: f.To, Step: ftl.Flip, State: ftl.Success, Message: was})
	if f.Mark == (mark{}) {
		st.overrule()
	} else if f.Mark.after(st.Acted) {
		st.Acted = f.Mark
	}
	st.succeed(f.To, hooks.PreJump)
	return p.enter(st, phasePostJump)
}

// afterPostJump decides how the jump goes on. A post-jump that failed sends a
// revision with a check back; without one the jump stays in flight, until it is
// tried again or superseded.
func (p *pkg) afterPostJump(st *state, failed error) error {
	switch {
	case interrupted(failed):
		return failed
	case failed != nil && p.mayRevert(st) && !diskFailed(failed):
		return p.reject(st, failed)
	case failed != nil:
		st.Jump.Failed, st.Jump.Output = failed.Error(), outputOf(failed)
		return errors.Join(failed, p.writeState(st))
	case p.shipsCheck(st, st.Jump.To):
		return p.enter(st, phaseCheck)
	}
	return p.land(st)
}

// afterCheck decides likewise.
func (p *pkg) afterCheck(st *state, failed error) error {
	switch {
	case interrupted(failed):
		return failed
	case failed != nil && p.mayRevert(st) && !diskFailed(failed):
		return p.reject(st, failed)
	case failed != nil: // the first jump has nothing to go back to
		st.Jump.Failed, st.Jump.Output = failed.Error(), outputOf(failed)
		st.Jump.Phase, st.Jump.Tries = phasePostJump, max(st.Jump.Rounds, 1)
		return errors.Join(failed, p.writeState(st))
	}
	return p.land(st)
}

// land ends a jump that has done all it should.
func (p *pkg) land(st *state) error {
	delete(st.Rejected, st.Jump.To)
	st.Inconsistent = ""
	st.Jump = nil
	return p.writeState(st)
}
