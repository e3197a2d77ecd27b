package ftl

import (
	"time"

	"github.com/rhettg/ftl/revision"
)

// Event says that a step of the work on one package has begun or ended.
type Event struct {
	Time     time.Time
	Package  revision.Package
	Revision revision.Revision // zero where the step is about the package as a whole
	Step     Step
	State    State
	Message  string // what a person should know beyond the step and the state, often ""
	Own      bool   // a hook has told it of itself
}

// Step names a piece of work.
type Step string

// The steps. A hook is a step of its own, under the hook's name.
const (
	Fetch   Step = "fetch"   // from the bucket
	Unpack  Step = "unpack"  // into a tree, verified
	Ready   Step = "ready"   // a revision can be jumped to
	Flip    Step = "flip"    // current points to the revision
	Defer   Step = "defer"   // pre-jump said "not now"
	Recover Step = "recover" // a jump that was interrupted is taken up again
	Revert  Step = "revert"  // a revision did not work, and is left again
	Hold    Step = "hold"    // sync leaves alone what is active
	Unhold  Step = "unhold"  // and does so no more
	Remove  Step = "remove"  // a revision, or the whole package, is gone from the host
	Spool   Step = "spool"   // a revision is in the bucket
	Bless   Step = "bless"   // the marker names the revision
	Purge   Step = "purge"   // a revision, or a leftover archive, is gone from the bucket
)

// State tells how far a step is.
type State string

// The states of a step.
const (
	Running State = "running"
	Success State = "success"
	Failure State = "failure"
	Planned State = "planned" // a dry run has left it undone
)
