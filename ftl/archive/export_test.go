package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/rhettg/ftl/ftl/internal/spill"
)

// What follows is for the tests of the ways that an archive takes through other packages.

// HostileRow is a row of the table of hostile archives.
type HostileRow struct {
	Name    string
	Content []byte
	Form    Form
	Refused bool
}

// HostileRows returns the table.
func HostileRows() (rows []HostileRow) {
	for _, h := range hostileTable() {
		rows = append(rows, HostileRow{h.row, h.content, h.formOrTar(), h.refusal != ""})
	}
	return rows
}

// CheckAsGNU compares a tree with what GNU tar makes of an archive.
func CheckAsGNU(t testing.TB, tree string, row HostileRow) {
	t.Helper()
	checkAsGNU(t, tree, hostile{content: row.Content, form: row.Form})
}

// Sentinel returns a check that a directory, but for what begins with "stage" in it, is as it was,
// with some files that it puts there.
func Sentinel(t testing.TB, dir string) func() {
	s := newSentinel(t, dir)
	return func() { t.Helper(); s.check(t) }
}

// OpenFiles counts the open files of this process.
func OpenFiles(t testing.TB) int { return openFiles(t) }

// Open makes a tree removable for those whom its modes stop.
func Open(tree string) { open(tree) }

// HandMadeIndex writes down the entries of a tar as they are, with a member for each piece of it,
// as somebody would who can write manifests. It returns nil where an index can't say what the tar
// does, or the tar can't be read.
func HandMadeIndex(content []byte) (packed, index []byte, totals Totals) {
	var x entryList
	r := bytes.NewReader(content)
	archive := tar.NewReader(struct{ io.Reader }{r})
	for {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, totals
		}
		e := IndexEntry{Offset: int64(len(content) - r.Len())}
		e.Name, e.ModTime, e.Mode = h.Name, h.ModTime, fs.FileMode(h.Mode)&permissions
		switch h.Typeflag {
		case tar.TypeReg:
			body, err := io.ReadAll(archive)
			if err != nil || h.Size != int64(len(body)) || len(h.PAXRecords) > 0 && h.PAXRecords["GNU.sparse.major"] != "" {
				return nil, nil, totals
			}
			sum := sha256.Sum256(body)
			e.Size = h.Size
			copy(e.Digest[:], sum[:])
		case tar.TypeDir:
			e.Mode |= fs.ModeDir
		case tar.TypeSymlink:
			e.Mode, e.Link = fs.ModeSymlink|0o777, h.Linkname
		case tar.TypeLink:
			e.Link = h.Linkname
		default:
			return nil, nil, totals
		}
		x.Entries = append(x.Entries, e)
		totals.Entries++
		totals.Bytes += e.Size
	}
	for piece := range chunks(content, memberSize) {
		z := zstdOf(piece)
		x.Members = append(x.Members, Member{int64(len(z)), int64(len(piece)), sha256.Sum256(z)})
		packed = append(packed, z...)
	}
	index = x.encode()
	if decoded, err := decode(index); err == nil {
		totals = decoded.Totals
		decoded.Close()
	}
	return packed, index, totals
}

// SeekableGzip is what an older ftl has made of a tgz.
func SeekableGzip(t *testing.T) (row HostileRow, encoded []byte, totals Totals) {
	content := archiveOf(item{name: "d/", flag: '5', mode: 0o755}, item{name: "d/large", content: noise(2*memberSize, 1)}, item{name: "link", flag: '2', link: "d"})
	index := rewrite(t, content).index
	x := listed(t, index)
	x.Members = nil
	var packed []byte
	for piece := range chunks(content, memberSize) {
		z := gzipOf(piece)
		x.Members = append(x.Members, Member{int64(len(z)), int64(len(piece)), sha256.Sum256(z)})
		packed = append(packed, z...)
	}
	return HostileRow{Name: "a seekable tgz", Content: packed, Form: TarGzip}, x.encode(), index.Totals
}

// entryList is an index in memory, which a test may spoil.
type entryList struct {
	Members []Member
	Entries []IndexEntry
}

// listed reads a whole index.
func listed(t *testing.T, x *Index) entryList {
	t.Helper()
	list := entryList{Members: slices.Clone(x.Members)}
	if err := x.Each(func(_ int, e *IndexEntry) error { list.Entries = append(list.Entries, *e); return nil }); err != nil {
		t.Fatal(err)
	}
	return list
}

func (l entryList) encode() []byte {
	w := newTableWriter(spill.Temporary)
	for i := range l.Entries {
		w.add(&l.Entries[i])
	}
	x, err := w.index(l.Members)
	if err != nil {
		panic(err) // the disk is full
	}
	defer x.Close()
	return encode(x)
}

func encode(x *Index) []byte {
	var b bytes.Buffer
	if err := x.Encode(&b); err != nil {
		panic(err) // memory can't fail
	}
	return b.Bytes()
}

func decode(encoded []byte) (*Index, error) {
	return DecodeIndex(bytes.NewReader(encoded), int64(len(encoded)), spill.Temporary)
}

func chunks(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(len(b), size)
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}
