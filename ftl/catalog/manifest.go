package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/internal/spill"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Manifest says what a revision is made of, so that a host can check what it
// fetched before anything of it is used. As an object it is a header, one
// "key: value" a line, that ends with an empty line. Below it stands the index of
// a seekable archive, whose digest is in the header: whoever trusts the header
// can trust the index, and by the index each member of the archive. Between the
// two there may be armoured blocks, and below the index anything; both are skipped.
type Manifest struct {
	Revision revision.Revision
	Archive  string // the key of the archive
	Form     archive.Form
	// File is the name of the spooled file. A revision that is no tree is kept
	// under it, less a compression's ending, and with the mode below.
	File     string
	Mode     fs.FileMode // permission bits of a revision that is no tree
	Size     int64       // bytes of the archive
	SHA256   [sha256.Size]byte
	Unpacked archive.Totals
	Hooks    []string // those present, such as post-sync
	Op       string   // of the command that spooled it
	At       time.Time
	By       string // user@host
	Note     string
	Labels   Labels
	About    About

	// Digest is that of the header as it was read; zero in a manifest that was not read.
	Digest Digest
	// Signer is who has signed the header, where that was verified.
	Signer trust.Signer

	index pin // of the index below the header; zero where there is none
}

// pin says which bytes something consists of.
type pin struct {
	size   int64
	sha256 [sha256.Size]byte
}

// InParts reports whether the archive is one that a host fetches in parts, by the index below the
// header. An older ftl made seekable archives of the form tar.gz, too. They are fetched as a whole.
func (m Manifest) InParts() bool { return m.index != (pin{}) && m.Form == archive.TarZstd }

func pinOf(data io.Reader) (p pin, err error) {
	hash := sha256.New()
	p.size, err = io.Copy(hash, data)
	p.sha256 = [sha256.Size]byte(hash.Sum(nil))
	return p, err
}

const (
	manifestFormat    = "ftl manifest 1"
	maxManifestHeader = 16 << 10
	maxManifestTop    = maxManifestHeader + maxSignatures*trust.MaxSignature
	maxAboveIndex     = 1 << 20   // the header and the armoured blocks
	maxManifest       = 256 << 20 // with an index; that of 5 million files has about 130 MiB
)

// Manifest reads the manifest of r without its index. The error satisfies fs.ErrNotExist where the
// bucket has no such revision.
func (c *Catalog) Manifest(ctx context.Context, r revision.Revision) (Manifest, error) {
	manifest, _, err := c.readManifest(ctx, r, maxManifestTop)
	return manifest, err
}

// WholeManifest reads the manifest of r, and returns the whole object too, so that it can be
// written again. It verifies nothing, so it is for whoever only moves or signs what is there. The
// errors are those of Manifest.
func (c *Catalog) WholeManifest(ctx context.Context, r revision.Revision) (Manifest, []byte, error) {
	manifest, text, err := (&Catalog{Bucket: c.Bucket}).readManifest(ctx, r, maxManifest)
	if err == nil && len(text) == maxManifest {
		err = refused(fmt.Errorf("read %s: it is longer than a manifest can be", ManifestKey(r)))
	}
	return manifest, text, err
}

// Seekable is what a host needs to fetch a revision in parts. Its index stays in files, if it is
// large, until Close.
type Seekable struct {
	*archive.Index

	text    *spill.Buffer // the whole manifest
	encoded place         // of the index in it
}

// place is where something is in a file.
type place struct{ offset, size int64 }

// Encoded reads the index as it is in the bucket.
func (s *Seekable) Encoded() *io.SectionReader {
	return io.NewSectionReader(s.text, s.encoded.offset, s.encoded.size)
}

// Close may be called on nil.
func (s *Seekable) Close() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.Index.Close(), s.text.Close())
}

// Seekable reads the manifest of r with its index, which is nil where the
// archive was spooled as it is or is no tree. The error satisfies fs.ErrNotExist
// where the bucket has no such revision, and archive.ErrInvalid where the index
// is not the one that was spooled. What is large goes to files that create makes.
func (c *Catalog) Seekable(ctx context.Context, r revision.Revision, create spill.Create) (Manifest, *Seekable, error) {
	text, object, err := spillObject(ctx, c.Bucket, ManifestKey(r), maxManifest, create)
	if err != nil {
		return Manifest{}, nil, err
	}
	manifest, seekable, err := c.openManifest(r, text, object, create)
	if seekable == nil {
		err = cmp.Or(err, text.Close())
	}
	return manifest, seekable, err
}

