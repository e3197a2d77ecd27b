package master

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// JumpOptions are the choices of Jump.
type JumpOptions struct {
	// Again blesses the active revision once more, so that every host tries anew, and whatever the
	// bucket has of r now, also where something else was blessed under that name.
	Again bool
	Note  string // kept in the marker
	// Lasts is how long hosts that trust signatures follow the blessing; 0 is for ever.
	Lasts time.Duration
	// Above is a serial that hosts have seen. The new entry gets a greater one, so that they follow
	// it; where the active entry has none, it is blessed again. 0 is none.
	Above int64

	// Params are what hooks are told. To bless the active revision with others is to bless it
	// again; nil are those that it has.
	Params catalog.Params

	Rollout *rollout.Options // in which waves; nil is all hosts at once
	// Usual is set where the waves are those of every blessing, and nobody has asked for them now.
	// Then they don't replace a rollout that is not over.
	Usual bool
	Now   bool                // also where a rollout is not over
	Fleet Fleet               // what the hosts have reported, if anything
	Plan  func(*rollout.Plan) // is told the waves before they are blessed; nil: nobody listens
}

// Jump blesses r: every host activates it when it next syncs. To bless the
// active revision is nothing to do, unless it is wanted again. An error of kind
// ftl.Refused says that somebody else blessed something at the same time, and
// who.
func (m *Master) Jump(ctx context.Context, r revision.Revision, opts JumpOptions) error {
	if len(opts.Note) > catalog.MaxNote {
		return longNote(opts.Note)
	}
	marker, err := m.prepare(ctx, r.Package())
	if err != nil {
		return during(err, "bless %s", r)
	}
	newest, _ := marker.Newest()
	again := opts.Again || opts.Above > 0 && newest.Serial <= opts.Above
	if err := m.refuseUnsettled(ctx, marker, r, opts); err != nil {
		return during(err, "bless %s", r)
	}
	entry := catalog.Entry{Revision: r, Kind: catalog.KindJump, Note: opts.Note, Serial: opts.Above + 1, Params: opts.Params, Expires: m.expiry(opts.Lasts)}
	if active, blessed := marker.Active(); blessed && active.Revision == r {
		if entry.Params == nil {
			entry.Params = active.Params
		}
		again = again || !maps.Equal(entry.Params, active.Params) || opts.Now && active.Rollout != nil
	}
	if !opts.Again {
		entry.Manifest = marker.Content(r)
	}
	if err := m.setBase(ctx, &entry, marker, opts.Fleet); err != nil {
		return during(err, "bless %s", r)
	}
	if err := m.planRollout(&entry, marker, opts); err != nil {
		return err
	}
	return during(m.bless(ctx, marker, entry, again), "bless %s", r)
}

// JumpBack blesses the newest revision of the marker that is not the active one.
func (m *Master) JumpBack(ctx context.Context, pkg revision.Package, note string) error {
	return m.jumpBack(ctx, pkg, note, func(catalog.Entry) bool { return true })
}

// JumpBackFrom is JumpBack as long as the entry with this serial is the newest one. Where somebody
// has blessed since, it is an error of kind ftl.Refused.
func (m *Master) JumpBackFrom(ctx context.Context, pkg revision.Package, serial int64, note string) error {
	return m.jumpBack(ctx, pkg, note, func(newest catalog.Entry) bool { return newest.Serial == serial })
}

func (m *Master) jumpBack(ctx context.Context, pkg revision.Package, note string, from func(newest catalog.Entry) bool) error {
	if len(note) > catalog.MaxNote {
		return longNote(note)
	}
	marker, err := m.prepare(ctx, pkg)
	if err != nil {
		return during(err, "jump back %s", pkg)
	}
	if newest, _ := marker.Newest(); !from(newest) {
		return ftl.Errorf(ftl.Refused, "look at it: ftl log --master "+pkg.String(), "%s was %s%s meanwhile", newest.Revision, newest.Verb(), newest.Origin())
	}
	entry, err := m.wayBack(ctx, marker)
	if err != nil {
		return during(err, "jump back %s", pkg)
	}
	entry.Note = note
	return during(m.bless(ctx, marker, entry, true), "jump back to %s", entry.Revision)
}

// bless writes the marker with one more entry, if it still is the marker that was read and the
// revision exists, before and after. For the active revision it does so only if it is wanted again.
// The entry's serial is the least that will do; its digest, where it has one, what the manifest has
// to be.
func (m *Master) bless(ctx context.Context, marker catalog.Marker, entry catalog.Entry, again bool) error {
	task := m.begin(ftl.Event{Package: marker.Package, Revision: entry.Revision, Step: ftl.Bless})
	active, blessed := marker.Active()
	if blessed && active.Revision == entry.Revision && !again {
		_, _, err := m.blessable(ctx, &entry)
		task.end("already; --again lets every host try anew", err)
		return err
	}
	err := m.blessAnew(ctx, marker, entry)
	task.end("", err)
	return err
}

// blessable makes sure that a revision can be blessed, and completes its entry.
func (m *Master) blessable(ctx context.Context, entry *catalog.Entry) (catalog.Manifest, time.Time, error) {
	manifest, date, err := m.complete(ctx, entry.Revision)
	if err == nil {
		err = m.checkClock(date)
	}
	if err != nil {
		return catalog.Manifest{}, time.Time{}, err
	}
	if entry.Manifest != (catalog.Digest{}) && entry.Manifest != manifest.Digest {
		return catalog.Manifest{}, time.Time{}, otherContent(entry.Revision)
	}
	entry.Manifest = manifest.Digest
	return manifest, date, nil
}

