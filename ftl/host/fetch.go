package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// fetch puts the tree of r into revs, complete and on disk.
func (p *pkg) fetch(ctx context.Context, bucket store.Bucket, r revision.Revision) (master.Manifest, error) {
	manifest, seekable, err := master.ReadSeekable(ctx, bucket, r)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest, fmt.Errorf("%w: %w", errNotInBucket, err)
	}
	if err != nil {
		return manifest, refusedIfInvalid(err)
	}
	if err := p.checkSpace(manifest, seekable == nil); err != nil {
		return manifest, err
	}
	stage := filepath.Join(p.stage(), r.ID()+"."+rand.Text())
	if err := os.Mkdir(stage, 0o700); err != nil {
		return manifest, err
	}
	if seekable == nil {
		err = p.unpackWhole(ctx, bucket, manifest, stage)
	} else {
		err = p.step(r, ftl.Unpack, func() error { return p.restore(ctx, bucket, manifest, seekable.Index, stage) })
	}
	if err == nil {
		err = p.place(r, stage)
	}
	if err != nil {
		return manifest, errors.Join(refusedIfInvalid(err), removeAll(stage))
	}
	if seekable != nil {
		p.keepIndex(r, seekable.Encoded)
	}
	return manifest, nil
}

// openArchive reads the archive, or a part of it. One that is missing, or of
// another size than the manifest says, is not a fault of the bucket.
func openArchive(ctx context.Context, bucket store.Bucket, manifest master.Manifest, part store.GetOptions) (io.ReadCloser, error) {
	body, object, err := bucket.Get(ctx, manifest.Archive, part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ftl.Errorf(ftl.NotFound, "spool it again", "the bucket has the manifest of %s, but not its archive %s", manifest.Revision, manifest.Archive)
	}
	if err != nil {
		return nil, err
	}
	if object.Size != manifest.Size {
		return nil, errors.Join(otherArchive(manifest, "it has %d bytes instead of %d", object.Size, manifest.Size), body.Close())
	}
	return body, nil
}

// otherArchive says that the archive in the bucket is not the one that was
// spooled.
func otherArchive(manifest master.Manifest, format string, args ...any) error {
	return fmt.Errorf("%w: %s is not what was spooled: %s", archive.ErrInvalid, manifest.Archive, fmt.Sprintf(format, args...))
}

// refusedIfInvalid makes a refusal of what is wrong with an archive, also of one
// that was replaced while it was read.
func refusedIfInvalid(err error) error {
	if !errors.Is(err, archive.ErrInvalid) && !errors.Is(err, store.ErrPrecondition) {
		return err
	}
	return ftl.Errorf(ftl.Refused, "nothing of it was kept; spool it again, and find out who changed it", "%w", err)
}

// place gives a staged tree its name in revs. A tree of that name that is not
// ready is what an interrupted run or a failed post-sync has left. It goes by
// way of the stage, which this command owns, so that it is gone at its end.
func (p *pkg) place(r revision.Revision, stage string) error {
	if err := durable.SyncTree(stage); err != nil {
		return err
	}
	old := stage + ".old"
	if err := p.moveTree(r, old); err != nil {
		return err
	}
	if err := durable.RenameNew(stage, p.revisionDir(r)); err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(p.revs()), durable.SyncDir(p.stage()), removeAll(old))
}
