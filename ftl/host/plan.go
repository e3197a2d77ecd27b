package host

import (
	"slices"

	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// view is all that the decision what to fetch and what to remove depends on.
// The lists are sorted, oldest first. Zero revisions are none.
type view struct {
	bucket         []revision.Revision // a complete listing
	active         revision.Revision   // the marker's
	activePrevious revision.Revision
	base           revision.Revision   // where hosts stay while the active one's rollout has not settled
	local          []revision.Revision // that have a directory
	ready          []revision.Revision // of those
	links          tree.Links
	jump           []revision.Revision // that a jump goes between
	keep           int
	blessedOnly    bool // what is not blessed is not fetched
	removable      int  // how many revisions may go
}

// plan is what sync has to do.
type plan struct {
	fetch  []revision.Revision // the active first, then the newest first
	remove []revision.Revision // oldest first
	exceed []revision.Revision // that are not wanted either, and stay: too many go
}

// firstOf divides what is to be fetched: the revision that the entry names comes before the jump to
// it, and the rest after that, so that a deploy does not wait for what may be blessed one day.
func (p plan) firstOf(newest tree.Mark) (first, rest []revision.Revision) {
	if len(p.fetch) > 0 && p.fetch[0] == newest.Revision {
		return p.fetch[:1], p.fetch[1:]
	}
	return nil, p.fetch
}

// decide plans a sync.
//
// Wanted are the marker's active and previous, unless that was purged, what the fleet had before a
// rollout, and those of the newest keep revisions that are newer than the active: they may be
// blessed next. Where nothing was ever blessed, the newest keep. Whatever is local stays as long as
// it is wanted, a link points to it, a jump is about it, or it is among the newest keep. No more go
// than may, and none when the listing is not to be trusted: it is empty, or lacks the active.
func decide(v view) plan {
	newest := v.bucket[max(0, len(v.bucket)-v.keep):]
	wanted := []revision.Revision{v.active}
	for _, r := range []revision.Revision{v.activePrevious, v.base} {
		if slices.Contains(v.bucket, r) {
			wanted = append(wanted, r)
		}
	}
	for _, r := range slices.Backward(newest) {
		if v.blessedOnly {
			break
		}
		if v.active == (revision.Revision{}) || revision.Compare(r, v.active) > 0 {
			wanted = append(wanted, r)
		}
	}

	var todo plan
	for _, r := range wanted {
		if slices.Contains(v.bucket, r) && !slices.Contains(v.ready, r) && !slices.Contains(todo.fetch, r) {
			todo.fetch = append(todo.fetch, r)
		}
	}
	trusted := len(v.bucket) > 0 && (v.active == revision.Revision{} || slices.Contains(v.bucket, v.active))
	if !trusted {
		return todo
	}
	for _, r := range v.local {
		if slices.Contains(wanted, r) || slices.Contains(newest, r) || v.links.Has(r) || slices.Contains(v.jump, r) {
			continue
		}
		if len(todo.remove) < v.removable {
			todo.remove = append(todo.remove, r)
		} else {
			todo.exceed = append(todo.exceed, r)
		}
	}
	return todo
}
