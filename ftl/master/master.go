package master

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Master changes what a bucket holds. Bucket is required.
type Master struct {
	Bucket store.Bucket
	By     string // user@host, for the marker and the manifests

	// DryRun makes Jump, JumpBack, Purge and Clean only tell what they would do,
	// as steps that are planned.
	DryRun bool

	Report func(ftl.Event)                  // nil: nobody listens
	Warn   func(format string, args ...any) // nil: nobody listens
	Now    func() time.Time                 // nil: the machine's clock
}

// Revisions returns what the bucket has of a package, oldest first, and its
// marker. A package that the bucket does not know is ftl.NotFound.
func (m *Master) Revisions(ctx context.Context, pkg revision.Package) ([]revision.Revision, Marker, error) {
	marker, err := ReadMarker(ctx, m.Bucket, pkg)
	if err != nil {
		return nil, Marker{}, err
	}
	contents, err := ReadContents(ctx, m.Bucket, pkg)
	if err != nil {
		return nil, Marker{}, err
	}
	if len(contents.Revisions) == 0 {
		return nil, Marker{}, unknownPackage(pkg)
	}
	return contents.Revisions, marker, nil
}

// JumpOptions are the choices of Jump.
type JumpOptions struct {
	Again bool   // bless the active revision once more, so that every host tries anew
	Note  string // kept in the marker
}

// Jump blesses r: every host activates it when it next syncs. To bless the
// active revision is nothing to do, unless it is wanted again. An error of kind
// ftl.Refused says that somebody else blessed something at the same time, and
// who.
func (m *Master) Jump(ctx context.Context, r revision.Revision, opts JumpOptions) error {
	if len(opts.Note) > maxNote {
		return longNote(opts.Note)
	}
	marker, err := m.prepare(ctx, r.Package())
	if err != nil {
		return during(err, "bless %s", r)
	}
	entry := Entry{Revision: r, Kind: KindJump, Note: opts.Note}
	return during(m.bless(ctx, marker, entry, opts.Again), "bless %s", r)
}

// JumpBack blesses the newest revision of the marker that is not the active one.
func (m *Master) JumpBack(ctx context.Context, pkg revision.Package, note string) error {
	if len(note) > maxNote {
		return longNote(note)
	}
	marker, err := m.prepare(ctx, pkg)
	if err != nil {
		return during(err, "jump back %s", pkg)
	}
	previous, ok := marker.Previous()
	if !ok {
		blessed := "nothing"
		if active, ok := marker.Active(); ok {
			blessed = "nothing but " + active.Revision.String()
		}
		return ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master "+pkg.String()+"; then: ftl jump --master REVISION",
			"%s of %s was blessed yet, so there is no previous revision", blessed, pkg)
	}
	entry := Entry{Revision: previous.Revision, Kind: KindJumpBack, Note: note}
	return during(m.bless(ctx, marker, entry, true), "jump back to %s", previous.Revision)
}

// during says what was being done when the bucket failed. The other failures
// say it themselves.
func during(err error, format string, args ...any) error {
	if _, told := errors.AsType[*ftl.Error](err); told || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// prepare reads the marker, and makes sure that the bucket keeps the condition
// under which it will be written.
func (m *Master) prepare(ctx context.Context, pkg revision.Package) (marker Marker, err error) {
	group, ctx := errgroup.WithContext(ctx)
	if !m.DryRun {
		group.Go(func() error { return store.CheckConditions(ctx, m.Bucket) })
	}
	group.Go(func() (err error) {
		marker, err = ReadMarker(ctx, m.Bucket, pkg)
		return err
	})
	return marker, group.Wait()
}

// bless writes the marker with one more entry, if it still is the marker that
// was read and the revision exists, before and after. For the active revision
// it does so only if it is wanted again.
func (m *Master) bless(ctx context.Context, marker Marker, entry Entry, again bool) error {
	manifest, err := m.complete(ctx, entry.Revision)
	if err != nil {
		return err
	}
	event := ftl.Event{Package: marker.Package, Revision: entry.Revision, Step: ftl.Bless, State: ftl.Success}
	if active, ok := marker.Active(); ok && active.Revision == entry.Revision && !again {
		event.Message = "already; nothing to do"
		m.report(event)
		return nil
	}
	if m.DryRun {
		event.State = ftl.Planned
		m.report(event)
		return nil
	}
	entry.Op, entry.At, entry.By = newOp(), m.now(), m.by()
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
	m.report(event)
	return nil
}

// complete makes sure that a revision has its manifest and its archive.
func (m *Master) complete(ctx context.Context, r revision.Revision) (Manifest, error) {
	manifest, err := ReadManifest(ctx, m.Bucket, r)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest, ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master "+r.Package().String(), "the bucket has no revision %s", r)
	}
	if err != nil {
		return manifest, err
	}
	_, err = m.Bucket.Stat(ctx, manifest.Archive)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest, ftl.Errorf(ftl.NotFound, "spool it again", "the bucket has no archive %s", manifest.Archive)
	}
	return manifest, err
}

