package host

import (
	"slices"

	"github.com/rhettg/ftl/revision"
)

// view is all that the decision what to fetch and what to remove depends on.
// The lists are sorted, oldest first. Zero revisions are none.
type view struct {
	bucket         []revision.Revision // a complete listing
	active         revision.Revision   // the marker's
	activePrevious revision.Revision
	local          []revision.Revision // that have a directory
	ready          []revision.Revision // of those
	links          links
	keep           int
}

// plan is what sync has to do.
type plan struct {
	fetch  []revision.Revision // the active first, then the newest first
	remove []revision.Revision // oldest first
}

// decide plans a sync.
//
// Wanted are the marker's active and previous, and those of the newest keep
// revisions that are newer than the active: they may be blessed next. Where
// nothing was ever blessed, the newest keep. Whatever is local stays as long as
// it is wanted, a link points to it, or it is among the newest keep. At most
// half of the local revisions, but always up to five, go in one run, and none
// when the listing is not to be trusted: it is empty, or lacks the active.
func decide(v view) plan {
	newest := v.bucket[max(0, len(v.bucket)-v.keep):]
	wanted := []revision.Revision{v.active, v.activePrevious}
	for _, r := range slices.Backward(newest) {
		if v.active == (revision.Revision{}) || revision.Compare(r, v.active) > 0 {
			wanted = append(wanted, r)
		}
	}

	var plan plan
	for _, r := range wanted {
		if slices.Contains(v.bucket, r) && !slices.Contains(v.ready, r) && !slices.Contains(plan.fetch, r) {
			plan.fetch = append(plan.fetch, r)
		}
	}
	trusted := len(v.bucket) > 0 && (v.active == revision.Revision{} || slices.Contains(v.bucket, v.active))
	if !trusted {
		return plan
	}
	for _, r := range v.local {
		if !slices.Contains(wanted, r) && !slices.Contains(newest, r) && !v.links.has(r) {
			plan.remove = append(plan.remove, r)
		}
	}
	plan.remove = plan.remove[:min(len(plan.remove), max(minRemovals, len(v.local)/2))]
	return plan
}

const minRemovals = 5
