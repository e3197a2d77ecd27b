package host

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// rehearsal is a dry run. It takes the decisions that a run takes, and shows each step instead of
// taking it: in memory, the state and the links become what they would be then. It takes no lock.
// Somebody else may change the host in between, so it is a plan and no promise.
type rehearsal struct {
	*pkg
	state  *tree.State
	cur    tree.Links
	coming map[revision.Revision]catalog.Manifest // of revisions that would be fetched
	spares spares                                 // of a sync
}

// mending says what a command mends that it finds: it sets that aside.
type mending int

const (
	mendsNothing mending = iota
	mendsLinks
	mendsAll // also a state that can't be read
)

// rehearse begins a dry run where a run could begin.
func (p *pkg) rehearse(mends mending) (*rehearsal, error) {
	if err := p.mayChange(); err != nil {
		return nil, err
	}
	cur, err := p.Links()
	if mends >= mendsLinks && tree.IsStray(err) {
		cur, err = tree.Links{Current: p.readable(p.CurrentLink()), Previous: p.readable(p.PreviousLink())}, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := p.ReadState()
	if mends == mendsAll && errors.Is(err, tree.ErrState) {
		st, err = p.Adopt()
	}
	if err != nil {
		return nil, err
	}
	d := &rehearsal{pkg: p, state: st, cur: cur, coming: make(map[revision.Revision]catalog.Manifest)}
	if st.Removed {
		d.cur = tree.Links{}
	}
	return d, nil
}

// readable returns the revision that a link points to, none where something else is there.
func (p *pkg) readable(link string) revision.Revision {
	r, err := p.ReadLink(link)
	if err != nil {
		return revision.Revision{}
	}
	return r
}

// tell shows a step that is left undone.
func (d *rehearsal) tell(r revision.Revision, step ftl.Step, message string) {
	d.host.report(ftl.Event{Time: time.Now(), Package: d.Name, Revision: r, Step: step, State: ftl.Planned, Message: message})
}

// tellHook shows a hook, if the revision brings it.
func (d *rehearsal) tellHook(r revision.Revision, hook ftl.Step, message string) {
	if manifest, fetched := d.coming[r]; fetched && slices.Contains(manifest.Hooks, string(hook)) || !fetched && d.ships(d.state, r, hook) {
		d.tell(r, hook, message)
	}
}

func (d *rehearsal) usable(r revision.Revision) bool {
	_, fetched := d.coming[r]
	return fetched || d.isUsable(d.state, r)
}

// jumpByHand shows a jump that a person asks for.
func (d *rehearsal) jumpByHand(ctx context.Context, asked request) error {
	if err := d.prepareJump(d.state, d.cur, asked); err != nil {
		return err
	}
	for {
		cur := d.state.Jump.Shown(d.cur)
		switch moveByHand(d.state, cur, asked, d.usableFor(d.state, asked, d.usable)) {
		case dropInterrupted:
			d.drop()
		case undoInterrupted:
			d.undo()
		case recordFlip:
			d.recordFlip()
		case finishInterrupted:
			d.finish()
		case fetchFirst:
			if err := d.fetchByName(ctx, asked.to); err != nil {
				return err
			}
		case takeOver:
			d.finish()
			return nil
		case startActive:
			d.startAgain()
			return nil
		case beginJump:
			d.begin(asked.to)
			return nil
		default:
			return nil
		}
	}
}

// recover shows what becomes of a jump that was interrupted.
func (d *rehearsal) recover() {
	switch moveOfRecovery(d.state.Jump, d.usable) {
	case dropInterrupted:
		d.drop()
	case undoInterrupted:
		d.undo()
	case finishInterrupted:
		d.finish()
		return
	}
	if t := d.state.Jump; t != nil && !t.HasFailed() {
		d.startAgain()
	}
}

func (d *rehearsal) drop() { d.state.Jump = d.state.Jump.Unfinished }

func (d *rehearsal) undo() { d.cur, d.state.Jump = d.state.Jump.Before(), d.state.Jump.Undone() }

func (d *rehearsal) recordFlip() {
	d.cur = d.state.Jump.After()
	d.state.Jump.Phase = tree.PhasePostJump
}

// begin shows a new jump.
func (d *rehearsal) begin(to revision.Revision) {
	d.state.Jump = &tree.Transition{To: to, From: d.cur.Current, Previous: d.cur.Previous, Phase: tree.PhasePreJump}
	d.finish()
}

// startAgain shows how the active revision is started again.
func (d *rehearsal) startAgain() {
	d.tellHook(d.cur.Current, ftl.PostJump, "again")
	d.tellHook(d.cur.Current, ftl.Check, "")
	d.state.Jump, d.state.Inconsistent = nil, ""
}

// finish shows the phases of a jump from the one that it is in.
func (d *rehearsal) finish() {
	t := *d.state.Jump
	d.tellJump(t.To)
	for at := t.Phase; at != tree.PhaseNone; at = rules[at].next {
		switch r := rules[at]; {
		case r.hook != "":
			d.tellHook(r.of.in(&t), r.hook, "")
		default:
			d.tell(r.of.in(&t), ftl.Flip, "")
		}
	}
	d.cur, d.state.Jump = t.After(), nil
	if rules[t.Phase].back {
		d.cur = t.Before()
	}
}

// tellJump shows a jump as a whole: what the package says of itself, and what the hooks of the last
// jump told of.
func (d *rehearsal) tellJump(to revision.Revision) {
	manifest, fetched := d.coming[to]
	if !fetched {
		manifest, _ = d.keptManifest(to)
	}
	d.host.report(ftl.Event{
		Time: time.Now(), Package: d.Name, Revision: to, Step: ftl.Jump, State: ftl.Planned,
		Message: manifest.About.String(), Planned: d.plannedSteps(manifest.About),
	})
}

// fetchByName shows how a revision is fetched that a person asks for.
func (d *rehearsal) fetchByName(ctx context.Context, r revision.Revision) error {
	if d.host.Open == nil {
		return d.notHere(&notReadyError{r})
	}
	bucket, err := d.openBucket(ctx)
	if err != nil {
		return err
	}
	marker, err := d.markerByHand(ctx, bucket, r)
	if err != nil {
		return err
	}
	err = d.fetch(ctx, source{Catalog: bucket, marker: marker, unblessed: true}, r)
	if errors.Is(err, fs.ErrNotExist) {
		return d.nowhere(r)
	}
	return err
}

// fetch shows how a revision is fetched. What hooks it brings along, its manifest tells.
func (d *rehearsal) fetch(ctx context.Context, from source, r revision.Revision) error {
	manifest, err := from.Manifest(ctx, r)
	if err != nil {
		return err
	}
	if err := from.checkManifest(manifest); err != nil {
		return err
	}
	if spare, ok := d.spares.choose(d.state, d.cur); ok && wantsSpare(manifest, d.shownStaging(r)) {
		d.spares.took(spare)
		if err := d.remove(spare); err != nil {
			return err
		}
	}
	d.tell(r, ftl.Fetch, "")
	d.coming[r] = manifest
	d.tellHook(r, ftl.PostSync, "")
	d.state.Ready = maps.Clone(d.state.Ready)
	d.state.Ready[r] = tree.Ready{File: !manifest.Form.Tree(), Manifest: manifest.Digest, Signer: manifest.Signer.Fingerprint}
	return nil
}

// remove shows how a revision is removed.
func (d *rehearsal) remove(r revision.Revision) error {
	if err := d.state.CheckUnused(d.cur, r); err != nil {
		return err
	}
	d.tellHook(r, ftl.PreRemove, "")
	d.tell(r, ftl.Remove, "")
	return nil
}

// removeAll shows how the package is removed.
func (d *rehearsal) removeAll() {
	d.tellHook(d.cur.Current, ftl.UnJump, "")
	for _, r := range d.state.ReadyRevisions() {
		d.tellHook(r, ftl.PreRemove, "")
	}
	message := ""
	if entries, err := d.Files.ReadDir(d.Shared()); err == nil && len(entries) > 0 {
		message = "its shared directory would be kept"
	}
	d.tell(revision.Revision{}, ftl.Remove, message)
}

// sync shows a sync, in the order in which a run does its work.
func (d *rehearsal) sync(ctx context.Context, open func() (*catalog.Catalog, error), force bool) error {
	d.recover()
	from, contents, err := d.ask(ctx, open)
	if err != nil {
		return err
	}
	if err := d.judge(from.marker); err != nil {
		return err
	}
	if floor, err := d.ReadFloor(); err == nil && d.host.Trust.List != nil {
		newest, _ := from.marker.Newest()
		d.state.Follow(newest, floor, d.canBless)
	}
	if err := d.checkMarker(d.state, from.marker, len(contents.Revisions) == 0); err != nil {
		return err
	}
	entry, _ := from.marker.Newest()
	d.state.Look(tree.MarkOf(entry))
	d.state.Renew(entry)
	if err := entry.Understood(); err != nil {
		return err
	}
	if from.marker.Retired() || d.state.IsRetired() {
		return nil
	}
	if err := d.state.RunsOther(from.marker, d.cur.Current); err != nil {
		return err
	}
	d.state.SetApart(d.host.trusting(), d.cur)
	d.state.DropOther(from.marker, d.cur)
	todo, err := d.plan(d.state, from.marker, contents)
	if err != nil {
		return err
	}
	if force {
		todo.remove, todo.exceed = append(todo.remove, todo.exceed...), nil
	}
	to, err := d.steer(ctx, from, d.state, d.cur)
	if err != nil {
		return err
	}
	return d.carryOut(ctx, from, to, todo)
}

// carryOut shows what a sync has to do.
func (d *rehearsal) carryOut(ctx context.Context, from source, to course, todo plan) error {
	var errs []error
	d.spares.left = slices.Clone(todo.remove)
	first, rest := todo.firstOf(to.newest)
	if to.base != (revision.Revision{}) {
		errs = append(errs, d.goBase(ctx, from, to.base))
		rest = slices.DeleteFunc(rest, func(r revision.Revision) bool { return r == to.base })
	}
	for _, r := range first {
		errs = append(errs, d.fetchWhenDue(ctx, from, r))
	}
	errs = append(errs, d.follow(to.newest, d.state.IsNews(to.newest.Revision, from.marker.Params(to.newest.Revision))))
	for _, r := range rest {
		errs = append(errs, d.fetchWhenDue(ctx, from, r))
	}
	for _, r := range d.spares.left {
		if err := d.state.Waiting(r, ftl.PreRemove, time.Now()); err != nil {
			errs = append(errs, err)
		} else if !d.cur.Has(r) {
			errs = append(errs, d.remove(r))
		}
	}
	if len(todo.exceed) > 0 {
		count, err := d.CountRemovals()
		if err == nil {
			err = d.exceeded(count, todo.exceed)
		}
		errs = append(errs, err)
	}
	return ftl.Join(errs...)
}

// goBase shows how a host goes to the revision that the fleet had before.
func (d *rehearsal) goBase(ctx context.Context, from source, base revision.Revision) error {
	if !d.state.IsReady(base) {
		if err := d.fetchWhenDue(ctx, from, base); err != nil {
			return err
		}
	}
	if d.cur.Current != base && d.state.Jump == nil {
		d.begin(base)
	}
	return nil
}

func (d *rehearsal) fetchWhenDue(ctx context.Context, from source, r revision.Revision) error {
	if err := d.state.FetchDue(r, time.Now()); err != nil {
		return err
	}
	return d.fetch(ctx, from, r)
}

// follow shows what becomes of the marker's newest entry.
func (d *rehearsal) follow(newest tree.Mark, isNews bool) error {
	next, err := moveOfSync(d.state, d.cur, newest, isNews, time.Now())
	if err != nil {
		return err
	}
	switch next {
	case startActive, retryActive:
		d.startAgain()
	case beginJump:
		d.begin(newest.Revision)
	}
	return nil
}

// ships reports whether a revision that is here brings a hook.
func (p *pkg) ships(st *tree.State, r revision.Revision, name ftl.Step) bool {
	return st.IsReady(r) && !st.Ready[r].File && p.shipsHere(r, name)
}

// shipsHere reports whether the tree of a revision has a hook, also one that must
// not be run.
func (p *pkg) shipsHere(r revision.Revision, name ftl.Step) bool {
	dir, err := p.OpenRevision(r)
	if err != nil {
		return true
	}
	defer dir.Close()
	_, err = hooks.Find(dir.File(), hooks.Name(name))
	return !errors.Is(err, fs.ErrNotExist)
}
