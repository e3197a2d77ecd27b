package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// A dry run decides as the command would, tells what that would do, and neither
// changes anything nor takes a lock. Somebody else may change the host in
// between, so it is a plan and no promise.

// planned tells of a step that a dry run leaves undone.
func (p *pkg) planned(r revision.Revision, step ftl.Step, message string) {
	p.host.report(ftl.Event{Package: p.name, Revision: r, Step: step, State: ftl.Planned, Message: message})
}

// glance reads what is known of a package that the host is subscribed to.
func (p *pkg) glance() (*state, links, error) {
	if err := p.mustExist(); err != nil {
		return nil, links{}, err
	}
	st, err := p.readState()
	if err != nil {
		return nil, links{}, err
	}
	links, err := p.links()
	return st, links, err
}

// drySync is sync in a dry run.
func (p *pkg) drySync(ctx context.Context, open func() (store.Bucket, error)) error {
	st, links, err := p.glance()
	if err != nil {
		return err
	}
	bucket, err := open()
	if err != nil {
		return err
	}
	marker, err := master.ReadMarker(ctx, bucket, p.name)
	if err != nil {
		return err
	}
	contents, err := master.ReadContents(ctx, bucket, p.name)
	if err != nil {
		return err
	}
	if err := p.markerGone(st, marker); err != nil {
		return err
	}
	todo, err := p.plan(st, marker, contents)
	if err != nil {
		return err
	}
	for _, r := range todo.fetch {
		p.planned(r, ftl.Fetch, "")
	}
	active, _ := marker.Active()
	st.look(markOf(active))
	if follow := p.toFollow(st, marker, links); follow.after(st.Acted) && follow.Revision != links.current {
		if err := p.dryFlip(ctx, bucket, st, links, follow.Revision); err != nil {
			return err
		}
	}
	for _, r := range todo.remove {
		p.planned(r, ftl.Remove, "")
	}
	return nil
}

// dryJump is a manual jump in a dry run.
func (p *pkg) dryJump(ctx context.Context, choose func(links) (revision.Revision, error)) error {
	st, links, err := p.glance()
	if err != nil {
		return err
	}
	to, err := choose(links)
	if err != nil {
		return err
	}
	if to == links.current {
		if st.Jump != nil || st.Inconsistent != "" {
			p.planned(to, ftl.Step(hooks.PostJump), "again")
		}
		return nil
	}
	if st.isReady(to) && p.checkTree(to) == nil {
		return p.dryFlip(ctx, nil, st, links, to)
	}
	if p.host.Open == nil {
		return p.notHere(&notReadyError{to})
	}
	bucket, err := p.host.Open(ctx)
	if err != nil {
		return err
	}
	p.planned(to, ftl.Fetch, "")
	return p.dryFlip(ctx, bucket, st, links, to)
}

// dryFlip tells of the hooks of a jump and of its flip. What a revision that is
// not here brings along, its manifest in the bucket tells.
func (p *pkg) dryFlip(ctx context.Context, bucket store.Bucket, st *state, links links, to revision.Revision) error {
	has := func(name hooks.Name) bool { return p.ships(st, to, name) }
	if !st.isReady(to) {
		manifest, err := master.ReadManifest(ctx, bucket, to)
		if errors.Is(err, fs.ErrNotExist) {
			return p.nowhere(to)
		}
		if err != nil {
			return err
		}
		has = func(name hooks.Name) bool { return slices.Contains(manifest.Hooks, string(name)) }
	}
	for _, step := range []struct {
		of   revision.Revision
		name hooks.Name
		runs bool
	}{
		{to, hooks.PostSync, !st.isReady(to) && has(hooks.PostSync)},
		{to, hooks.PreJump, has(hooks.PreJump)},
		{links.current, hooks.UnJump, p.ships(st, links.current, hooks.UnJump)},
	} {
		if step.runs {
			p.planned(step.of, ftl.Step(step.name), "")
		}
	}
	p.planned(to, ftl.Flip, "")
	for _, name := range []hooks.Name{hooks.PostJump, hooks.Check} {
		if has(name) {
			p.planned(to, ftl.Step(name), "")
		}
	}
	return nil
}

// ships reports whether a revision that is here brings a hook.
func (p *pkg) ships(st *state, r revision.Revision, name hooks.Name) bool {
	if !st.isReady(r) || st.Ready[r].File {
		return false
	}
	_, err := hooks.Find(p.revisionDir(r), name)
	return !errors.Is(err, fs.ErrNotExist)
}

// dryRemove tells of the removal of revisions, each with its pre-remove.
func (p *pkg) dryRemove(choose func(*state, links) ([]revision.Revision, error)) error {
	st, links, err := p.glance()
	if err != nil {
		return err
	}
	chosen, err := choose(st, links)
	if err != nil {
		return err
	}
	for _, r := range chosen {
		if p.ships(st, r, hooks.PreRemove) {
			p.planned(r, ftl.Step(hooks.PreRemove), "")
		}
		p.planned(r, ftl.Remove, "")
	}
	return nil
}

// dryRemovePackage tells of the removal of all.
func (p *pkg) dryRemovePackage() error {
	st, links, err := p.glance()
	if err != nil {
		return err
	}
	if p.ships(st, links.current, hooks.UnJump) {
		p.planned(links.current, ftl.Step(hooks.UnJump), "")
	}
	for _, r := range st.readyRevisions() {
		if p.ships(st, r, hooks.PreRemove) {
			p.planned(r, ftl.Step(hooks.PreRemove), "")
		}
	}
	message := ""
	if entries, err := os.ReadDir(p.shared()); err == nil && len(entries) > 0 {
		message = "its shared directory would be kept"
	}
	p.planned(revision.Revision{}, ftl.Remove, message)
	return nil
}
