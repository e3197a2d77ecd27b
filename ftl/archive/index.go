package archive

import (
	"crypto/sha256"
	"errors"

	"github.com/rhettg/ftl/ftl/internal/spill"
)

// A seekable archive is an ordinary .tar.zst that any tar unpacks. It consists of members, each of
// which is a zstd frame of its own. No header is split between two members: small
// files share a member, a large file has several of its own. The index says what is in which
// member. So a host fetches only the members that it needs, unpacks them in any order and several
// at once, and verifies each member before it uses a byte of it.
//
// The bytes of the tar are those of the archive that was spooled.

// Index is the table of contents of a seekable archive. Only its members are in memory; its entries
// are read with Each, as often as somebody needs them. Close gives back what they take.
type Index struct {
	Members []Member // in the order of the archive, without gaps
	Totals  Totals   // what unpacking makes
	Entries int      // how many Each has

	columns [columnCount]column
	marks   []mark // in the order of their rows
	keeps   []*spill.Buffer
}

// Close may be called twice, and on nil.
func (x *Index) Close() error {
	if x == nil {
		return nil
	}
	var errs []error
	for _, b := range x.keeps {
		errs = append(errs, b.Close())
	}
	x.keeps = nil
	return errors.Join(errs...)
}

// Each calls do for each entry, with its number, in the order of the tar; a directory may come
// twice. It ends with the first error that do returns.
func (x *Index) Each(do func(i int, e *IndexEntry) error) error {
	r := x.rows(false)
	for r.next() {
		e := r.entry()
		if err := do(r.row-1, &e); err != nil {
			return err
		}
	}
	return r.fault
}

// find calls found for entries with content that somebody wants. Their Offset is of no use.
func (x *Index) find(wants func(Digest) bool, found func(*IndexEntry)) error {
	r := x.rows(false)
	digests := newCursor(x.columns[columnDigests], &r.fault)
	mark := 0
	for i := 0; digests.at() < digests.end; i++ {
		digest := Digest(digests.bytes(int64(len(Digest{}))))
		if r.fault != nil {
			break
		}
		if !wants(digest) {
			continue
		}
		near := mark
		for near+1 < len(x.marks) && x.marks[near+1].contents <= i {
			near++
		}
		if mark = near; mark < len(x.marks) && x.marks[mark].row > r.row {
			r.seek(x.marks[mark])
		}
		for r.contents <= i && r.next() {
		}
		if r.fault != nil {
			break
		}
		e := r.entry()
		found(&e)
	}
	return r.fault
}

// Member is a part of a seekable archive that can be decompressed by itself.
type Member struct {
	Packed   int64             // bytes in the archive
	Unpacked int64             // bytes of the tar
	SHA256   [sha256.Size]byte // of the packed bytes
}

// Size returns the bytes of the whole archive.
func (x *Index) Size() int64 {
	size := int64(0)
	for i := range x.Members {
		size += x.Members[i].Packed
	}
	return size
}

// IndexEntry is an entry of the tar, and where its content is.
type IndexEntry struct {
	Entry
	Offset int64  // of the content in the tar; only of files with content
	Digest Digest // of the content; likewise
}

// content reports whether e is a file with content.
func (e *IndexEntry) content() bool { return e.Mode.IsRegular() && e.Link == "" && e.Size > 0 }

// Digest names a file's content: the first half of its SHA-256. It serves to find content in trees
// that came from the same bucket; what is fetched is verified by the whole SHA-256 of its member.
type Digest [16]byte

// Limits of a member, in bytes of the tar. With small members, little is fetched beside what has
// changed; large ones compress better, and a large file does not share its members.
const (
	groupSize  = 128 << 10 // that small files share
	memberSize = 512 << 10 // of a large file's members, and of every member at most
)
