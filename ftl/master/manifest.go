package master

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Manifest says what a revision is made of, so that a host can check what it
// fetched before anything of it is used. As an object it is a header, one
// "key: value" a line, that ends with an empty line. Below it stands the index of
// a seekable archive, whose digest is in the header: whoever trusts the header
// can trust the index, and by the index each member of the archive.
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
	maxManifest       = 256 << 20 // with an index; that of 5 million files has about 130 MiB
)

// ReadManifest reads the manifest of r without its index. The error satisfies
// fs.ErrNotExist where the bucket has no such revision.
func ReadManifest(ctx context.Context, bucket store.Bucket, r revision.Revision) (Manifest, error) {
	manifest, _, err := readManifest(ctx, bucket, r, maxManifestHeader)
	return manifest, err
}

// Seekable is what a host needs to fetch a revision in parts.
type Seekable struct {
	*archive.Index
	Encoded []byte // the index as it is in the bucket
}

// ReadSeekable reads the manifest of r with its index, which is nil where the
// archive was spooled as it is or is no tree. The error satisfies fs.ErrNotExist
// where the bucket has no such revision, and archive.ErrInvalid where the index
// is not the one that was spooled.
func ReadSeekable(ctx context.Context, bucket store.Bucket, r revision.Revision) (Manifest, *Seekable, error) {
	manifest, encoded, err := readManifest(ctx, bucket, r, maxManifest)
	if err != nil || manifest.index == (pin{}) {
		return manifest, nil, err
	}
	index, err := manifest.checkIndex(encoded)
	if err != nil {
		return manifest, nil, fmt.Errorf("read %s: %w", manifestKey(r), err)
	}
	return manifest, &Seekable{index, encoded}, nil
}

// readManifest reads so many bytes of a manifest, and returns what of them
// stands below the header. What can't be read is refused.
func readManifest(ctx context.Context, bucket store.Bucket, r revision.Revision, limit int64) (Manifest, []byte, error) {
	text, _, err := readObject(ctx, bucket, manifestKey(r), limit)
	if err != nil {
		return Manifest{}, nil, err
	}
	manifest, err := parseManifest(text)
	if err == nil && manifest.Revision != r {
		err = fmt.Errorf("it is the manifest of %s", manifest.Revision)
	}
	if err != nil {
		return Manifest{}, nil, refused(fmt.Errorf("read %s: %w", manifestKey(r), err))
	}
	_, index, err := splitManifest(text)
	return manifest, index, err
}

// checkIndex decodes the index, if it is the one that the header names and fits
// what else the header says.
func (m Manifest) checkIndex(encoded []byte) (*archive.Index, error) {
	if pinOf(encoded) != m.index {
		return nil, fmt.Errorf("%w: its index was changed after it was spooled", archive.ErrInvalid)
	}
	index, err := archive.DecodeIndex(encoded)
	if err != nil {
		return nil, err
	}
	if index.Totals != m.Unpacked || index.Size() != m.Size {
		return nil, fmt.Errorf("%w: its index and its header contradict each other", archive.ErrInvalid)
	}
	return index, nil
}
