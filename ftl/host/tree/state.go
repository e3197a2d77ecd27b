package tree

import (
	"maps"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// State is what a host knows of a package beyond its tree. It is a file that is
// replaced as a whole, durably, by whoever holds the package's lock, and that
// anybody may read. So it holds nothing that a hook has printed, which may be a
// secret: that is in the log.
type State struct {
	Format int `json:"format"`
	// Ready are the revisions that can be jumped to.
	Ready map[revision.Revision]Ready `json:"ready"`
	// Unverified are the revisions that would be ready, were they signed by somebody who is
	// trusted.
	Unverified map[revision.Revision]Ready `json:"unverified,omitempty"`
	// Distrusted is what was found in the bucket, and told, that does not count; zero where there
	// is nothing.
	Distrusted catalog.Digest `json:"distrusted,omitzero"`
	// LookAgain is when what is trusted may change by time alone; zero is never.
	LookAgain time.Time `json:"lookAgain,omitzero"`
	// Seen is the newest marker entry that was read, Acted the newest one that
	// is done with: flipped to, or already current, or overruled by hand.
	Seen  Mark `json:"seen"`
	Acted Mark `json:"acted"`
	// SeenEntry is the content of the entry that is Seen; zero where an older ftl has noted it.
	SeenEntry catalog.Digest `json:"seenEntry,omitzero"`
	// Deferred is the entry whose jump was last put off by its pre-jump.
	Deferred Deferral `json:"deferred,omitzero"`
	// TooNew is the newest entry of which it was told that a newer ftl is needed to act on it.
	TooNew Mark `json:"tooNew,omitzero"`
	// Retired is the newest entry of which it was told that it retires the package.
	Retired Mark `json:"retired,omitzero"`
	// Looked is set once a sync has read the master, also where nothing was
	// blessed there.
	Looked bool `json:"looked"`
	// Jump is the jump in flight, also one whose post-jump failed.
	Jump *Transition `json:"jump,omitempty"`
	// Failures are those of hooks that sync tries again later.
	Failures Failures `json:"failures,omitempty"`
	// Rejected are the revisions that were activated, did not work, and were
	// left again. Sync takes none of them until it is blessed anew.
	Rejected map[revision.Revision]Rejection `json:"rejected,omitempty"`
	// Inconsistent says why neither the new nor the old revision works, "" while
	// one does.
	Inconsistent string `json:"inconsistent,omitempty"`
	// Removals are counted, so that no bucket that loses its revisions bit by bit
	// empties its hosts.
	Removals Removals `json:"removals,omitzero"`
	// Rollout is the host's part in the rollout of the newest entry; nil where that has no waves.
	Rollout *Participation `json:"rollout,omitempty"`
	// Hold keeps sync from changing what is active; nil is no hold.
	Hold *Hold `json:"hold,omitempty"`
	// Removed is set when the package was removed from the host and only its
	// shared directory was kept.
	Removed bool `json:"removed,omitempty"`

	// read is the text that the state was read from.
	read []byte
	// HasOutput is set where the file holds what a hook has printed, as an older
	// ftl wrote it.
	HasOutput bool
}

// StateFormat is the format that this ftl writes, and the newest that it reads.
const StateFormat = 1

// Ready is what there is to know of a revision that can be jumped to.
type Ready struct {
	Since time.Time `json:"since"`
	// File is set where the revision is one file, which has no hooks.
	File bool `json:"file,omitempty"`
	// Params are what its hooks are told of the deploy: by whoever blessed it, or jumped to it by
	// hand.
	Params catalog.Params `json:"params,omitempty"`
	// Manifest is the digest of the manifest that it was made of; zero where an older ftl made it.
	Manifest catalog.Digest `json:"manifest,omitzero"`
	// Signer is the fingerprint of the key that has signed that; "" where nobody looked.
	Signer string `json:"signer,omitempty"`
}

// Rejection says why a revision was left again.
type Rejection struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// IsReady reports whether a revision can be jumped to.
func (s *State) IsReady(r revision.Revision) bool {
	_, ok := s.Ready[r]
	return ok
}

// ReadyRevisions returns the ready revisions, oldest first.
func (s *State) ReadyRevisions() []revision.Revision {
	return slices.SortedFunc(maps.Keys(s.Ready), revision.Compare)
}

func sortRevisions(revisions []revision.Revision) { slices.SortFunc(revisions, revision.Compare) }

// AtRest reports whether a package waits for nothing: no jump, no entry that is not done with, no
// try that is due.
func (s *State) AtRest(now time.Time) bool {
	if !s.Looked || s.Jump != nil || s.Removed || s.HasOutput || s.isOverdue(now) || s.Hold == nil && s.Seen.After(s.Acted) {
		return false
	}
	for _, f := range s.Failures {
		if !now.Before(f.Next) || f.Next.Sub(now) > maxDelay {
			return false
		}
	}
	return s.Rollout.atRest()
}

// Tell notes what the hooks of a ready revision are told from now on. What it had before is known
// to nobody any more.
func (s *State) Tell(r revision.Revision, params catalog.Params) {
	if s.IsNews(r, params) {
		how := s.Ready[r]
		how.Params = params
		s.Ready[r] = how
	}
}

// IsNews reports whether the hooks of a ready revision were told something else.
func (s *State) IsNews(r revision.Revision, params catalog.Params) bool {
	how, ok := s.Ready[r]
	return ok && !maps.Equal(how.Params, params)
}

// CheckUnused refuses a revision that the host could need.
func (s *State) CheckUnused(cur Links, r revision.Revision) error {
	switch {
	case r == cur.Current:
		return ftl.Errorf(ftl.Refused, "jump to another revision first", "%s is active on this host", r)
	case r == cur.Previous:
		return ftl.Errorf(ftl.Refused, "jump-back returns to it; it can go once two others were active", "%s is this host's previous revision", r)
	case s.Jump != nil && (r == s.Jump.To || r == s.Jump.From):
		return ftl.Errorf(ftl.Refused, "end the jump first: ftl jump "+s.Jump.To.String(), "%s is part of a jump that is not over", r)
	}
	return nil
}
