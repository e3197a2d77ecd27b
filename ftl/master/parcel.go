package master

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/revision"
)

// parcel is an archive that is ready to be uploaded, with all of its manifest
// that does not depend on the bucket.
type parcel struct {
	*os.File
	pkg       revision.Package
	extension string
	manifest  Manifest
	index     []byte // of a seekable archive
}

// wrap reads a file or a directory as a host will, so that the operator sees
// what is wrong with it, and makes a parcel of it. A tree becomes a seekable
// archive, in a temporary file, unless it is wanted as it is.
func (m *Master) wrap(ctx context.Context, path string, asIs bool) (parcel, error) {
	absolute, err := filepath.Abs(path) // "." has a name too
	if err != nil {
		return parcel{}, err
	}
	info, err := os.Stat(absolute)
	if err != nil {
		return parcel{}, withoutPath(err)
	}
	p := parcel{manifest: Manifest{File: filepath.Base(absolute), Mode: info.Mode().Perm() &^ 0o022, By: m.by()}}
	if p.pkg, p.extension, err = splitName(p.manifest.File); err != nil {
		return parcel{}, refused(err)
	}
	var found survey
	switch {
	case info.IsDir():
		err = p.packDir(ctx, absolute, found.visit)
	case info.Mode().IsRegular():
		err = p.packFile(ctx, absolute, asIs, found.visit)
	default:
		err = refused(errors.New("it is neither a file nor a directory"))
	}
	if err == nil {
		p.manifest.Hooks, err = found.hooks(m.warn)
		if err != nil {
			err = refused(err)
		}
	}
	if err != nil && p.File != nil {
		err = errors.Join(err, p.Close())
	}
	return p, err
}

// packDir makes a parcel of a directory.
func (p *parcel) packDir(ctx context.Context, dir string, visit func(archive.Entry) error) error {
	p.extension = strings.TrimPrefix(p.extension+".tar", ".")
	packed, tar := io.Pipe()
	group, ctx := errgroup.WithContext(ctx)
	var packing error
	group.Go(func() error {
		packing = archive.Pack(ctx, tar, dir)
		return tar.CloseWithError(packing)
	})
	err := p.makeSeekable(ctx, packed, archive.Tar, visit)
	packed.CloseWithError(err)
	if waited := group.Wait(); err == nil {
		err = waited
	}
	if packing != nil && !errors.Is(packing, err) && !errors.Is(packing, io.ErrClosedPipe) {
		err = packing // rather than what reading its broken end gave
	}
	return refusedArchive(err)
}

// packFile makes a parcel of a file.
func (p *parcel) packFile(ctx context.Context, path string, asIs bool, visit func(archive.Entry) error) error {
	file, err := os.Open(path)
	if err != nil {
		return withoutPath(err)
	}
	form, err := archive.Detect(p.manifest.File, file)
	if err != nil {
		return errors.Join(refusedArchive(err), file.Close())
	}
	if form.Tree() && !asIs {
		err := p.makeSeekable(ctx, file, form, visit)
		return errors.Join(refusedArchive(err), file.Close())
	}
	p.File, p.manifest.Form = file, form
	hash := sha256.New()
	content := io.TeeReader(file, hash)
	if p.manifest.Unpacked, err = archive.Scan(ctx, content, form, visit); err != nil {
		return refusedArchive(err)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	return p.seal(hash.Sum(nil))
}

// makeSeekable writes the archive r anew into a file without a name, so that
// nothing stays behind however the program ends.
func (p *parcel) makeSeekable(ctx context.Context, r io.Reader, form archive.Form, visit func(archive.Entry) error) (err error) {
	p.manifest.Form = form
	if form == archive.Tar {
		p.manifest.Form = archive.TarZstd
		p.extension += ".zst"
	}
	if p.File, err = os.CreateTemp("", "ftl-spool-*"); err != nil {
		return fmt.Errorf("pack it: %w", err)
	}
	if err := os.Remove(p.File.Name()); err != nil {
		return err
	}
	hash := sha256.New()
	index, err := archive.Rewrite(ctx, io.MultiWriter(p.File, hash), p.manifest.Form, r, form, visit)
	if err != nil {
		return err
	}
	p.manifest.Unpacked = index.Totals
	p.index = index.Encode()
	return p.seal(hash.Sum(nil))
}

// seal notes the size and the digest of the archive.
func (p *parcel) seal(sum []byte) error {
	p.manifest.SHA256 = [sha256.Size]byte(sum)
	info, err := p.Stat()
	if err == nil {
		p.manifest.Size = info.Size()
	}
	return err
}

// withoutPath leaves the path out of a system call's error, as Spool names it
// the way the user did.
func withoutPath(err error) error {
	if failure, ok := err.(*fs.PathError); ok {
		return failure.Err
	}
	return err
}
