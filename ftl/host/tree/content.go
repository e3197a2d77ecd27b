package tree

import (
	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// IsOther reports whether two digests are known, and not the same.
func IsOther(blessed, have catalog.Digest) bool {
	return blessed != catalog.Digest{} && have != catalog.Digest{} && blessed != have
}

// DropOther takes the revisions that were made of another manifest than the one that was blessed
// for not ready, so that they are fetched anew, and reports whether there was one. What runs, or a
// jump is about, stays.
func (s *State) DropOther(marker catalog.Marker, cur Links) bool {
	dropped := false
	for r, how := range s.Ready {
		inUse := r == cur.Current || s.Jump != nil && (r == s.Jump.To || r == s.Jump.From)
		if IsOther(marker.Content(r), how.Manifest) && !inUse {
			delete(s.Ready, r)
			dropped = true
		}
	}
	return dropped
}

// RunsOther is an error where what runs is called what is blessed, and is something else.
func (s *State) RunsOther(marker catalog.Marker, current revision.Revision) error {
	active, blessed := marker.Active()
	if !blessed || active.Revision != current || !IsOther(active.Manifest, s.Ready[current].Manifest) {
		return nil
	}
	return ftl.Errorf(ftl.Refused, "spool what is wanted, and bless it under its new name; and find out who changed it",
		"%s runs here, and was made of another manifest than the one that is blessed; it stays as it is", current)
}
