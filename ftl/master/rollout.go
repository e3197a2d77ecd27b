package master

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// Fleet is what whoever blesses knows of the hosts of a package.
type Fleet struct {
	Members []rollout.Member // that a rollout counts
	OK, Bad int              // how many of them run the newest entry well, or said that it failed
}

// settledAge is how old an entry without waves is when it counts as settled, unless hosts say that
// it failed.
const settledAge = 24 * time.Hour

// Settled reports whether the newest entry of a marker has proven itself, so that it may be what
// the fleet goes back to.
func (m *Master) Settled(ctx context.Context, marker catalog.Marker, fleet Fleet) (bool, error) {
	active, ok := marker.Active()
	if !ok {
		return false, nil
	}
	if active.Rollout != nil {
		count, err := m.count(ctx, marker)
		if err != nil {
			return false, err
		}
		return !count.Settled.IsZero(), nil
	}
	n := len(fleet.Members)
	if n > 0 && fleet.OK*10 >= n*9 {
		return true, nil
	}
	return m.date(marker).Sub(marker.Modified) >= settledAge && fleet.Bad*50 <= n, nil
}

// count reads the votes for the newest entry of a marker, which has waves.
func (m *Master) count(ctx context.Context, marker catalog.Marker) (*rollout.Count, error) {
	active, _ := marker.Active()
	votes, err := m.Bucket.Votes(ctx, marker.Package, active.Serial)
	if err != nil {
		return nil, err
	}
	return votes.Count(active.Rollout), nil
}

// date returns the bucket's clock, and ours where it tells none.
func (m *Master) date(marker catalog.Marker) time.Time {
	if marker.Date.IsZero() {
		return m.now()
	}
	return marker.Date
}

// setBase notes what hosts stay on until a new entry has settled: what is active, if that has, and
// otherwise what that one's own base was.
func (m *Master) setBase(ctx context.Context, entry *catalog.Entry, marker catalog.Marker, fleet Fleet) error {
	active, ok := marker.Active()
	if !ok {
		return nil
	}
	settled, err := m.Settled(ctx, marker, fleet)
	if err != nil {
		return err
	}
	if settled {
		entry.Base, entry.BaseManifest = active.Revision, active.Manifest
	} else {
		entry.Base, entry.BaseManifest = active.Base, active.BaseManifest
	}
	there, err := m.hasBase(ctx, *entry)
	unbound := m.Signing != nil && entry.BaseManifest == (catalog.Digest{}) // an older ftl blessed it
	if !there || unbound {                                                  // nothing to go back to
		entry.Base, entry.BaseManifest = revision.Revision{}, catalog.Digest{}
	}
	return err
}

