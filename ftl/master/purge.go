package master

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// PurgeOptions are the choices of Purge.
type PurgeOptions struct {
	// Force purges also the master's previous revision, which jump-back would want, and one whose
	// manifest can't be read.
	Force bool
}

// Purge removes a revision from the bucket. The active one is refused, and the
// previous one unless it is forced, also if it is blessed while it is purged.
func (m *Master) Purge(ctx context.Context, r revision.Revision, opts PurgeOptions) error {
	if _, err := m.prepare(ctx, r.Package()); err != nil {
		return during(err, "purge %s", r)
	}
	if err := m.purge(ctx, r, opts); err != nil {
		return during(err, "purge %s", r)
	}
	m.touchChanged(ctx)
	return nil
}

func (m *Master) purge(ctx context.Context, r revision.Revision, opts PurgeOptions) error {
	task := m.begin(ftl.Event{Package: r.Package(), Revision: r, Step: ftl.Purge})
	err := m.purgeUnused(ctx, r, opts)
	task.end("", err)
	return err
}

func (m *Master) purgeUnused(ctx context.Context, r revision.Revision, opts PurgeOptions) error {
	if err := m.checkUnused(ctx, r, opts); err != nil {
		return err
	}
	manifest, text, err := m.Bucket.WholeManifest(ctx, r)
	if errors.Is(err, fs.ErrNotExist) {
		return ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master "+r.Package().String(), "the bucket has no revision %s", r)
	}
	if err != nil && !isDamaged(err) {
		return err
	}
	if err != nil && !opts.Force {
		return ftl.Errorf(ftl.Refused, "--force purges it all the same", "%w", err)
	}
	if m.DryRun {
		return nil
	}
	if err != nil {
		return m.purgeDamaged(ctx, r)
	}

	// Without its manifest nobody can bless it any more. Whoever did before
	// has written the marker by now, or will find that the manifest is gone.
	if err := m.Bucket.Delete(ctx, catalog.ManifestKey(r)); err != nil {
		return err
	}
	if err := m.checkUnused(ctx, r, opts); err != nil {
		return errors.Join(err, m.putBack(ctx, manifest, text))
	}
	return m.Bucket.Delete(ctx, manifest.Archive)
}

// isDamaged reports whether an error says that a manifest can't be read by anybody.
func isDamaged(err error) bool {
	failure, ok := errors.AsType[*ftl.Error](err)
	_, newer := errors.AsType[*catalog.NewerError](err)
	return ok && failure.Kind == ftl.Refused && !newer
}

// purgeDamaged removes a revision whose manifest can't be read, so that nobody can bless it and
// what belongs to it is known by name only.
func (m *Master) purgeDamaged(ctx context.Context, r revision.Revision) error {
	contents, err := m.Bucket.Contents(ctx, r.Package())
	if err != nil {
		return err
	}
	if err := m.Bucket.Delete(ctx, catalog.ManifestKey(r)); err != nil {
		return err
	}
	for _, object := range contents.Archives {
		if object.Revision != r {
			continue
		}
		if err := m.Bucket.Delete(ctx, object.Key); err != nil {
			return err
		}
	}
	return nil
}

// checkUnused refuses a revision that the marker wants to keep.
func (m *Master) checkUnused(ctx context.Context, r revision.Revision, opts PurgeOptions) error {
	marker, err := m.Bucket.Marker(ctx, r.Package())
	if err != nil {
		return err
	}
	newest, _ := marker.Newest()
	if err := newest.Understood(); err != nil { // it may need the revision
		return err
	}
	active, ok := marker.Active()
	if ok && active.Revision == r {
		return ftl.Errorf(ftl.Refused, "bless another revision first", "%s is active on the master", r)
	}
	if ok && active.Rollout != nil && active.Base == r {
		return ftl.Errorf(ftl.Refused, "bless another revision first, or end the rollout",
			"%s is what hosts go back to while the rollout of %s is not over", r, active.Revision)
	}
	if previous, ok := marker.Previous(); ok && previous.Revision == r && !opts.Force {
		return ftl.Errorf(ftl.Refused, "--force purges it all the same", "%s is the master's previous revision, the one that jump-back returns to", r)
	}
	return nil
}

// putBack undoes the deletion of a manifest, also when the user has just
// interrupted the command.
func (m *Master) putBack(ctx context.Context, manifest catalog.Manifest, text []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := m.put(ctx, catalog.ManifestKey(manifest.Revision), text, store.PutOptions{
		IfAbsent: true, Metadata: map[string]string{catalog.MetadataOp: manifest.Op},
	})
	if errors.Is(err, store.ErrPrecondition) { // somebody put it back already
		return nil
	}
	return err
}
