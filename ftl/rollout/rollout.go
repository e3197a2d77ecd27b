// Package rollout decides how a blessing spreads over a fleet, wave by wave.
//
// There is no server. A blessing holds a [Plan] in absolute numbers, each host writes votes beside
// it, and every reader comes to the same conclusion by the same pure functions: [Plan.Count] says
// what the votes say, and [Count.Decide] what one host may do. A host acts on that, people are
// shown it, and the simulation runs it with 10,000 hosts.
//
// The principles, where a detail leaves a choice: silence is not health; what is unknown waits; to
// stop is always easier than to go on.
//
// All times are those of the bucket's clock. Nothing here reads a clock, a file or the network.
package rollout

import (
	"slices"
	"time"

	"github.com/rhettg/ftl/revision"
)

// Plan says how an entry of a marker spreads over the hosts. It is computed once, by whoever
// blesses, from the hosts that have reported; nothing in it is computed anew later, so hosts that
// come and go don't move its numbers.
type Plan struct {
	Revision revision.Revision
	Opened   time.Time // when the bucket got the entry
	Size     int       // how many hosts the numbers were computed for
	Waves    []Wave    // at least one

	Verdict  time.Duration // a try that is older, and has no verdict, is a host that died of it
	Patience time.Duration // how long a wave waits for hosts that don't show up before others may join it
	First    []string      // hosts that come before all others, in the order of their names
	Limited  bool          // the waves end before they have reached all hosts
	AtOnce   int           // how many hosts may change at a time; 0 is any number
	Lease    time.Duration // how long one of those may keep its slot
	Back     bool          // on a halt, hosts that run the revision go back
}

// Wave is one wave of a plan.
type Wave struct {
	To    Place         // the place of its last host; [Last] for the last wave
	Upto  int           // how many hosts this wave and those before it have
	Need  int           // how many hosts have to be well before the next wave opens
	Halt  int           // how many failures in this wave and those before it halt the rollout; 0 is any number
	Soak  time.Duration // how long a host runs the revision before it may say that it is well
	Over  time.Duration // the hosts of the wave begin spread over this time
	Hosts []string      // if any, only the votes of these hosts count in the wave
}

// Kind is what a vote says.
type Kind string

// The kinds of votes.
const (
	Try  Kind = "try"  // I am about to change
	Out  Kind = "out"  // I take back what I said, for a reason that says nothing of the revision
	OK   Kind = "ok"   // I run it, and it passed its check
	Well Kind = "well" // I have run it for as long as the wave soaks, and it passes its check again
	Bad  Kind = "bad"  // it failed here
)

// kinds is every kind. Of two votes that a host wrote within the resolution of the bucket's clock,
// the later one counts.
var kinds = []Kind{Try, OK, Well, Out, Bad}

// ParseKind returns the kind with this name, and false where there is none.
func ParseKind(name string) (Kind, bool) {
	kind := Kind(name)
	return kind, slices.Contains(kinds, kind)
}

// Operator is the host in whose name a person halts a rollout. No host can be called so.
const Operator = "~operator"

// Vote is what a host has said of a rollout.
type Vote struct {
	Host string
	Kind Kind
	Wave int       // that the host counts itself to, from 0
	At   time.Time // when the bucket got it
}

// replaces reports whether v counts instead of an older vote of the same host.
func (v Vote) replaces(old Vote) bool {
	if !v.At.Equal(old.At) {
		return v.At.After(old.At)
	}
	return slices.Index(kinds, v.Kind) > slices.Index(kinds, old.Kind)
}

func (p *Plan) last() int { return len(p.Waves) - 1 }

// size returns how many hosts a wave has of its own.
func (p *Plan) size(wave int) int {
	if wave == 0 {
		return p.Waves[0].Upto
	}
	return p.Waves[wave].Upto - p.Waves[wave-1].Upto
}

// lower returns the place after which a wave begins.
func (p *Plan) lower(wave int) Place {
	if wave == 0 {
		return 0
	}
	return p.Waves[wave-1].To
}
