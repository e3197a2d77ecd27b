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
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// fetch puts the tree of r into revs, complete and on disk.
func (s *syncing) fetch(ctx context.Context, from source, r revision.Revision) (catalog.Manifest, error) {
	manifest, seekable, err := from.Seekable(ctx, r, s.scratch)
	defer seekable.Close() // it was only read
	if errors.Is(err, fs.ErrNotExist) {
		return manifest, fmt.Errorf("%w: %w", errNotInBucket, err)
	}
	if err == nil {
		err = from.checkManifest(manifest)
	}
	if err != nil {
		return manifest, refusedIfInvalid(err)
	}
	at, err := s.stagingOf(r)
	if err != nil {
		return manifest, err
	}
	if err := s.checkPlace(r); err != nil {
		return manifest, err
	}
	if err := s.takeSpare(ctx, manifest, at); err != nil {
		return manifest, err
	}
	if manifest.InParts() {
		err = s.step(r, ftl.Unpack, func() error { return s.restore(ctx, from.Catalog, manifest, seekable.Index, at) })
	} else {
		err = s.unpackWhole(ctx, from.Catalog, manifest, at)
	}
	if err == nil {
		err = s.place(ctx, r, at.tree.Path)
	}
	if isOtherContent(err) {
		err = ftl.Join(refusedIfInvalid(err), s.discardStaged(ctx, at.tree.Path), s.discardStaged(ctx, at.part.Path))
	}
	if err != nil {
		return manifest, err // the next fetch goes on with what is there
	}
	s.keepManifest(manifest)
	if seekable != nil {
		s.keepIndex(r, seekable.Encoded())
	}
	return manifest, nil
}

// scratch makes a file in the stage that has no name any more.
func (s *syncing) scratch() (*os.File, error) {
	path := filepath.Join(s.Stage(), "scratch."+rand.Text())
	file, err := s.Files.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := s.Files.Remove(path); err != nil {
		return nil, ftl.Join(err, file.Close())
	}
	return file, nil
}

// openArchive reads the archive, or a part of it. One that is missing, or of
// another size than the manifest says, is not a fault of the bucket.
func openArchive(ctx context.Context, bucket *catalog.Catalog, manifest catalog.Manifest, part store.GetOptions) (io.ReadCloser, error) {
	body, object, err := bucket.Get(ctx, manifest.Archive, part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ftl.Errorf(ftl.NotFound, "spool it again", "the bucket has the manifest of %s, but not its archive %s", manifest.Revision, manifest.Archive)
	}
	if err != nil {
		return nil, err
	}
	if object.Size != manifest.Size {
		return nil, ftl.Join(otherArchive(manifest, "it has %d bytes instead of %d", object.Size, manifest.Size), body.Close())
	}
	return body, nil
}

// otherArchive says that the archive in the bucket is not the one that was
// spooled.
func otherArchive(manifest catalog.Manifest, format string, args ...any) error {
	return fmt.Errorf("%w: %s is not what was spooled: %s", archive.ErrInvalid, manifest.Archive, fmt.Sprintf(format, args...))
}

// refusedIfInvalid makes a refusal of what is wrong with an archive, also of one
// that was replaced while it was read.
func refusedIfInvalid(err error) error {
	if !isOtherContent(err) {
		return err
	}
	return ftl.Errorf(ftl.Refused, "nothing of it was kept; spool it again, and find out who changed it", "%w", err)
}

// isOtherContent reports whether an error says that the bucket has not what was spooled.
func isOtherContent(err error) bool {
	return errors.Is(err, archive.ErrInvalid) || errors.Is(err, store.ErrPrecondition)
}

// checkPlace refuses to fetch a revision of which an earlier removal has left something in its
// place.
func (s *syncing) checkPlace(r revision.Revision) error {
	last := s.ReadLeftovers()
	for _, known := range last.Trees {
		if known.Tree == s.Below(s.RevisionDir(r)) && s.CheckTree(r) == nil {
			return known.Err()
		}
	}
	return nil
}

// place gives a staged tree its name in revs. A tree of that name that is not
// ready is what an interrupted run or a failed post-sync has left. It goes by
// way of the stage, which this command owns, so that it is gone at its end.
func (s *syncing) place(ctx context.Context, r revision.Revision, stage string) error {
	if err := s.Files.SyncTree(stage); err != nil {
		return err
	}
	old := stage + ".old"
	if err := s.moveTree(ctx, r, old); err != nil {
		return err
	}
	if err := s.Files.RenameNew(stage, s.RevisionDir(r)); err != nil {
		return err
	}
	return ftl.Join(s.Files.SyncDir(s.Revs()), s.Files.SyncDir(s.Stage()), s.discardStaged(ctx, old))
}
