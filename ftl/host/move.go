package host

import (
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// What a command does about what is active is decided here, one step at a time, by pure functions.
// A run takes the step, and decides again on what came of it; a dry run (dryrun.go) shows the step,
// and decides again on what would have come of it.

// move is the next step of a command.
type move int

const (
	atRest            move = iota // there is nothing to do
	dropInterrupted               // a jump was interrupted in pre-jump: nothing has changed
	undoInterrupted               // the links as they were, and the old revision is to be started again
	finishInterrupted             // go on with the jump, or its way back, to its end
	takeOver                      // the same, as what a person asks for
	recordFlip                    // but for its record, the flip of an interrupted jump is done
	startActive                   // run post-jump of the active revision again
	retryActive                   // the same, counted as one more try
	confirmActive                 // the revision is active, and works
	fetchFirst                    // the revision is not here
	beginJump
)

// moveOfRecovery decides what becomes of a jump that was interrupted before both links had flipped,
// or on its way back. What is left to do after the flip is not recovered: a newer jump supersedes
// it.
func moveOfRecovery(t *tree.Transition, usable func(revision.Revision) bool) move {
	switch {
	case !t.Interrupted():
		return atRest
	case t.Phase == tree.PhasePreJump:
		return dropInterrupted
	case !rules[t.Phase].back && !usable(t.To):
		return undoInterrupted
	}
	return finishInterrupted
}

// moveByHand decides for a person who asks for a revision, and whose wish is judged by what list
// shows. An interrupted jump that leads there is taken over; any other one is ended where list
// shows it to be, and what it has left to do is superseded.
func moveByHand(st *tree.State, shown tree.Links, asked request, usable func(revision.Revision) bool) move {
	t, to := st.Jump, asked.to
	if t.Interrupted() {
		switch {
		case t.Phase == tree.PhasePreJump:
			return dropInterrupted
		case rules[t.Phase].back: // what it leads to works
			return finishInterrupted
		case shown.Current == t.To:
			return recordFlip
		case to == t.To && usable(to):
			return takeOver
		}
		return undoInterrupted
	}
	isNews := asked.Params != nil && st.IsNews(to, asked.Params)
	switch {
	case to == shown.Current && (isNews || t != nil || st.Inconsistent != ""):
		return startActive
	case to == shown.Current:
		return confirmActive
	case !usable(to):
		return fetchFirst
	}
	return beginJump
}

// moveOfSync decides for a sync whether to follow the marker's newest entry, which is zero where
// nothing is to be followed, or what to do about a failed post-jump. It is news where the entry
// tells the hooks something else. An error says what the sync waits for.
func moveOfSync(st *tree.State, cur tree.Links, newest tree.Mark, isNews bool, now time.Time) (move, error) {
	isNew := newest.After(st.Acted) && st.IsReady(newest.Revision)
	switch {
	case st.Hold != nil:
		return atRest, nil
	case isNew && newest.Revision == cur.Current && (isNews || st.Jump != nil || st.Inconsistent != ""): // a new chance
		return startActive, nil
	case isNew && newest.Revision == cur.Current:
		return confirmActive, nil
	case isNew:
		return beginJump, st.Waiting(newest.Revision, ftl.PreJump, now)
	case st.Jump == nil && st.Inconsistent != "":
		err := st.NothingWorks(cur.Current)
		err.Waiting = true
		return atRest, err
	case st.Jump == nil:
		return atRest, nil
	case st.Jump.Tries > postJumpRetries:
		return atRest, st.Jump.GaveUp(cur)
	}
	return retryActive, nil
}
