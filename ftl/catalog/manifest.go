package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
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

func pinOf(data []byte) pin { return pin{int64(len(data)), sha256.Sum256(data)} }

const (
	manifestFormat    = "ftl manifest 1"
	maxManifestHeader = 16 << 10
	maxManifestTop    = maxManifestHeader + maxSignatures*trust.MaxSignature
	maxManifest       = 256 << 20 // with an index; that of 5 million files has about 130 MiB
)

// Manifest reads the manifest of r without its index. The error satisfies fs.ErrNotExist where the
// bucket has no such revision.
func (c *Catalog) Manifest(ctx context.Context, r revision.Revision) (Manifest, error) {
	manifest, _, err := c.readManifest(ctx, r, maxManifestTop)
	return manifest, err
}

// WholeManifest reads the manifest of r, and returns the whole object too, so that it can be written
// again. It verifies nothing, so it is for whoever only moves or signs what is there. The errors are those of Manifest.
func (c *Catalog) WholeManifest(ctx context.Context, r revision.Revision) (Manifest, []byte, error) {
	manifest, text, err := (&Catalog{Bucket: c.Bucket}).readManifest(ctx, r, maxManifest)
	if err == nil && len(text) == maxManifest {
		err = refused(fmt.Errorf("read %s: it is longer than a manifest can be", ManifestKey(r)))
	}
	return manifest, text, err
}

// Seekable is what a host needs to fetch a revision in parts.
type Seekable struct {
	*archive.Index
	Encoded []byte // the index as it is in the bucket
}

// Seekable reads the manifest of r with its index, which is nil where the
// archive was spooled as it is or is no tree. The error satisfies fs.ErrNotExist
// where the bucket has no such revision, and archive.ErrInvalid where the index
// is not the one that was spooled.
func (c *Catalog) Seekable(ctx context.Context, r revision.Revision) (Manifest, *Seekable, error) {
	manifest, text, err := c.readManifest(ctx, r, maxManifest)
	if err != nil || manifest.index == (pin{}) {
		return manifest, nil, err
	}
	encoded, err := manifest.encodedIndex(text)
	if err != nil {
		return manifest, nil, fmt.Errorf("read %s: %w", ManifestKey(r), err)
	}
	index, err := manifest.decodeIndex(encoded)
	if err != nil {
		return manifest, nil, err
	}
	return manifest, &Seekable{index, encoded}, nil
}

// readManifest reads so many bytes of a manifest, and returns them too. What is none is refused.
func (c *Catalog) readManifest(ctx context.Context, r revision.Revision, limit int64) (Manifest, []byte, error) {
	text, object, err := readObject(ctx, c.Bucket, ManifestKey(r), limit)
	if err != nil {
		return Manifest{}, nil, err
	}
	var signer trust.Signer
	if c.Trust != nil {
		if signer, err = c.Trust.verifyManifest(r, text, c.Trust.clock(object.Date)); err != nil {
			return Manifest{}, nil, err
		}
	}
	manifest, err := parseManifest(text)
	manifest.Signer = signer
	if err == nil && manifest.Revision != r {
		err = fmt.Errorf("it is the manifest of %s", manifest.Revision)
	}
	if _, newer := errors.AsType[*NewerError](err); newer {
		return Manifest{}, nil, err
	}
	if err != nil {
		return Manifest{}, nil, refused(fmt.Errorf("read %s: %w", ManifestKey(r), err))
	}
	return manifest, text, nil
}

// encodedIndex finds the index that the header names: below it and below the armoured blocks there.
// What follows the index is of no matter.
func (m Manifest) encodedIndex(text []byte) ([]byte, error) {
	_, below, err := splitManifest(text)
	if err == nil {
		below, err = skipBlocks(below)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", archive.ErrInvalid, err)
	}
	encoded := below[:min(m.index.size, int64(len(below)))]
	if pinOf(encoded) != m.index {
		return nil, fmt.Errorf("%w: its index was changed after it was spooled", archive.ErrInvalid)
	}
	return encoded, nil
}

// decodeIndex decodes the index, if it fits what else the header says.
func (m Manifest) decodeIndex(encoded []byte) (*archive.Index, error) {
	index, err := archive.DecodeIndex(encoded)
	if version, newer := errors.AsType[*archive.IndexVersionError](err); newer {
		return nil, newerIndex(m.Revision, version)
	}
	if err == nil && (index.Totals != m.Unpacked || index.Size() != m.Size) {
		err = fmt.Errorf("%w: its index and its header contradict each other", archive.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ManifestKey(m.Revision), err)
	}
	return index, nil
}
