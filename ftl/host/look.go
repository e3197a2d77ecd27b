package host

import (
	"context"
	"slices"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// look reads what the bucket says, and plans. The entry is the one to follow,
// zero where there is none.
func (p *pkg) look(ctx context.Context, open func() (store.Bucket, error)) (store.Bucket, mark, plan, error) {
	none := func(err error) (store.Bucket, mark, plan, error) { return nil, mark{}, plan{}, err }
	bucket, err := open()
	if err != nil {
		return none(err)
	}
	// The marker first: what it names is then in the listing.
	marker, err := master.ReadMarker(ctx, bucket, p.name)
	if err != nil {
		return none(err)
	}
	contents, err := master.ReadContents(ctx, bucket, p.name)
	if err != nil {
		return none(err)
	}
	st, err := p.see(ctx, marker)
	if err != nil {
		return none(err)
	}
	todo, err := p.plan(st, marker, contents)
	if err != nil {
		return none(err)
	}
	links, err := p.links()
	if err != nil {
		return none(err)
	}
	p.noteLook()
	return bucket, p.toFollow(st, marker, links), todo, nil
}

// toFollow returns the marker's newest entry, and none where that has to wait,
// or is older than one that was seen: somebody has put an old marker back.
func (p *pkg) toFollow(st *state, marker master.Marker, links links) mark {
	if st.Hold != nil {
		return mark{}
	}
	if _, wait := delayedUntil(marker, p.host.Delay, links.current != (revision.Revision{})); wait {
		return mark{}
	}
	active, blessed := marker.Active()
	if blessed && st.Seen.after(markOf(active)) {
		p.host.warn("%s: the marker is older than the one that blessed %s; to follow it, bless a revision anew", p.name, st.Seen.Revision)
		return mark{}
	}
	return markOf(active)
}

// see notes the newest entry of the marker, and returns the state. A marker
// that was there once and is not now is an error, not a master without a
// blessing.
func (p *pkg) see(ctx context.Context, marker master.Marker) (*state, error) {
	st, err := p.readState()
	if err != nil {
		return nil, err
	}
	if err := p.markerGone(st, marker); err != nil {
		return nil, err
	}
	active, _ := marker.Active()
	newest := markOf(active)
	if st.Looked && !newest.after(st.Seen) {
		return st, nil
	}
	st.look(newest)
	return st, p.update(ctx, p.host.lockWait(), func(st *state) { st.look(newest) })
}

// markerGone is an error where the marker is gone that was there once.
func (p *pkg) markerGone(st *state, marker master.Marker) error {
	if len(marker.Entries) > 0 || st.Seen == (mark{}) {
		return nil
	}
	return ftl.Errorf(ftl.NotFound, "bless the revision again: ftl jump --master "+st.Seen.Revision.String(),
		"the marker of %s is gone from the bucket; this host keeps what it has", p.name)
}

func (p *pkg) plan(st *state, marker master.Marker, contents master.Contents) (plan, error) {
	links, err := p.links()
	if err != nil {
		return plan{}, err
	}
	local, err := p.local()
	if err != nil {
		return plan{}, err
	}
	active, blessed := marker.Active()
	previous, _ := marker.Previous()
	// A revision that somebody has deleted by hand is to be fetched again.
	present := slices.DeleteFunc(st.readyRevisions(), func(r revision.Revision) bool { return !slices.Contains(local, r) })
	todo := decide(view{
		bucket: contents.Revisions, active: active.Revision, activePrevious: previous.Revision,
		local: local, ready: present, links: links, keep: p.host.Keep,
	})
	if st.Jump != nil {
		todo.remove = slices.DeleteFunc(todo.remove, func(r revision.Revision) bool { return r == st.Jump.To || r == st.Jump.From })
	}
	if blessed && st.Seen.after(markOf(active)) {
		todo.remove = nil // an older marker than one that was seen: not the whole truth
	}
	if blessed && !contents.Has(active.Revision) && !st.isReady(active.Revision) {
		err = ftl.Errorf(ftl.NotFound, "bless one that is there; ftl list --master "+p.name.String()+" shows them",
			"the master's active revision %s is not in the bucket; this host keeps what it has", active.Revision)
	}
	return todo, err
}
