package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// leftoverAge is how old an archive without manifest has to be before it counts
// as left over: a slow upload may still be at work.
const leftoverAge = 24 * time.Hour

// PurgeOptions are the choices of Purge.
type PurgeOptions struct {
	Force bool // also the master's previous revision, which jump-back would want
}

// Purge removes a revision from the bucket. The active one is refused, and the
// previous one unless it is forced, also if it is blessed while it is purged.
func (m *Master) Purge(ctx context.Context, r revision.Revision, opts PurgeOptions) error {
	if _, err := m.prepare(ctx, r.Package()); err != nil {
		return during(err, "purge %s", r)
	}
	return during(m.purge(ctx, r, opts), "purge %s", r)
}

func (m *Master) purge(ctx context.Context, r revision.Revision, opts PurgeOptions) error {
	if err := m.checkUnused(ctx, r, opts); err != nil {
		return err
	}
	manifest, err := ReadManifest(ctx, m.Bucket, r)
	if errors.Is(err, fs.ErrNotExist) {
		return ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master "+r.Package().String(), "the bucket has no revision %s", r)
	}
	if err != nil {
		return err
	}
	if m.DryRun {
		m.report(ftl.Event{Package: r.Package(), Revision: r, Step: ftl.Purge, State: ftl.Planned})
		return nil
	}
	text, err := m.read(ctx, manifestKey(r))
	if err != nil {
		return err
	}

	// Without its manifest nobody can bless it any more. Whoever did before
	// has written the marker by now, or will find that the manifest is gone.
	if err := m.Bucket.Delete(ctx, manifestKey(r)); err != nil {
		return err
	}
	if err := m.checkUnused(ctx, r, opts); err != nil {
		return errors.Join(err, m.putBack(ctx, manifest, text))
	}
	if err := m.Bucket.Delete(ctx, manifest.Archive); err != nil {
		return err
	}
	m.report(ftl.Event{Package: r.Package(), Revision: r, Step: ftl.Purge, State: ftl.Success})
	return nil
}

// checkUnused refuses a revision that the marker wants to keep.
func (m *Master) checkUnused(ctx context.Context, r revision.Revision, opts PurgeOptions) error {
	marker, err := ReadMarker(ctx, m.Bucket, r.Package())
	if err != nil {
		return err
	}
	if active, ok := marker.Active(); ok && active.Revision == r {
		return ftl.Errorf(ftl.Refused, "bless another revision first", "%s is active on the master", r)
	}
	if previous, ok := marker.Previous(); ok && previous.Revision == r && !opts.Force {
		return ftl.Errorf(ftl.Refused, "--force purges it all the same", "%s is the master's previous revision, the one that jump-back returns to", r)
	}
	return nil
}

// putBack undoes the deletion of a manifest, also when the user has just
// interrupted the command.
func (m *Master) putBack(ctx context.Context, manifest Manifest, text []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := m.put(ctx, manifestKey(manifest.Revision), text, store.PutOptions{
		IfAbsent: true, Metadata: map[string]string{metadataOp: manifest.Op},
	})
	if errors.Is(err, store.ErrPrecondition) { // somebody put it back already
		return nil
	}
	return err
}

// read returns the bytes of an object that is not large.
func (m *Master) read(ctx context.Context, key string) ([]byte, error) {
	body, _, err := m.Bucket.Get(ctx, key, store.GetOptions{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// Clean purges all revisions of a package but the newest keep, the active and
// the previous one, oldest first. It also removes the archives that a spool
// left when it broke off, a day after. Objects that ftl did not make are only
// counted.
func (m *Master) Clean(ctx context.Context, pkg revision.Package, keep int) error {
	marker, err := m.prepare(ctx, pkg)
	if err != nil {
		return during(err, "clean %s", pkg)
	}
	contents, err := ReadContents(ctx, m.Bucket, pkg)
	if err != nil {
		return during(err, "clean %s", pkg)
	}
	if len(contents.Revisions)+len(contents.loose)+len(marker.Entries) == 0 {
		return unknownPackage(pkg)
	}
	active, _ := marker.Active()
	previous, _ := marker.Previous()
	for _, r := range contents.Revisions[:max(0, len(contents.Revisions)-keep)] {
		if r == active.Revision || r == previous.Revision {
			continue
		}
		err := m.purge(ctx, r, PurgeOptions{})
		if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Kind == ftl.NotFound {
			continue // somebody else has purged it meanwhile
		}
		if err != nil {
			return during(err, "clean %s: purge %s", pkg, r)
		}
	}
	return during(m.cleanLeftovers(ctx, pkg, contents), "clean %s", pkg)
}

// cleanLeftovers removes the archives that became old without getting a
// manifest. One whose manifest is on its way out or back, because its revision
// is being purged at this moment, is none of them.
func (m *Master) cleanLeftovers(ctx context.Context, pkg revision.Package, contents Contents) error {
	foreign := 0
	for _, archive := range contents.loose {
		object, err := m.Bucket.Stat(ctx, archive.Key)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case object.Metadata[metadataOp] == "":
			foreign++
			continue
		case contents.Date.Sub(object.Modified) < leftoverAge:
			continue
		}
		wanted, err := m.wanted(ctx, archive.revision)
		if err != nil {
			return err
		}
		if wanted {
			continue
		}
		event := ftl.Event{
			Package: pkg, Revision: archive.revision, Step: ftl.Purge, State: ftl.Planned,
			Message: fmt.Sprintf("left over by a spool that broke off on %s", object.Modified.UTC().Format(time.DateOnly)),
		}
		if !m.DryRun {
			event.State = ftl.Success
			err = m.Bucket.Delete(ctx, archive.Key)
		}
		if err != nil {
			return err
		}
		m.report(event)
	}
	if foreign > 0 {
		m.warn("%s: objects that were not spooled by this ftl, and are left alone: %d", pkg, foreign)
	}
	return nil
}

// wanted reports whether the marker names r as active or previous, or r has a
// manifest after all.
func (m *Master) wanted(ctx context.Context, r revision.Revision) (bool, error) {
	marker, err := ReadMarker(ctx, m.Bucket, r.Package())
	if err != nil {
		return false, err
	}
	active, _ := marker.Active()
	previous, _ := marker.Previous()
	if r == active.Revision || r == previous.Revision {
		return true, nil
	}
	_, err = m.Bucket.Stat(ctx, manifestKey(r))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
