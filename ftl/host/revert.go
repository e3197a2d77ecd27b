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

// A revision that ships a check and does not work is left again:
//
//	un-jump(new) → current and previous flip back → post-jump(old) → check(old)
//
// That it is rejected is written before the first step, so that neither a crash
// nor the next sync can bring it back. If the old one does not work either, the
// package is inconsistent, and waits for a person.

// mayRevert reports whether there is a revision to go back to, and a check that
// says so is wanted.
func (p *pkg) mayRevert(st *state) bool {
	f := st.Jump
	return f.From != (revision.Revision{}) && p.shipsCheck(st, f.To) && p.checkTree(f.From) == nil
}

// reject notes that the jump's revision does not work, and turns the jump back.
func (p *pkg) reject(st *state, cause error) error {
	if st.Rejected == nil {
		st.Rejected = make(map[revision.Revision]rejection)
	}
	why := rejection{At: time.Now(), Reason: cause.Error(), Output: outputOf(cause)}
	st.Rejected[st.Jump.To] = why
	p.report(ftl.Event{Revision: st.Jump.To, Step: ftl.Revert, State: ftl.Running, Message: why.Reason})
	return p.enter(st, phaseRevertUnJump)
}

// revert goes on with the way back from the phase that it is in, and returns
// ftl.RolledBack when it has come to its end.
func (p *pkg) revert(ctx context.Context, l *lock, st *state, run hookRun) error {
	f := st.Jump
	run.reason, run.old, run.new = reasonRevert, f.To, f.From
	for {
		switch f.Phase {
		case phaseRevertUnJump: // best effort
			run.name, run.of = hooks.UnJump, f.To
			if err := p.runHook(ctx, l, st, run); interrupted(err) || diskFailed(err) {
				return err
			} else if err != nil {
				p.host.warn("%s: %v", p.name, err)
			}
			if err := p.enter(st, phaseRevertSwap); err != nil {
				return err
			}
		case phaseRevertSwap:
			if err := p.flip(links{current: f.From, previous: f.Previous}); err != nil {
				return err
			}
			p.report(ftl.Event{Revision: f.From, Step: ftl.Flip, State: ftl.Success, Message: "again, as " + f.To.String() + " was rejected"})
			if err := p.enter(st, phaseRevertPostJump); err != nil {
				return err
			}
		case phaseRevertPostJump:
			run.name, run.of = hooks.PostJump, f.From
			if err := p.runHook(ctx, l, st, run); err != nil {
				return p.giveUp(st, err)
			}
			if err := p.enter(st, phaseRevertCheck); err != nil {
				return err
			}
		case phaseRevertCheck:
			if p.shipsCheck(st, f.From) {
				if err := p.runCheck(ctx, l, st, run, f.From); err != nil {
					return p.giveUp(st, err)
				}
			}
			return p.rolledBack(st)
		}
		run.attempt, run.recovery = f.Tries, false
	}
}

// giveUp ends a way back on which the old revision failed too.
func (p *pkg) giveUp(st *state, cause error) error {
	if interrupted(cause) || diskFailed(cause) {
		return cause
	}
	f := st.Jump
	st.Inconsistent = fmt.Sprintf("%s was rejected (%s), and %s does not work either: %v", f.To, st.Rejected[f.To].Reason, f.From, cause)
	st.Jump = nil
	return errors.Join(st.inconsistent(p.name), p.writeState(st))
}

// inconsistent is the error of a package of which no revision works.
func (s *state) inconsistent(pkg revision.Package) *ftl.Error {
	return &ftl.Error{Kind: ftl.Inconsistent, Hint: "mend it, then: ftl jump " + pkg.String() + ".ID", Err: errors.New(s.Inconsistent)}
}

// rolledBack ends the way back.
func (p *pkg) rolledBack(st *state) error {
	f := st.Jump
	err := ftl.Errorf(ftl.RolledBack, "sync does not take it again until it is blessed anew; to try it by hand: ftl jump "+f.To.String(),
		"%s was rejected, and %s is active again: %s", f.To, f.From, st.Rejected[f.To].Reason)
	st.Inconsistent = ""
	st.Jump = nil
	p.report(ftl.Event{Revision: f.To, Step: ftl.Revert, State: ftl.Success})
	return errors.Join(err, p.writeState(st))
}
