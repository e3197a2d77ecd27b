package tree

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// A jump goes through phases, and where the new revision ships a check and does not work, back
// again:
//
//	pre-jump(new) → un-jump(old) → the links flip → post-jump(new) → check(new)
//	un-jump(new) → the links flip back → post-jump(old) → check(old)
//
// Each phase is written into the state before it begins, so that the next command after a crash
// goes on in the phase where the jump was. A hook may therefore run more than once for a jump, but
// never not at all.

// Phase is how far a jump is. It is written before the phase begins.
type Phase string

const (
	PhasePreJump  Phase = "pre-jump"
	PhaseUnJump   Phase = "un-jump"
	PhaseSwap     Phase = "swap"
	PhasePostJump Phase = "post-jump"
	PhaseCheck    Phase = "check"

	// The way back, when a revision that ships a check turned out not to work.
	PhaseRevertUnJump   Phase = "revert-un-jump"
	PhaseRevertSwap     Phase = "revert-swap"
	PhaseRevertPostJump Phase = "revert-post-jump"
	PhaseRevertCheck    Phase = "revert-check"

	PhaseNone Phase = "" // after the last one
)

// Phases are all phases, in their order.
var Phases = []Phase{
	PhasePreJump, PhaseUnJump, PhaseSwap, PhasePostJump, PhaseCheck,
	PhaseRevertUnJump, PhaseRevertSwap, PhaseRevertPostJump, PhaseRevertCheck,
}

// GoesBack reports whether the phase is one of the way back.
func (p Phase) GoesBack() bool {
	return slices.Index(Phases, p) >= slices.Index(Phases, PhaseRevertUnJump)
}

// Transition is a jump that is not over.
type Transition struct {
	To       revision.Revision `json:"to"`
	From     revision.Revision `json:"from"` // zero at the first jump
	Previous revision.Revision `json:"previous"`
	Phase    Phase             `json:"phase"`
	Reason   Reason            `json:"reason"`
	Mark     Mark              `json:"mark"` // of the entry that asked for it; zero for a manual jump
	Started  time.Time         `json:"started"`
	// Tries is how often the hook of this phase was started, Rounds how often
	// post-jump was, whatever came after it.
	Tries  int `json:"tries"`
	Rounds int `json:"rounds,omitempty"`
	// Failed says why post-jump or the check failed, "" while neither has.
	Failed string `json:"failed,omitempty"`
	// Force is set where a pre-jump that says "not now" is passed over.
	Force bool `json:"force,omitempty"`
	// Unfinished is what is left to do of the active revision's own jump, in whose place this one
	// came. It is taken up where this one is dropped.
	Unfinished *Transition `json:"unfinished,omitempty"`
}

// check refuses a transition that ftl would not have written.
func (t *Transition) check(name revision.Package) error {
	if t == nil {
		return nil
	}
	if !slices.Contains(Phases, t.Phase) {
		return fmt.Errorf("its jump is in the phase %q, which there is not", t.Phase)
	}
	if t.To.Package() != name {
		return fmt.Errorf("its jump goes to %q, which is not a revision of %s", t.To, name)
	}
	if t.Unfinished != nil && !t.Unfinished.Flipped() {
		return errors.New("its jump came in the place of another one that was not over")
	}
	return t.Unfinished.check(name)
}

// Before returns the links as they were before the jump.
func (t *Transition) Before() Links { return Links{Current: t.From, Previous: t.Previous} }

// After returns the links as the jump makes them.
func (t *Transition) After() Links {
	if t.From == (revision.Revision{}) {
		return Links{Current: t.To, Previous: t.Previous}
	}
	return Links{Current: t.To, Previous: t.From}
}

// Flipped reports whether the jump has flipped the links and is not on its way
// back: what is left of it is superseded by a newer one.
func (t *Transition) Flipped() bool { return t.Phase == PhasePostJump || t.Phase == PhaseCheck }

