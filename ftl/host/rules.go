package host

import (
	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// rule says what a phase does, and what comes of it.
type rule struct {
	hook    ftl.Step    // that runs; none where the links flip
	of      side        // whose
	next    tree.Phase  // when it is done
	failure consequence // of a hook that fails
	back    bool        // it is of the way back
}

// rules are the phases of a jump and of its way back.
var rules = map[tree.Phase]rule{
	tree.PhasePreJump:  {ftl.PreJump, newRevision, tree.PhaseUnJump, dropsJump, false},
	tree.PhaseUnJump:   {ftl.UnJump, oldRevision, tree.PhaseSwap, goesOnFailed, false},
	tree.PhaseSwap:     {"", newRevision, tree.PhasePostJump, stops, false},
	tree.PhasePostJump: {ftl.PostJump, newRevision, tree.PhaseCheck, turnsBack, false},
	tree.PhaseCheck:    {ftl.Check, newRevision, tree.PhaseNone, turnsBack, false},

	tree.PhaseRevertUnJump:   {ftl.UnJump, newRevision, tree.PhaseRevertSwap, goesOn, true},
	tree.PhaseRevertSwap:     {"", oldRevision, tree.PhaseRevertPostJump, stops, true},
	tree.PhaseRevertPostJump: {ftl.PostJump, oldRevision, tree.PhaseRevertCheck, givesUp, true},
	tree.PhaseRevertCheck:    {ftl.Check, oldRevision, tree.PhaseNone, givesUp, true},
}

// side tells the two revisions of a jump apart.
type side int

const (
	newRevision side = iota // that the jump goes to
	oldRevision             // that it leaves
)

// consequence is what comes of a phase that fails.
type consequence int

const (
	stops        consequence = iota // the phase is still to be done
	dropsJump                       // there is no jump any more, as nothing has changed
	goesOnFailed                    // the jump goes on, and has failed in the end: a broken old script must not block the fix
	goesOn                          // the jump goes on, and a warning tells
	turnsBack                       // the new revision is left again, if it ships a check
	givesUp                         // no revision works: a person is needed
)

// in returns one of the two revisions of a jump.
func (s side) in(t *tree.Transition) revision.Revision {
	if s == oldRevision {
		return t.From
	}
	return t.To
}