func (m *Master) blessAnew(ctx context.Context, marker catalog.Marker, entry catalog.Entry) error {
	manifest, date, err := m.blessable(ctx, &entry)
	if err == nil {
		err = m.confirm(marker, entry)
	}
	if err != nil || m.DryRun {
		return err
	}
	least, err := m.leastSerial(ctx, marker, date)
	if err != nil {
		return err
	}
	entry.Serial = max(entry.Serial, least)
	entry.Op, entry.At, entry.By = newOp(), m.now(), m.by(ctx)
	if err := m.writeMarker(ctx, marker, &entry); err != nil {
		return err
	}
	there, err := m.stillThere(ctx, manifest)
	if err != nil {
		return err
	}
	if !there {
		return m.takeBack(ctx, entry, marker)
	}
	m.touch(ctx)
	return nil
}

// complete makes sure that a revision has its manifest and its archive, and returns the bucket's
// clock, which is zero where the bucket doesn't tell it.
func (m *Master) complete(ctx context.Context, r revision.Revision) (catalog.Manifest, time.Time, error) {
	manifest, err := m.Bucket.Manifest(ctx, r)
	if errors.Is(err, fs.ErrNotExist) {
		if contents, err := m.Bucket.Contents(ctx, r.Package()); err == nil && len(contents.Revisions) == 0 {
			return manifest, time.Time{}, m.Bucket.UnknownPackage(ctx, r.Package())
		}
		return manifest, time.Time{}, ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master "+r.Package().String(), "the bucket has no revision %s", r)
	}
	if err != nil {
		return manifest, time.Time{}, err
	}
	object, err := m.Bucket.Stat(ctx, manifest.Archive)
	if errors.Is(err, fs.ErrNotExist) {
		err = ftl.Errorf(ftl.NotFound, "spool it again", "the bucket has no archive %s", manifest.Archive)
	}
	return manifest, object.Date, err
}

// otherContent refuses a revision whose manifest is not the one that was blessed.
func otherContent(r revision.Revision) error {
	return ftl.Errorf(ftl.Refused, "find out who changed it; to bless what is there now: ftl jump --master --again "+r.String(),
		"the bucket has another manifest of %s than the one that was blessed", r)
}

// writeMarker puts the marker with the new entry in the place of the one that
// was read. When the condition fails, it may be by our own write, whose answer
// was lost; the op in the marker tells.
func (m *Master) writeMarker(ctx context.Context, marker catalog.Marker, entry *catalog.Entry) error {
	if err := m.checkSigning(*entry); err != nil {
		return err
	}
	text, err := marker.AddSigned(entry, m.Signing)
	if err == nil && m.Signing != nil && m.Bucket.Trust != nil {
		err = m.Bucket.Trust.CheckMarker(marker.Package, text)
	}
	if err != nil {
		return err
	}
	err = m.put(ctx, catalog.MarkerKey(marker.Package), text, store.PutOptions{
		IfAbsent: marker.ETag == "", IfMatch: marker.ETag, Metadata: map[string]string{catalog.MetadataOp: entry.Op},
	})
	if !errors.Is(err, store.ErrPrecondition) {
		return err
	}
	now, err := m.Bucket.Marker(ctx, marker.Package)
	if err != nil {
		return err
	}
	if _, mine := now.Find(entry.Op); mine {
		return nil
	}
	winner, ok := now.Newest()
	if !ok {
		return ftl.Errorf(ftl.Refused, "run it again", "the marker of %s was deleted at the same time", marker.Package)
	}
	return ftl.Errorf(ftl.Refused, "look at it, then run yours again if it is still right",
		"somebody was faster: %s was %s%s", winner.Revision, winner.Verb(), winner.Origin())
}

// How long a blessing waits for the manifest of a revision that is being purged
// at the same time: Purge puts it back as soon as it reads the new marker.
var (
	purgeChecks   = 20
	purgeInterval = 250 * time.Millisecond
)

func (m *Master) stillThere(ctx context.Context, manifest catalog.Manifest) (bool, error) {
	for range purgeChecks {
		_, err := m.Bucket.Stat(ctx, catalog.ManifestKey(manifest.Revision))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(purgeInterval):
		}
	}
	return false, nil
}

// takeBack blesses what was active before, as the revision of our entry has
// been purged: purge had looked at the marker before the entry was there. No
// host can have followed it.
func (m *Master) takeBack(ctx context.Context, entry catalog.Entry, before catalog.Marker) error {
	gone := fmt.Sprintf("%s was purged at the same time", entry.Revision)
	was, ok := before.Active()
	if !ok {
		return ftl.Errorf(ftl.Refused, "bless one that is there: ftl list --master "+before.Package.String(), "%s, and the marker names it", gone)
	}
	now, err := m.Bucket.Marker(ctx, before.Package)
	if err != nil {
		return err
	}
	if newest, _ := now.Newest(); newest.Op != entry.Op {
		return ftl.Errorf(ftl.Refused, "", "%s; meanwhile %s was %s%s", gone, newest.Revision, newest.Verb(), newest.Origin())
	}
	back := catalog.Entry{Revision: was.Revision, Op: newOp(), At: m.now(), By: m.by(ctx), Kind: catalog.KindJumpBack, Note: gone, Manifest: was.Manifest, Params: was.Params}
	if err := m.writeMarker(ctx, now, &back); err != nil {
		return err
	}
	return ftl.Errorf(ftl.Refused, "see what there is: ftl list --master "+before.Package.String(), "%s; %s stays active", gone, was.Revision)
}