// Interrupted reports whether a jump was left in the middle: before its links had flipped, or on
// its way back.
func (t *Transition) Interrupted() bool { return t != nil && !t.Flipped() }

// Undone returns what is left to do when a jump is taken back whose un-jump may have stopped the
// old revision: to start that again. It is nil where there was none.
func (t *Transition) Undone() *Transition {
	if t.From == (revision.Revision{}) {
		return nil
	}
	return &Transition{To: t.From, Previous: t.Previous, Phase: PhasePostJump, Reason: t.Reason, Mark: t.Mark, Started: time.Now()}
}

// HasFailed reports whether the jump is done but for its post-jump, which failed.
func (t *Transition) HasFailed() bool { return t != nil && t.Failed != "" }

// Shown returns the links as people are told of them. Where a flip broke off between the two, they
// are still what they were before it.
func (t *Transition) Shown(now Links) Links {
	switch {
	case t == nil:
	case t.Phase == PhaseSwap && now.Current == t.From:
		return t.Before()
	case t.Phase == PhaseRevertSwap && now.Current == t.To:
		return t.After()
	}
	return now
}

// Leaves returns the links as they are after a jump that is going on, or after the one that it
// turns back: whoever then asks for the way back means away from there. If the jump itself is that
// way back, they are as they are shown.
func (t *Transition) Leaves(shown Links) Links {
	if t == nil || t.Phase == PhasePreJump || t.Flipped() || t.From == (revision.Revision{}) {
		return shown
	}
	if !t.Phase.GoesBack() && t.To == shown.Previous {
		return shown
	}
	return Links{Current: t.To, Previous: t.From}
}

// LeftToDo returns what is left to do of the active revision's jump, nil where nothing is.
func (t *Transition) LeftToDo() *Transition {
	switch {
	case t == nil:
		return nil
	case t.Phase == PhasePreJump:
		return t.Unfinished
	case t.Flipped():
		left := *t
		left.Unfinished = nil
		return &left
	}
	return nil
}

// Reason is why a hook runs, as it is told.
type Reason string

const (
	ReasonSync     Reason = "sync"
	ReasonJump     Reason = "jump"
	ReasonJumpBack Reason = "jump-back"
	ReasonRevert   Reason = "revert"
	ReasonRemove   Reason = "remove"
	ReasonByHand   Reason = "by-hand" // of a hook, in the log; the hook is told one of the others
)

// Flipped notes that the links have flipped. From here on the entry that asked for the jump is done
// with, and so is every one that a manual jump overrules.
func (s *State) Flipped(t *Transition) {
	if t.Mark == (Mark{}) {
		s.Overrule()
	} else if t.Mark.After(s.Acted) {
		s.Acted = t.Mark
	}
	s.Succeed(t.To, ftl.PreJump)
	s.Failures.forgetByHand()
	s.Deferred = Deferral{}
	t.Unfinished = nil
}

// NothingWorks is the error of a package of which no revision works, not even the one that is
// current.
func (s *State) NothingWorks(current revision.Revision) *ftl.Error {
	return &ftl.Error{Kind: ftl.NothingWorks, Hint: "mend it, then: ftl jump " + current.String(), Err: errors.New(s.Inconsistent)}
}

// GaveUp is the error of a post-jump that sync does not try again.
func (t *Transition) GaveUp(cur Links) error {
	why := t.Failed
	if why == "" {
		why = "post-jump of " + t.To.String() + " was interrupted each time"
	}
	err := ftl.Errorf(ftl.HookFailed, MendHint(t.To, cur), "%s; sync has tried %d times and waits for you", why, t.Tries)
	err.Waiting = true
	return err
}

// MendHint says what helps where a revision is active and does not work.
func MendHint(r revision.Revision, cur Links) string {
	hint := "mend it, then: ftl jump " + r.String()
	if cur.Previous != (revision.Revision{}) {
		hint += "; or go back: ftl jump-back " + r.Package().String()
	}
	return hint
}
