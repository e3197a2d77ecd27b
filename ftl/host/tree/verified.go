package tree

import (
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// Trusting is what a state needs to know of who is trusted. Nil trusts whatever is here.
type Trusting interface {
	// CanSign reports whether a key may sign revisions of a package.
	CanSign(pkg revision.Package, fingerprint string) bool
}

// isVerified reports whether a ready revision is what somebody has signed who is trusted still.
func (r Ready) isVerified(pkg revision.Package, trust Trusting) bool {
	return trust == nil || r.Manifest != (catalog.Digest{}) && r.Signer != "" && trust.CanSign(pkg, r.Signer)
}

// IsVerified reports whether a revision is ready, and is what somebody has signed who is trusted.
func (s *State) IsVerified(r revision.Revision, trust Trusting) bool {
	how, ready := s.Ready[r]
	return ready && how.isVerified(r.Package(), trust)
}

// SetApart takes revisions for not ready that are not verified, so that they are fetched anew, and
// takes back what is. It reports whether anything has changed. What runs, or a jump is about,
// stays.
func (s *State) SetApart(trust Trusting, cur Links) bool {
	changed := false
	for r, how := range s.Ready {
		inUse := r == cur.Current || s.Jump != nil && (r == s.Jump.To || r == s.Jump.From)
		if inUse || how.isVerified(r.Package(), trust) {
			continue
		}
		if s.Unverified == nil {
			s.Unverified = make(map[revision.Revision]Ready)
		}
		s.Unverified[r] = how
		delete(s.Ready, r)
		changed = true
	}
	for r, how := range s.Unverified {
		if how.isVerified(r.Package(), trust) {
			s.TakeBack(r)
			changed = true
		}
	}
	return changed
}

// TakeBack makes a revision ready again that was set apart, and reports whether it was.
func (s *State) TakeBack(r revision.Revision) bool {
	how, apart := s.Unverified[r]
	if apart {
		s.Ready[r] = how
		delete(s.Unverified, r)
	}
	return apart
}

// Follow prepares the state for an entry that was verified. Where the newest that was seen is by a
// key that no longer counts, it no longer stands in the way.
func (s *State) Follow(entry catalog.Entry, floor *Floor, counts func(fingerprint string) bool) bool {
	newest := MarkOf(entry)
	if newest == s.Seen || newest.After(s.Seen) || !floor.isOfForgotten(s.Seen, counts) {
		return false
	}
	s.Seen, s.SeenEntry = newest, entry.Digest()
	if s.Acted.Serial >= newest.Serial {
		s.Acted = Mark{Serial: newest.Serial - 1, Revision: s.Acted.Revision}
	}
	return true
}

// Renew makes an entry that only renews another one as done with as that one was.
func (s *State) Renew(entry catalog.Entry) bool {
	if entry.Renews == 0 || s.Acted.Serial < entry.Renews || !MarkOf(entry).After(s.Acted) {
		return false
	}
	s.Acted = MarkOf(entry)
	return true
}

// isOverdue reports whether something was to change by time alone.
func (s *State) isOverdue(now time.Time) bool {
	return !s.LookAgain.IsZero() && !now.Before(s.LookAgain)
}
