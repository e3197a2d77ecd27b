package tree

import (
	"fmt"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// Mark names a marker's entry.
type Mark struct {
	Serial   int64             `json:"serial"`
	Revision revision.Revision `json:"revision"`
}

// MarkOf names an entry.
func MarkOf(entry catalog.Entry) Mark { return Mark{entry.Serial, entry.Revision} }

// After reports whether m is a newer entry than old. Entries of older buckets
// all have the serial 0: there another revision is a newer entry.
func (m Mark) After(old Mark) bool {
	if m.Serial != old.Serial || m == (Mark{}) {
		return m.Serial > old.Serial
	}
	return m.Serial == 0 && m.Revision != old.Revision
}

// Deferral is an entry whose jump is put off, since when, and how often that was.
type Deferral struct {
	Mark
	Since time.Time `json:"since,omitzero"`
	Count int       `json:"count,omitempty"`
}

// SinceOr returns when that was first, as far as is known.
func (d Deferral) SinceOr(otherwise ftl.Time) ftl.Time {
	if d.Since.IsZero() { // noted by an older ftl
		return otherwise
	}
	return ftl.At(d.Since)
}

func (d Deferral) String() string {
	if d.Since.IsZero() {
		return ""
	}
	return fmt.Sprintf(", %s since %s", Times(d.Count), ftl.Clock(d.Since))
}

// DeferJump notes that a pre-jump has said "not now" to an entry.
func (s *State) DeferJump(m Mark, now time.Time) {
	if s.Deferred.Mark != m {
		s.Deferred = Deferral{Mark: m, Since: now}
	}
	s.Deferred.Count++
}

// Overruled is the serial of Acted where a person has chosen a revision before
// any sync has looked at the master: what is newest there is then done with.
const Overruled = -1

// Overrule makes what a person has chosen stand until the master changes.
func (s *State) Overrule() {
	s.Failures.forgetByHand()
	s.Acted = s.Seen
	if !s.Looked {
		s.Acted.Serial = Overruled
	}
}

// Look notes the master's newest entry, which is zero where nothing is blessed.
func (s *State) Look(newest Mark) {
	s.Looked = true
	if newest.After(s.Seen) {
		s.Seen = newest
	}
	if s.Acted.Serial == Overruled {
		s.Acted = s.Seen
	}
}

// IsDone reports whether an entry asks for nothing more.
func (s *State) IsDone(entry catalog.Entry) bool { return !MarkOf(entry).After(s.Acted) }

// IsRetired reports whether the newest entry that was seen has retired the package.
func (s *State) IsRetired() bool { return s.Retired != (Mark{}) && s.Retired == s.Seen }

// BlessAbove returns the command that blesses a revision so that this host follows. By that time a
// new serial is not above what this host has seen by itself.
func (s *State) BlessAbove(r revision.Revision, now time.Time) string {
	if s.Seen.Serial < now.Unix() {
		return "ftl jump --master " + r.String()
	}
	return fmt.Sprintf("ftl jump --master --serial %d %s", s.Seen.Serial, r)
}