// hasBase reports whether the bucket has the base of an entry. Where the entry before has no waves,
// it may have been purged.
func (m *Master) hasBase(ctx context.Context, entry catalog.Entry) (bool, error) {
	if entry.Base == (revision.Revision{}) {
		return false, nil
	}
	_, err := m.Bucket.Stat(ctx, catalog.ManifestKey(entry.Base))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// refuseUnsettled refuses a blessing that would break into a rollout which is going on, unless it
// says how to go on.
func (m *Master) refuseUnsettled(ctx context.Context, marker catalog.Marker, r revision.Revision, opts JumpOptions) error {
	active, ok := marker.Active()
	same := active.Revision == r
	replaces := opts.Rollout != nil && !opts.Usual && (!same || opts.Again)
	if !ok || active.Rollout == nil || opts.Now || replaces {
		return nil
	}
	count, err := m.count(ctx, marker)
	if err != nil || !count.Settled.IsZero() {
		return err
	}
	pkg := marker.Package.String()
	if same {
		return ftl.Errorf(ftl.Refused, "to go on: ftl rollout resume "+pkg+"; without waves: ftl rollout finish "+pkg,
			"the rollout of %s is not over", r)
	}
	return ftl.Errorf(ftl.Refused, "to begin another one: --rollout WAVES, or --now for all hosts at once",
		"the rollout of %s is not over", active.Revision)
}

// Halt stops the rollout of a package. It writes no entry, so it needs no right to bless, and no
// key; it can only stop.
func (m *Master) Halt(ctx context.Context, pkg revision.Package) error {
	marker, active, err := m.rolling(ctx, pkg)
	if err != nil {
		return during(err, "halt the rollout of %s", pkg)
	}
	if err := m.confirm(marker, active); err != nil {
		return during(err, "halt the rollout of %s", pkg)
	}
	task := m.begin(ftl.Event{Package: pkg, Revision: active.Revision, Step: ftl.Halt})
	if !m.DryRun {
		err = m.halt(ctx, marker, active)
	}
	task.end("", err)
	return err
}

func (m *Master) halt(ctx context.Context, marker catalog.Marker, active catalog.Entry) error {
	pkg := marker.Package
	vote := rollout.Vote{Host: rollout.Operator, Kind: rollout.Bad}
	if err := m.Bucket.Vote(ctx, pkg, active.Serial, vote); err != nil {
		return during(err, "halt the rollout of %s", pkg)
	}
	m.touch(ctx)
	now, err := m.Bucket.Marker(ctx, pkg)
	if err != nil {
		return during(err, "halt the rollout of %s", pkg)
	}
	if newest, _ := now.Active(); newest.Serial != active.Serial {
		return ftl.Errorf(ftl.Refused, "look at it, then halt it if that is still right",
			"somebody blessed %s meanwhile%s; that is not halted", newest.Revision, newest.Origin())
	}
	return nil
}

// Release frees the slots that a host holds for changing a package, and returns how many there
// were. It is for a host that will not give them back itself.
func (m *Master) Release(ctx context.Context, pkg revision.Package, node catalog.Node) (int, error) {
	_, active, err := m.rolling(ctx, pkg)
	if err != nil {
		return 0, during(err, "release %s", node)
	}
	released := 0
	for number := 1; number <= active.Rollout.AtOnce; number++ {
		slot, _, err := m.Bucket.Slot(ctx, pkg, number)
		if err != nil {
			return released, during(err, "release %s", node)
		}
		if slot.Host != node {
			continue
		}
		if err := m.Bucket.Give(ctx, pkg, slot); err != nil {
			return released, during(err, "release %s", node)
		}
		released++
	}
	m.touch(ctx)
	return released, nil
}

// rolling returns the marker of a package whose newest entry has waves.
func (m *Master) rolling(ctx context.Context, pkg revision.Package) (catalog.Marker, catalog.Entry, error) {
	marker, err := m.Bucket.Marker(ctx, pkg)
	if err != nil {
		return marker, catalog.Entry{}, err
	}
	active, ok := marker.Active()
	if !ok {
		return marker, active, m.Bucket.UnknownPackage(ctx, pkg)
	}
	if err := active.Understood(); err != nil {
		return marker, active, err
	}
	if active.Rollout == nil {
		return marker, active, ftl.Errorf(ftl.Refused, "to go back: ftl jump-back --master "+pkg.String(),
			"%s was blessed for all hosts at once; there is no rollout", active.Revision)
	}
	return marker, active, nil
}

// Change is how a rollout goes on.
type Change int

// How a rollout goes on, each by a new entry of the same revision.
const (
	Resume  Change = iota // as before, after it was halted
	Advance               // without the first wave that is not done
	Finish                // all hosts at once
)

// ResumeOptions are the choices of Resume.
type ResumeOptions struct {
	Change   Change
	Tolerate *float64 // raises what part of the hosts may fail; nil leaves it
	Note     string
}

// Resume blesses the revision of a rollout again, so that it goes on.
func (m *Master) Resume(ctx context.Context, pkg revision.Package, opts ResumeOptions) error {
	if len(opts.Note) > catalog.MaxNote {
		return longNote(opts.Note)
	}
	if _, err := m.prepare(ctx, pkg); err != nil {
		return during(err, "go on with the rollout of %s", pkg)
	}
	marker, active, err := m.rolling(ctx, pkg)
	if err != nil {
		return during(err, "go on with the rollout of %s", pkg)
	}
	entry := catalog.Entry{
		Revision: active.Revision, Kind: catalog.KindJump, Note: opts.Note, Manifest: active.Manifest, Params: active.Params,
		Base: active.Base, BaseManifest: active.BaseManifest,
	}
	switch opts.Change {
	case Resume:
		entry.Rollout = tolerating(active.Rollout, opts.Tolerate)
	case Advance:
		count, err := m.count(ctx, marker)
		if err != nil {
			return during(err, "go on with the rollout of %s", pkg)
		}
		if entry.Rollout = tolerating(active.Rollout, opts.Tolerate).Advanced(count.Done()); entry.Rollout == nil {
			return ftl.Errorf(ftl.Refused, "to open it to all hosts: ftl rollout finish "+pkg.String(), "the rollout of %s is in its last wave", active.Revision)
		}
	}
	return during(m.bless(ctx, marker, entry, true), "go on with the rollout of %s", active.Revision)
}

// tolerating returns a plan in which more hosts may fail.
func tolerating(p *rollout.Plan, tolerate *float64) *rollout.Plan {
	if tolerate == nil {
		return p
	}
	return p.Tolerating(*tolerate)
}

// planRollout puts the waves into an entry that somebody asks for.
func (m *Master) planRollout(entry *catalog.Entry, marker catalog.Marker, opts JumpOptions) error {
	if opts.Rollout == nil {
		return nil
	}
	plan, err := rollout.New(entry.Revision, m.date(marker), opts.Fleet.Members, *opts.Rollout)
	if errors.Is(err, rollout.ErrNobody) {
		return ftl.Errorf(ftl.Refused, "let hosts report first, or spread it over time without hearing from them: --over 2h, or give no waves",
			"no host that is subscribed to %s has reported, so there is nobody to count waves by", marker.Package)
	}
	if err != nil {
		return err
	}
	if plan.Size == 1 {
		m.warn("%s has reported from one host alone, so there are no waves", marker.Package)
		return nil
	}
	entry.Rollout = plan
	if opts.Plan != nil {
		opts.Plan(plan)
	}
	return nil
}

// wayBack returns the entry by which the master goes back. From a rollout that is not settled that
// is to its base: what was active before it may never have proven itself.
func (m *Master) wayBack(ctx context.Context, marker catalog.Marker) (catalog.Entry, error) {
	active, _ := marker.Active()
	previous, ok := marker.Previous()
	entry := catalog.Entry{
		Revision: previous.Revision, Kind: catalog.KindJumpBack, Manifest: previous.Manifest, Params: previous.Params,
		Base: active.Base, BaseManifest: active.BaseManifest,
	}
	if active.Rollout == nil {
		return entry, m.hasWayBack(ctx, marker, ok, previous)
	}
	count, err := m.count(ctx, marker)
	if err != nil {
		return entry, err
	}
	if active.Rollout.AtOnce > 0 {
		entry.Rollout = active.Rollout.WithoutWaves()
	}
	if !count.Settled.IsZero() {
		return entry, m.hasWayBack(ctx, marker, ok, previous)
	}
	if active.Base == (revision.Revision{}) || active.Base == active.Revision {
		return entry, ftl.Errorf(ftl.Refused, "name one: ftl jump --master --now REVISION",
			"the rollout of %s is not over, and no revision before it has settled", active.Revision)
	}
	entry.Revision, entry.Manifest, entry.Params = active.Base, active.BaseManifest, marker.Params(active.Base)
	return entry, nil
}

// hasWayBack makes an error of a marker without a previous revision.
func (m *Master) hasWayBack(ctx context.Context, marker catalog.Marker, ok bool, previous catalog.Entry) error {
	if ok {
		return previous.Understood()
	}
	if marker.Retired() {
		retired, _ := marker.Newest()
		return ftl.Errorf(ftl.NotFound, "to bring it back, spool it and bless that",
			"%s was retired%s, and its revisions are gone", marker.Package, retired.Origin())
	}
	if contents, err := m.Bucket.Contents(ctx, marker.Package); err == nil && len(contents.Revisions)+len(marker.Entries) == 0 {
		return m.Bucket.UnknownPackage(ctx, marker.Package)
	}
	blessed := "nothing"
	if active, ok := marker.Active(); ok {
		blessed = "nothing but " + active.Revision.String()
	}
	return ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master "+marker.Package.String()+"; then: ftl jump --master REVISION",
		"%s of %s was blessed yet, so there is no previous revision", blessed, marker.Package)
}

// touch tells hosts that something has changed. That it could not is a warning, as hosts look once
// an hour anyway.
func (m *Master) touch(ctx context.Context) {
	if err := m.Bucket.Touch(ctx); err != nil {
		m.warn("hosts that look only at what has changed see this within an hour: %v", err)
	}
}

// touchChanged is touch, for commands that may have been a dry run.
func (m *Master) touchChanged(ctx context.Context) {
	if !m.DryRun {
		m.touch(ctx)
	}
}