// openManifest reads a manifest with its index, if there is one. It keeps the text for the
// Seekable.
func (c *Catalog) openManifest(r revision.Revision, text *spill.Buffer, object store.Object, create spill.Create) (Manifest, *Seekable, error) {
	head := make([]byte, min(text.Size(), maxAboveIndex))
	if _, err := text.ReadAt(head, 0); err != nil && err != io.EOF {
		return Manifest{}, nil, err
	}
	manifest, err := c.readHeader(r, head, object)
	if err != nil || manifest.index == (pin{}) {
		return manifest, nil, err
	}
	seekable := &Seekable{text: text}
	if seekable.encoded, err = manifest.findIndex(head, text.Size()); err == nil {
		err = manifest.checkIndex(seekable.Encoded())
	}
	if err != nil {
		return manifest, nil, fmt.Errorf("read %s: %w", ManifestKey(r), err)
	}
	if seekable.Index, err = manifest.decodeIndex(seekable.Encoded(), create); err != nil {
		return manifest, nil, err
	}
	return manifest, seekable, nil
}

// readManifest reads so many bytes of a manifest, and returns them too. What is none is refused.
func (c *Catalog) readManifest(ctx context.Context, r revision.Revision, limit int64) (Manifest, []byte, error) {
	text, object, err := readObject(ctx, c.Bucket, ManifestKey(r), limit)
	if err != nil {
		return Manifest{}, nil, err
	}
	manifest, err := c.readHeader(r, text, object)
	if err != nil {
		return Manifest{}, nil, err
	}
	return manifest, text, nil
}

// readHeader reads the header at the beginning of the manifest of r, and verifies it. What is none
// is refused.
func (c *Catalog) readHeader(r revision.Revision, text []byte, object store.Object) (_ Manifest, err error) {
	var signer trust.Signer
	if c.Trust != nil {
		if signer, err = c.Trust.verifyManifest(r, text, c.Trust.clock(object.Date)); err != nil {
			return Manifest{}, err
		}
	}
	manifest, err := parseManifest(text)
	manifest.Signer = signer
	if err == nil && manifest.Revision != r {
		err = fmt.Errorf("it is the manifest of %s", manifest.Revision)
	}
	if _, newer := errors.AsType[*NewerError](err); newer {
		return Manifest{}, err
	}
	if err != nil {
		return Manifest{}, refused(fmt.Errorf("read %s: %w", ManifestKey(r), err))
	}
	return manifest, nil
}

// findIndex returns where in a manifest of so many bytes the index is that the header names: below
// it and below the armoured blocks there. What follows the index is of no matter.
func (m Manifest) findIndex(head []byte, size int64) (place, error) {
	_, below, err := splitManifest(head)
	if err == nil {
		below, err = skipBlocks(below)
	}
	if err != nil {
		return place{}, fmt.Errorf("%w: %w", archive.ErrInvalid, err)
	}
	offset := int64(len(head) - len(below))
	return place{offset, min(m.index.size, size-offset)}, nil
}

// checkIndex compares the index with what the header pins.
func (m Manifest) checkIndex(encoded io.Reader) error {
	found, err := pinOf(encoded)
	if err != nil {
		return err
	}
	if found != m.index {
		return fmt.Errorf("%w: its index was changed after it was spooled", archive.ErrInvalid)
	}
	return nil
}

// decodeIndex decodes the index, if it fits what else the header says.
func (m Manifest) decodeIndex(encoded io.Reader, create spill.Create) (*archive.Index, error) {
	index, err := archive.DecodeIndex(encoded, m.index.size, create)
	if version, newer := errors.AsType[*archive.IndexVersionError](err); newer {
		return nil, newerIndex(m.Revision, version)
	}
	if err == nil && (index.Totals != m.Unpacked || index.Size() != m.Size) {
		err = errors.Join(fmt.Errorf("%w: its index and its header contradict each other", archive.ErrInvalid), index.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ManifestKey(m.Revision), err)
	}
	return index, nil
}
