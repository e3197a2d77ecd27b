package host

import (
	"context"
	"crypto/sha256"
	"io"
	"os"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/internal/counting"
	"github.com/rhettg/ftl/store"
)

// unpackWhole makes a tree in the stage of an archive that has no index: it is
// copied to a file, verified as a whole, and then unpacked. Interrupted, the
// next fetch goes on with that file.
func (s *syncing) unpackWhole(ctx context.Context, bucket *catalog.Catalog, manifest catalog.Manifest, at *staging) error {
	if err := s.download(ctx, bucket, manifest, at.part.Path); err != nil {
		return err
	}
	if err := s.clear(ctx, manifest, at); err != nil {
		return err
	}
	err := s.step(manifest.Revision, ftl.Unpack, func() error { return s.unpack(ctx, manifest, at.part.Path, at.tree.Path) })
	if err != nil {
		return ftl.Join(err, s.discardStaged(ctx, at.tree.Path))
	}
	return s.discardStaged(ctx, at.part.Path)
}

// download copies the archive to a file, and makes sure that it is the one that
// the manifest names. Wrong bytes are asked for once more, as a proxy on the
// way may have spoiled them, and so is an archive that changed meanwhile.
func (s *syncing) download(ctx context.Context, bucket *catalog.Catalog, manifest catalog.Manifest, path string) error {
	err := s.downloadOnce(ctx, bucket, manifest, path)
	if isOtherContent(err) {
		if err := s.discardStaged(ctx, path); err != nil {
			return err
		}
		err = s.downloadOnce(ctx, bucket, manifest, path)
	}
	return err
}

// archiveStep is how many bytes of an archive are written between two syncs, at least.
const archiveStep = 4 << 20

func (s *syncing) downloadOnce(ctx context.Context, bucket *catalog.Catalog, manifest catalog.Manifest, path string) error {
	f, err := s.Files.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, io.LimitReader(f, manifest.Size)) // of an earlier fetch
	if err == nil && size < manifest.Size {
		err = s.downloadRest(ctx, bucket, manifest, io.MultiWriter(f, hash), size)
	}
	if err := ftl.Join(err, f.Close()); err != nil {
		return err
	}
	if sum := [sha256.Size]byte(hash.Sum(nil)); sum != manifest.SHA256 {
		return otherArchive(manifest, "its SHA-256 is %x instead of %x", sum, manifest.SHA256)
	}
	return nil
}

// downloadRest copies what follows so many bytes of the archive.
func (s *syncing) downloadRest(ctx context.Context, bucket *catalog.Catalog, manifest catalog.Manifest, to io.Writer, have int64) (err error) {
	body, err := openArchive(ctx, bucket, manifest, store.GetOptions{Offset: have})
	if err != nil {
		return err
	}
	defer body.Close()
	behind, err := s.Files.WriteBehind(s.Stage(), archiveStep)
	if err != nil {
		return err
	}
	defer func() { err = ftl.Join(err, behind.End()) }()
	written := int64(0)
	counted := counting.ReadCloser(body, func(n int64) { written += n; behind.Wrote(written) })
	rest := manifest.Size - have
	n, err := io.Copy(to, io.LimitReader(s.watched(manifest.Revision, ftl.Fetch, counted, rest), rest+1))
	if err == nil && n != rest {
		err = otherArchive(manifest, "%d bytes came instead of %d", n, rest)
	}
	return err
}

// unpack makes the tree of a verified archive in stage.
func (s *syncing) unpack(ctx context.Context, manifest catalog.Manifest, packed, stage string) error {
	f, err := s.Files.OpenFile(packed, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := s.openStage(stage)
	if err != nil {
		return err
	}
	defer root.Close()
	file := archive.File{Name: archive.FileName(manifest.File, manifest.Form), Mode: manifest.Mode}
	return archive.Unpack(ctx, archive.Packed{Content: s.watched(manifest.Revision, ftl.Unpack, f, manifest.Size), Form: manifest.Form, File: file}, root, manifest.Unpacked)
}

// openStage opens the directory that a tree is made in, and gives it the mode
// that it has unless the archive says otherwise.
func (s *syncing) openStage(stage string) (*os.Root, error) {
	root, err := s.Files.OpenRoot(stage)
	if err != nil {
		return nil, err
	}
	if err := root.Chmod(".", 0o755); err != nil {
		return nil, ftl.Join(err, root.Close())
	}
	return root, nil
}
