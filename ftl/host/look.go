package host

import (
	"context"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// look reads what the bucket says, and plans.
func (p *pkg) look(ctx context.Context, open func() (*catalog.Catalog, error)) (source, course, plan, error) {
	none := func(err error) (source, course, plan, error) { return source{}, course{}, plan{}, err }
	from, contents, err := p.ask(ctx, open)
	if err != nil {
		return none(p.tellDistrust(ctx, err))
	}
	marker := from.marker
	if err := p.judge(marker); err != nil {
		return none(p.tellDistrust(ctx, err))
	}
	p.read = &reading{marker, contents}
	st, err := p.see(ctx, marker, len(contents.Revisions) == 0)
	if err != nil {
		return none(err)
	}
	entry, _ := marker.Newest()
	if err := entry.Understood(); err != nil {
		p.NoteLook()
		return none(p.tellNewer(ctx, entry.Revision, err))
	}
	if marker.Retired() || st.IsRetired() { // then the marker may be gone, too
		p.NoteLook()
		return none(p.tellRetired(ctx, st, entry))
	}
	cur, err := p.Links()
	if err != nil {
		return none(err)
	}
	if err := p.setApart(ctx, st, cur); err != nil {
		return none(err)
	}
	if err := p.checkContent(ctx, st, marker, cur); err != nil {
		return none(err)
	}
	todo, err := p.plan(st, marker, contents)
	if err != nil {
		return none(err)
	}
	to, err := p.steer(ctx, from, st, cur)
	if err != nil {
		return none(err)
	}
	p.NoteLook()
	return from, to, todo, nil
}

// ask reads the marker and what else there is of the package. The marker comes first: what it names
// is then in the listing.
func (p *pkg) ask(ctx context.Context, open func() (*catalog.Catalog, error)) (source, catalog.Contents, error) {
	bucket, err := open()
	if err == nil {
		bucket, err = p.trusted(bucket)
	}
	if err != nil {
		return source{}, catalog.Contents{}, err
	}
	marker, err := bucket.Marker(ctx, p.Name)
	if err != nil {
		return source{}, catalog.Contents{}, err
	}
	contents, err := bucket.Contents(ctx, p.Name)
	return source{Catalog: bucket, marker: marker, unblessed: p.host.Trust.Prefetch}, contents, err
}

// reading is what the bucket says of a package.
type reading struct {
	marker   catalog.Marker
	contents catalog.Contents
}

// toFollow returns the marker's newest entry, and none where that has to wait.
func (p *pkg) toFollow(st *tree.State, marker catalog.Marker, links tree.Links) tree.Mark {
	if st.Hold != nil {
		return tree.Mark{}
	}
	if _, wait := delayedUntil(marker, p.host.Delay, links.Current != (revision.Revision{})); wait {
		return tree.Mark{}
	}
	active, _ := marker.Active()
	return tree.MarkOf(active)
}

// see notes the newest entry of the marker, and returns the state. A marker that can't be the
// newest is an error.
func (p *pkg) see(ctx context.Context, marker catalog.Marker, empty bool) (*tree.State, error) {
	st, err := p.ReadState()
	if err != nil {
		return nil, err
	}
	if err := p.accept(ctx, st, marker); err != nil {
		return nil, err
	}
	if err := p.checkMarker(st, marker, empty); err != nil {
		return nil, err
	}
	return st, p.noteNewest(ctx, st, marker)
}

// noteNewest notes the newest entry of the marker in the state.
func (p *pkg) noteNewest(ctx context.Context, st *tree.State, marker catalog.Marker) error {
	entry, _ := marker.Newest()
	newest := tree.MarkOf(entry)
	if st.Looked && !newest.After(st.Seen) {
		return nil
	}
	look := func(st *tree.State) {
		st.Look(newest)
		st.Renew(entry)
		if newest != (tree.Mark{}) && st.Seen == newest {
			st.SeenEntry = entry.Digest()
		}
	}
	look(st)
	return p.update(ctx, p.host.lockWait(), look)
}

// checkContent makes sure that what is ready here is what was blessed.
func (p *pkg) checkContent(ctx context.Context, st *tree.State, marker catalog.Marker, cur tree.Links) error {
	if err := st.RunsOther(marker, cur.Current); err != nil {
		p.NoteLook()
		return err
	}
	if !st.DropOther(marker, cur) {
		return nil
	}
	return p.update(ctx, p.host.lockWait(), func(st *tree.State) { st.DropOther(marker, cur) })
}

// checkMarker refuses a marker that is gone, though it was there once, and one that is older than
// what was seen: somebody has put it back, or a clock was ahead when the one before was written. A
// marker that is gone from a bucket that is empty of the package is likely to be of another bucket.
func (p *pkg) checkMarker(st *tree.State, marker catalog.Marker, empty bool) error {
	entry, marked := marker.Newest()
	newest := tree.MarkOf(entry)
	switch {
	case !marked && st.IsRetired():
		return nil
	case !marked && st.Seen != (tree.Mark{}) && empty:
		return ftl.Errorf(ftl.NotFound, otherBucket, "the bucket has nothing of %s any more; this host keeps what it has", p.Name)
	case !marked && st.Seen != (tree.Mark{}):
		return ftl.Errorf(ftl.NotFound, "bless the revision again: "+st.BlessAbove(st.Seen.Revision, time.Now()),
			"the marker of %s is gone from the bucket; this host keeps what it has", p.Name)
	case marked && !newest.After(st.Seen) && st.Seen.After(newest):
		return ftl.Errorf(ftl.NotFound, "to follow it: "+st.BlessAbove(entry.Revision, time.Time{}),
			"the marker is older than the one that blessed %s; this host keeps what it has", st.Seen.Revision)
	}
	return nil
}

func (p *pkg) plan(st *tree.State, marker catalog.Marker, contents catalog.Contents) (plan, error) {
	cur, err := p.Links()
	if err != nil {
		return plan{}, err
	}
	local, err := p.Local()
	if err != nil {
		return plan{}, err
	}
	active, blessed := marker.Active()
	previous, _ := marker.Previous()
	if previous.Understood() != nil && !st.IsReady(previous.Revision) {
		previous = catalog.Entry{}
	}
	// A revision that somebody has deleted by hand is to be fetched again.
	present := slices.DeleteFunc(st.ReadyRevisions(), func(r revision.Revision) bool { return !slices.Contains(local, r) })
	v := view{
		bucket: contents.Revisions, active: active.Revision, activePrevious: previous.Revision,
		local: local, ready: present, links: cur, keep: p.host.Keep, blessedOnly: p.host.Trust.List != nil && !p.host.Trust.Prefetch,
		removable: st.Removals.On(time.Now(), len(local)).Left(),
	}
	v.base = active.Base
	if st.Jump != nil {
		v.jump = []revision.Revision{st.Jump.To, st.Jump.From}
	}
	todo := decide(v)
	if blessed && !contents.Has(active.Revision) && !st.IsReady(active.Revision) {
		err = notInBucket(p.Name, active.Revision, contents.Revisions)
	}
	return todo, err
}
