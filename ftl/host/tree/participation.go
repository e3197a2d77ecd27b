package tree

import (
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// Participation is a host's part in the rollout of an entry.
type Participation struct {
	Serial   int64             `json:"serial"`
	Revision revision.Revision `json:"revision"`
	// Wave is the one that the host counts itself to, from 1, once it was free to go; 0 before.
	Wave int `json:"wave,omitempty"`
	// Vote is what the host last had to say, at Voted. It is Owed until it is written.
	Vote  rollout.Kind `json:"vote,omitempty"`
	Voted time.Time    `json:"voted,omitzero"`
	Owed  bool         `json:"owed,omitempty"`
	// Slot is the one that the host holds, from 1; 0 is none.
	Slot int `json:"slot,omitempty"`
	// Settled is set once nothing depends on this host any more.
	Settled bool `json:"settled,omitempty"`
}

// atRest reports whether the rollout waits for nothing from this host, nor the host for it. A host
// that has rejected the revision tries it again only for a newer entry. One that runs it says that
// it is well also when enough others have said so before: whoever waits wants to know of each.
func (p *Participation) atRest() bool {
	if p == nil {
		return true
	}
	undecided := p.Vote == rollout.OK && time.Since(p.Voted) < HealthPatience
	return !p.Owed && p.Slot == 0 && (p.Settled && !undecided || p.Vote == rollout.Bad)
}

// HealthPatience is how long after a flip a host asks whether the revision works.
const HealthPatience = 24 * time.Hour

// Participate begins a host's part in the rollout of an entry, if it has none yet.
func (s *State) Participate(entry catalog.Entry) *Participation {
	if s.Rollout == nil || s.Rollout.Serial != entry.Serial {
		s.Rollout = &Participation{Serial: entry.Serial, Revision: entry.Revision}
	}
	return s.Rollout
}

// Vote notes what the host has to say of a revision. Of another one than the rollout is about it
// has nothing to say.
func (s *State) Vote(r revision.Revision, kind rollout.Kind) {
	part := s.Rollout
	if part == nil || part.Revision != r || part.Vote == kind {
		return
	}
	if kind == rollout.Out && part.Vote == "" { // there is nothing to take back
		return
	}
	part.Vote, part.Voted, part.Owed = kind, time.Now(), true
}

// Said reports whether the host's last word was one of these.
func (p *Participation) Said(kinds ...rollout.Kind) bool {
	for _, kind := range kinds {
		if p != nil && p.Vote == kind {
			return true
		}
	}
	return false
}

// ForgetTry takes back that the host begins, where nobody has heard of it yet.
func (p *Participation) ForgetTry() {
	if p != nil && p.Vote == rollout.Try && p.Owed {
		p.Vote, p.Owed = "", false
	}
}
