package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"time"

	"github.com/rhettg/ftl/ftl/internal/spill"
)

// The columns of an index, in the order in which they are written.
const (
	columnNames       = iota // without the beginning that a name shares with the one before
	columnModes              // permission bits and kind
	columnSizes              // of files
	columnOffsets            // of files with content, from the end of the one before
	columnSeconds            // of all times, less those of the one before
	columnNanoseconds        // of all times
	columnLinks              // targets of links
	columnDigests            // of files with content
	columnCount
)

// column is where the values of a column are.
type column struct {
	from       io.ReaderAt
	start, end int64
}

// cursor reads a column. After the first fault it reads zeros.
type cursor struct {
	column
	buf   []byte // that was read of it, and not used yet
	room  []byte
	fault *error // what all cursors of a table have in common
}

// cursorSize is what a cursor reads at once. There are some tens of them at most.
const cursorSize = 16 << 10

// maxText is the longest name or target that is read. It is above what cleanName accepts.
const maxText = 8 << 10

var errBroken = invalid("its index is cut off or damaged")

func newCursor(of column, fault *error) cursor { return cursor{column: of, fault: fault} }

// at is the place of the next byte.
func (c *cursor) at() int64 { return c.start - int64(len(c.buf)) }

func (c *cursor) fail(err error) {
	if *c.fault == nil {
		*c.fault = err
	}
	c.buf, c.start = nil, c.end
}

// fill makes n bytes available, or all that are left.
func (c *cursor) fill(n int) {
	if len(c.buf) >= n || c.start == c.end {
		return
	}
	if c.room == nil {
		c.room = make([]byte, min(cursorSize, c.end-c.start))
	}
	kept := copy(c.room, c.buf)
	part := c.room[kept:min(int64(len(c.room)), int64(kept)+c.end-c.start)]
	if got, err := c.from.ReadAt(part, c.start); got < len(part) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		c.fail(err)
		return
	}
	c.start += int64(len(part))
	c.buf = c.room[:kept+len(part)]
}

func (c *cursor) number() int64 {
	if len(c.buf) < binary.MaxVarintLen64 {
		c.fill(binary.MaxVarintLen64)
	}
	n, size := binary.Uvarint(c.buf)
	if size <= 0 || n > math.MaxInt64 {
		c.fail(errBroken)
		return 0
	}
	c.buf = c.buf[size:]
	return int64(n)
}

func (c *cursor) signed() int64 {
	if len(c.buf) < binary.MaxVarintLen64 {
		c.fill(binary.MaxVarintLen64)
	}
	n, size := binary.Varint(c.buf)
	if size <= 0 {
		c.fail(errBroken)
		return 0
	}
	c.buf = c.buf[size:]
	return n
}

