package ftl

import (
	"strings"
	"time"

	"github.com/rhettg/ftl/revision"
)

// Event says that a step of the work on one package has begun or ended. As JSON it is a line of
// --json.
type Event struct {
	Time     time.Time         `json:"time"`
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"` // zero where the step is about the package as a whole
	Step     Step              `json:"name"`
	State    State             `json:"state"`
	Message  string            `json:"message"`  // what a person should know beyond the step and the state, often ""
	Seconds  float64           `json:"duration"` // how long the step took; 0 while it goes on
	Planned  []Step            `json:"planned"`  // of a jump that begins: the steps that it may go through, as far as is known
}

// Step names a piece of work: one of ftl's, a hook, or what a hook does within it, which is
// "post-jump/migrate". What a hook calls its own steps can't be taken for one of the others.
type Step string

// The steps of ftl.
const (
	Fetch     Step = "fetch"     // from the bucket
	Unpack    Step = "unpack"    // into a tree, verified
	Ready     Step = "ready"     // a revision can be jumped to
	Flip      Step = "flip"      // current points to the revision
	Defer     Step = "defer"     // pre-jump said "not now"
	Recover   Step = "recover"   // a jump that was interrupted is taken up again
	Revert    Step = "revert"    // a revision did not work, and is left again
	Hold      Step = "hold"      // sync leaves alone what is active
	Unhold    Step = "unhold"    // and does so no more
	Remove    Step = "remove"    // a revision, or the whole package, is gone from the host
	Spool     Step = "spool"     // a revision is in the bucket
	Pack      Step = "pack"      // what is spooled is read, checked and made an archive
	Upload    Step = "upload"    // the archive and its manifest
	Subscribe Step = "subscribe" // the host follows a package of the bucket
	Bless     Step = "bless"     // the marker names the revision
	Halt      Step = "halt"      // a rollout goes no further
	Wait      Step = "wait"      // for the hosts to follow a blessing
	Purge     Step = "purge"     // a revision, or a leftover archive, is gone from the bucket
	Retire    Step = "retire"    // a package is taken out of the bucket
	Adopt     Step = "adopt"     // an archive that an ftl of 2014 has spooled is a revision
	Sign      Step = "sign"      // a revision that is in the bucket
	Renew     Step = "renew"     // what is blessed is signed again

	// Only the log of a host has these.
	Jump Step = "jump" // with all its hooks
	Sync Step = "sync" // one that came to nothing
)

// The steps that are hooks, which package hooks runs under the same names.
const (
	PostSync  Step = "post-sync"
	PreJump   Step = "pre-jump"
	UnJump    Step = "un-jump"
	PostJump  Step = "post-jump"
	PreRemove Step = "pre-remove"
	Check     Step = "check"
	OnFailure Step = "failed"
)

// Hooks returns the steps that are hooks.
func Hooks() []Step {
	return []Step{PostSync, PreJump, UnJump, PostJump, PreRemove, Check, OnFailure}
}

// OwnStep returns the step of a hook's own that it calls by this name.
func OwnStep(hook Step, name string) Step { return hook + "/" + Step(name) }

// Own returns the hook whose own step this is and what that calls it, and false for every other
// step.
func (s Step) Own() (hook Step, name string, own bool) {
	before, name, own := strings.Cut(string(s), "/")
	return Step(before), name, own
}

// State tells how far a step is.
type State string

// The states of a step.
const (
	Running State = "running"
	Success State = "success"
	Failure State = "failure"
	Planned State = "planned" // a dry run has left it undone
)
