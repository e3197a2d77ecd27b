package tree

import (
	"time"
)

// Removals counts what sync removes within a day, which begins with the first
// removal. Each revision that comes in the meantime makes room for another one,
// so a package may be deployed as often as anybody likes.
type Removals struct {
	Since time.Time `json:"since"`
	Had   int       `json:"had"`  // revisions, at the beginning
	Came  int       `json:"came"` // since then
	Gone  int       `json:"gone"`
	// Told is set once sync has failed for the limit's sake.
	Told bool `json:"told,omitempty"`
}

const (
	removalsDay = 24 * time.Hour
	minRemovals = 5 // that are always allowed in a day
)

// On returns the count as it stands: a new one, of a host that has so many
// revisions, where the day is over. By a clock that was set back, it is.
func (r Removals) On(now time.Time, local int) Removals {
	if age := now.Sub(r.Since); age < 0 || age >= removalsDay {
		return Removals{Since: now, Had: local}
	}
	return r
}

// NoteCame counts a revision that became ready. Before the first removal there is no
// day to count it in.
func (r *Removals) NoteCame() {
	if !r.Since.IsZero() {
		r.Came++
	}
}

// Limit is how many revisions may go in the day.
func (r Removals) Limit() int { return max(minRemovals, r.Had/2) + r.Came }

// Left is how many of them are left.
func (r Removals) Left() int { return max(0, r.Limit()-r.Gone) }

// CountRemovals returns the count as it stands.
func (t *Tree) CountRemovals() (Removals, error) {
	st, err := t.ReadState()
	if err != nil {
		return Removals{}, err
	}
	local, err := t.Local()
	return st.Removals.On(time.Now(), len(local)), err
}