// bytes returns the next n bytes, until the next call.
func (c *cursor) bytes(n int64) []byte {
	if n > maxText {
		c.fail(errBroken)
		return nil
	}
	c.fill(int(n))
	if n > int64(len(c.buf)) {
		c.fail(errBroken)
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}

// skip passes n bytes by.
func (c *cursor) skip(n int64) {
	if n <= int64(len(c.buf)) {
		c.buf = c.buf[n:]
		return
	}
	if n -= int64(len(c.buf)); n > c.end-c.start {
		c.fail(errBroken)
		return
	}
	c.buf, c.start = nil, c.start+n
}

// rows reads the columns of an index side by side. The fields are those of the row that next has
// read; the slices are valid until it reads another one.
type rows struct {
	name    []byte
	kind    uint64
	mode    fs.FileMode
	size    int64
	offset  int64
	digest  Digest
	link    []byte
	seconds int64
	nanos   int64

	row      int // how many were read
	contents int // how many of them are files with content
	end      int64
	names    bool // only names, kinds and links are wanted
	count    int
	cursors  [columnCount]cursor
	fault    error
}

// rows begins to read all rows; with names, only names, kinds and links.
func (x *Index) rows(names bool) *rows {
	r := &rows{count: x.Entries, names: names}
	for i := range r.cursors {
		r.cursors[i] = newCursor(x.columns[i], &r.fault)
	}
	return r
}

// next reads the next row. It returns false after the last one, and after a fault.
func (r *rows) next() bool {
	if r.row == r.count || r.fault != nil {
		return false
	}
	c := &r.cursors
	shared := c[columnNames].number()
	rest := c[columnNames].bytes(c[columnNames].number())
	if shared > int64(len(r.name)) {
		c[columnNames].fail(errBroken)
		return false
	}
	r.name = append(r.name[:shared], rest...)
	bits := c[columnModes].number()
	r.kind = uint64(bits & 3)
	r.link = nil
	if r.kind == kindSymlink || r.kind == kindHardLink {
		if r.link = c[columnLinks].bytes(c[columnLinks].number()); len(r.link) == 0 {
			c[columnLinks].fail(errBroken)
		}
	}
	if !r.names {
		r.mode = fs.FileMode(bits>>2) & permissions
		r.properties()
	}
	r.row++
	return r.fault == nil
}

// properties reads what a row has beside name, kind and link.
func (r *rows) properties() {
	c := &r.cursors
	r.size, r.offset, r.digest = 0, 0, Digest{}
	switch r.kind {
	case kindDirectory:
		r.mode |= fs.ModeDir
	case kindSymlink:
		r.mode = fs.ModeSymlink | 0o777
	case kindFile:
		r.size = c[columnSizes].number()
	}
	if r.size > 0 {
		r.offset = r.end + c[columnOffsets].number()
		if r.end = r.offset + r.size; r.offset < 0 || r.end < 0 {
			c[columnOffsets].fail(errBroken)
		}
		copy(r.digest[:], c[columnDigests].bytes(int64(len(r.digest))))
		r.contents++
	}
	r.seconds += c[columnSeconds].signed()
	r.nanos = c[columnNanoseconds].number() % 1e9
}

// entry returns the row as an entry of its own.
func (r *rows) entry() IndexEntry {
	return IndexEntry{
		Entry: Entry{
			Name: string(r.name), Mode: r.mode, Size: r.size, Link: string(r.link),
			ModTime: clamp(time.Unix(r.seconds, r.nanos)),
		},
		Offset: r.offset, Digest: r.digest,
	}
}

// mark is a place from which rows can be read on.
type mark struct {
	row, contents int
	at            [columnCount]int64
	name          string
	end, seconds  int64
}

// markEvery is how many rows are between two marks. From the mark before a row, that row is near.
// It is a variable so that tests can reach it.
var markEvery = 4096

func (r *rows) mark() mark {
	m := mark{row: r.row, contents: r.contents, name: string(r.name), end: r.end, seconds: r.seconds}
	for i := range r.cursors {
		m.at[i] = r.cursors[i].at()
	}
	return m
}

// seek goes to a mark.
func (r *rows) seek(m mark) {
	r.row, r.contents, r.end, r.seconds = m.row, m.contents, m.end, m.seconds
	r.name = append(r.name[:0], m.name...)
	for i := range r.cursors {
		c := &r.cursors[i]
		c.buf, c.start = nil, m.at[i]
	}
}

// tableWriter writes the columns of an index, an entry after the other.
type tableWriter struct {
	buffers [columnCount]*spill.Buffer
	writers [columnCount]*bufio.Writer
	entries int
	last    string
	end     int64
	seconds int64
	scratch []byte
	err     error
}

func newTableWriter(create spill.Create) *tableWriter {
	w := &tableWriter{}
	for i := range w.buffers {
		w.buffers[i] = spill.New(create)
		w.writers[i] = bufio.NewWriterSize(w.buffers[i], cursorSize)
	}
	return w
}

func (w *tableWriter) bytes(column int, b []byte) {
	if _, err := w.writers[column].Write(b); err != nil && w.err == nil {
		w.err = err
	}
}

func (w *tableWriter) number(column int, n uint64) {
	w.scratch = binary.AppendUvarint(w.scratch[:0], n)
	w.bytes(column, w.scratch)
}

func (w *tableWriter) signed(column int, n int64) {
	w.scratch = binary.AppendVarint(w.scratch[:0], n)
	w.bytes(column, w.scratch)
}

func (w *tableWriter) text(column int, s string) {
	w.scratch = append(binary.AppendUvarint(w.scratch[:0], uint64(len(s))), s...)
	w.bytes(column, w.scratch)
}

// add writes an entry. An error comes back from index.
func (w *tableWriter) add(e *IndexEntry) {
	shared := 0
	for shared < min(len(e.Name), len(w.last)) && e.Name[shared] == w.last[shared] {
		shared++
	}
	w.number(columnNames, uint64(shared))
	w.text(columnNames, e.Name[shared:])
	w.last = e.Name
	kind := entryKind(&e.Entry)
	w.number(columnModes, uint64(e.Mode.Perm())<<2|kind)
	if kind == kindFile {
		w.number(columnSizes, uint64(e.Size))
	}
	if e.content() {
		w.number(columnOffsets, uint64(e.Offset-w.end))
		w.end = e.Offset + e.Size
		w.bytes(columnDigests, e.Digest[:])
	}
	w.signed(columnSeconds, e.ModTime.Unix()-w.seconds)
	w.seconds = e.ModTime.Unix()
	w.number(columnNanoseconds, uint64(e.ModTime.Nanosecond()))
	if e.Link != "" {
		w.text(columnLinks, e.Link)
	}
	w.entries++
}

// index returns what was written, with these members. Whoever calls it closes it, and not the
// writer.
func (w *tableWriter) index(members []Member) (*Index, error) {
	x := &Index{Members: members, Entries: w.entries}
	for i, b := range w.buffers {
		if err := w.writers[i].Flush(); err != nil && w.err == nil {
			w.err = err
		}
		x.columns[i] = column{b, 0, b.Size()}
		x.keeps = append(x.keeps, b)
	}
	if w.err != nil {
		return nil, errors.Join(w.err, x.Close())
	}
	return x, nil
}

// close gives up what was written.
func (w *tableWriter) close() {
	for _, b := range w.buffers {
		b.Close()
	}
}
