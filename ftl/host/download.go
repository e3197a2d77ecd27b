package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/store"
)

// unpackWhole makes a tree in stage of an archive that has no index: it is
// copied to a file, verified as a whole, and then unpacked.
func (s *syncing) unpackWhole(ctx context.Context, bucket *catalog.Catalog, manifest catalog.Manifest, stage string) (err error) {
	packed := stage + ".part"
	defer func() { err = ftl.Join(err, s.discardStaged(ctx, packed)) }()
	if err := s.download(ctx, bucket, manifest, packed); err != nil {
		return err
	}
	return s.step(manifest.Revision, ftl.Unpack, func() error { return s.unpack(ctx, manifest, packed, stage) })
}

// download copies the archive to a file, and makes sure that it is the one that
// the manifest names. Wrong bytes are asked for once more, as a proxy on the
// way may have spoiled them, and so is an archive that changed meanwhile.
func (s *syncing) download(ctx context.Context, bucket *catalog.Catalog, manifest catalog.Manifest, path string) error {
	err := s.downloadOnce(ctx, bucket, manifest, path)
	if errors.Is(err, archive.ErrInvalid) || errors.Is(err, store.ErrPrecondition) {
		err = s.downloadOnce(ctx, bucket, manifest, path)
	}
	return err
}

func (s *syncing) downloadOnce(ctx context.Context, bucket *catalog.Catalog, manifest catalog.Manifest, path string) error {
	body, err := openArchive(ctx, bucket, manifest, store.GetOptions{})
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := s.Files.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(s.watched(manifest.Revision, ftl.Fetch, body, manifest.Size), manifest.Size+1))
	if err := ftl.Join(err, f.Close()); err != nil {
		return err
	}
	if size != manifest.Size {
		return otherArchive(manifest, "%d bytes came instead of %d", size, manifest.Size)
	}
	if sum := [sha256.Size]byte(hash.Sum(nil)); sum != manifest.SHA256 {
		return otherArchive(manifest, "its SHA-256 is %x instead of %x", sum, manifest.SHA256)
	}
	return nil
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
