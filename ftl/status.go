package ftl

import "github.com/rhettg/ftl/revision"

// Condition is how a package on a host stands to what is blessed.
type Condition string

// The conditions of a package.
const (
	OK           Condition = "ok"           // it runs what is blessed, or nothing else is
	Behind       Condition = "behind"       // another revision is blessed
	Pending      Condition = "pending"      // something has to come first, and will
	Held         Condition = "held"         // a person wants it to stay
	Rejected     Condition = "rejected"     // what is blessed did not work here
	Failed       Condition = "failed"       // something went wrong
	Inconsistent Condition = "inconsistent" // no revision works
	Retired      Condition = "retired"      // it was taken out of the bucket, and what is here stays
)

// Trust says whether what a package runs and what is blessed were verified by signatures. "" is
// where nobody has signed anything.
type Trust string

// What there is to say of signatures.
const (
	Verified    Trust = "verified"
	NotVerified Trust = "not verified" // nobody looks at them, or what runs was here before they were looked at
	Distrusted  Trust = "refused"      // what is in the bucket does not count
)

// Conditions returns all of them.
func Conditions() []Condition {
	return []Condition{OK, Behind, Pending, Held, Rejected, Failed, Inconsistent, Retired}
}

// Converged reports whether a package in this condition has come to where it should be.
func (c Condition) Converged() bool { return c == OK || c == Retired }

// Status is what there is to say of a package on a host. As JSON it is a line of ftl status.
type Status struct {
	Package    revision.Package  `json:"package"`
	Condition  Condition         `json:"state"`
	Current    revision.Revision `json:"current"`  // zero where there is none
	Previous   revision.Revision `json:"previous"` // likewise
	Active     revision.Revision `json:"active"`   // the master's; without a bucket, what the last sync read
	Since      Time              `json:"since"`    // of the condition
	LastSync   Time              `json:"last_sync"`
	Trust      Trust             `json:"trust"`
	Message    string            `json:"message"` // of the first decision that holds the package back
	HeldBy     string            `json:"held_by"`
	HeldSince  Time              `json:"held_since"`
	HeldReason string            `json:"held_reason"`
	Decisions  []Decision        `json:"-"` // in their order
}

// Decision is one of those that say whether a host follows the master. As JSON it is a line of ftl
// why.
type Decision struct {
	Package   revision.Package `json:"package"`
	About     string           `json:"name"`  // a word
	Condition Condition        `json:"state"` // of the package by this decision; OK where it holds nothing back
	First     bool             `json:"first"` // of those that hold the package back
	Since     Time             `json:"since"`
	Message   string           `json:"message"`
	Output    string           `json:"output"` // the last lines of the hook that it is about
	Hint      string           `json:"hint"`   // what to do
	Err       error            `json:"-"`      // that it is about, for its kind
	Rank      Rank             `json:"-"`
}

// Rank says how much a decision explains. The first of the lowest rank is the one to show.
type Rank int

// The ranks of a decision.
const (
	Cause     Rank = iota // what is the matter with this package
	Outage                // what keeps sync from its work, whichever package it is
	Remainder             // what is left to do, by one of those or because no sync has run
)

// First returns the decision that explains best what holds the package back, and false where none
// does.
func (s Status) First() (Decision, bool) {
	if i := First(s.Decisions); i >= 0 {
		return s.Decisions[i], true
	}
	return Decision{}, false
}

// First returns the index of the decision that explains best what holds a package back, and -1
// where none does.
func First(decisions []Decision) int {
	found := -1
	for i, d := range decisions {
		if d.Condition != OK && (found < 0 || d.Rank < decisions[found].Rank) {
			found = i
		}
	}
	return found
}