// writeMarker puts the marker with the new entry in the place of the one that
// was read. When the condition fails, it may be by our own write, whose answer
// was lost; the op in the marker tells.
func (m *Master) writeMarker(ctx context.Context, marker Marker, entry *Entry) error {
	text, err := marker.add(entry)
	if err != nil {
		return err
	}
	err = m.put(ctx, markerKey(marker.Package), text, store.PutOptions{
		IfAbsent: marker.etag == "", IfMatch: marker.etag, Metadata: map[string]string{metadataOp: entry.Op},
	})
	if !errors.Is(err, store.ErrPrecondition) {
		return err
	}
	now, err := ReadMarker(ctx, m.Bucket, marker.Package)
	if err != nil {
		return err
	}
	if _, mine := now.find(entry.Op); mine {
		return nil
	}
	winner, ok := now.Active()
	if !ok {
		return ftl.Errorf(ftl.Refused, "run it again", "the marker of %s was deleted at the same time", marker.Package)
	}
	return ftl.Errorf(ftl.Refused, "look at it, then run yours again if it is still right",
		"somebody was faster: %s was blessed%s", winner.Revision, winner.signature())
}

// How long a blessing waits for the manifest of a revision that is being purged
// at the same time: Purge puts it back as soon as it reads the new marker.
var (
	purgeChecks   = 20
	purgeInterval = 250 * time.Millisecond
)

func (m *Master) stillThere(ctx context.Context, manifest Manifest) (bool, error) {
	for range purgeChecks {
		_, err := m.Bucket.Stat(ctx, manifestKey(manifest.Revision))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(purgeInterval):
		}
	}
	return false, nil
}

// takeBack blesses what was active before, as the revision of our entry has
// been purged: purge had looked at the marker before the entry was there. No
// host can have followed it.
func (m *Master) takeBack(ctx context.Context, entry Entry, before Marker) error {
	gone := fmt.Sprintf("%s was purged at the same time", entry.Revision)
	was, ok := before.Active()
	if !ok {
		return ftl.Errorf(ftl.Refused, "bless one that is there: ftl list --master "+before.Package.String(), "%s, and the marker names it", gone)
	}
	now, err := ReadMarker(ctx, m.Bucket, before.Package)
	if err != nil {
		return err
	}
	if active, _ := now.Active(); active.Op != entry.Op {
		return ftl.Errorf(ftl.Refused, "", "%s; meanwhile %s was blessed%s", gone, active.Revision, active.signature())
	}
	back := Entry{Revision: was.Revision, Op: newOp(), At: m.now(), By: m.by(), Kind: KindJumpBack, Note: gone}
	if err := m.writeMarker(ctx, now, &back); err != nil {
		return err
	}
	return ftl.Errorf(ftl.Refused, "see what there is: ftl list --master "+before.Package.String(), "%s; %s stays active", gone, was.Revision)
}

// metadataOp is the name under which an object carries the op of the command
// that wrote it. An archive with it was spooled by ftl.
const metadataOp = "ftl-op"

func newOp() string { return strings.ToLower(rand.Text()[:16]) }

// maxBy leaves room for all that a header and a marker hold beside it.
const maxBy = 200 // bytes

func (m *Master) by() string { return m.By[:min(len(m.By), maxBy)] }

func (m *Master) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

func (m *Master) report(event ftl.Event) {
	if m.Report != nil {
		event.Time = m.now()
		m.Report(event)
	}
}

func (m *Master) warn(format string, args ...any) {
	if m.Warn != nil {
		m.Warn(format, args...)
	}
}

func unknownPackage(pkg revision.Package) error {
	return ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master", "the bucket has no package %s", pkg)
}
