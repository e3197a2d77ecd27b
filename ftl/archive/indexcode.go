package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/rhettg/ftl/ftl/internal/spill"
)

// An index is written as two zstd frames. The first is one that decoders skip; it says which
// version the index is of, and an index without it is of version 1. The second begins with the
// numbers of members and entries, and the members; a column for each property of the entries
// follows, since similar values compress well side by side. Numbers are varints.
//
// No entry is kept in memory for longer than somebody looks at it: what is decoded goes to a
// spill.Buffer, from where a cursor for each column reads it.

// The kinds of entry as the index writes them, in the two low bits of the mode.
const (
	kindFile = iota
	kindDirectory
	kindSymlink
	kindHardLink
)

const (
	maxIndex      = 1 << 30 // bytes, decompressed: 5 million entries with long names
	maxIndexRatio = 200     // by which it may have been compressed; real ones are below 20
	bytesOfEntry  = 6       // that an entry takes at least
	maxMembers    = 1 << 23 // 4 TiB of large files
	// indexWindow is zstd's, of what is written, in bytes. It is no larger than the least that a
	// decoder allows for an index of a few bytes, also that of an older ftl.
	indexWindow = memberSize
	// maxIndexWindow is that of an older ftl.
	maxIndexWindow = 8 << 20
)

// Encode writes what DecodeIndex reads.
func (x *Index) Encode(w io.Writer) error {
	if _, err := w.Write(versionFrame(indexVersion)); err != nil {
		return err
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(indexWindow), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		return err
	}
	b := binary.AppendUvarint(nil, uint64(len(x.Members)))
	b = binary.AppendUvarint(b, uint64(x.Entries))
	for i := range x.Members {
		b = binary.AppendUvarint(b, uint64(x.Members[i].Packed))
		b = binary.AppendUvarint(b, uint64(x.Members[i].Unpacked))
	}
	for i := range x.Members {
		b = append(b, x.Members[i].SHA256[:]...)
	}
	_, err = z.Write(b)
	for _, c := range x.columns {
		if err == nil {
			_, err = io.Copy(z, io.NewSectionReader(c.from, c.start, c.end-c.start))
		}
	}
	return errors.Join(err, z.Close())
}

const (
	indexVersion   = 1
	versionText    = "ftl index " // and the version, in a skippable frame
	skippableMagic = 0x184D2A50   // RFC 8878
)

func versionFrame(version int) []byte {
	text := versionText + strconv.Itoa(version)
	b := binary.LittleEndian.AppendUint32(nil, skippableMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...)
}

// IndexVersionError says that an index is of a version that this ftl does not know.
type IndexVersionError struct{ Version string }

func (e *IndexVersionError) Error() string {
	return fmt.Sprintf("the index is of version %s, and this ftl knows %d", e.Version, indexVersion)
}

// checkVersion returns an IndexVersionError unless data is the beginning of an index of the version
// that this ftl knows, or of none.
func checkVersion(data []byte) error {
	if len(data) < 8 || binary.LittleEndian.Uint32(data) != skippableMagic {
		return nil
	}
	size, text := binary.LittleEndian.Uint32(data[4:]), data[8:]
	text = text[:min(uint64(size), uint64(len(text)), 64)]
	version, ours := strings.CutPrefix(string(text), versionText)
	if ours && version != strconv.Itoa(indexVersion) {
		return &IndexVersionError{version}
	}
	return nil
}

func entryKind(e *Entry) uint64 {
	switch {
	case e.Mode.IsDir():
		return kindDirectory
	case e.Mode&fs.ModeSymlink != 0:
		return kindSymlink
	case e.HardLink():
		return kindHardLink
	}
	return kindFile
}

// DecodeIndex reads what Encode wrote, of so many bytes, and keeps it in files that create makes,
// if it is large. What it returns has passed the checks of an archive's entries, and the content of
// every file lies within the members. Anything else is ErrInvalid, or an IndexVersionError where a
// newer ftl wrote it. The caller closes the index.
func DecodeIndex(encoded io.Reader, size int64, create spill.Create) (*Index, error) {
	x, err := decodeIndex(encoded, size, create)
	if err != nil {
		return nil, err
	}
	if err := x.judge(); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// DecodeLocalIndex is DecodeIndex for the index of a tree that is there. It checks each entry, and
// not whether they fit each other; it leaves Totals empty.
func DecodeLocalIndex(encoded io.Reader, size int64, create spill.Create) (*Index, error) {
	return decodeIndex(encoded, size, create)
}

func decodeIndex(encoded io.Reader, size int64, create spill.Create) (x *Index, err error) {
	content := spill.New(create)
	x = &Index{keeps: []*spill.Buffer{content}}
	defer func() {
		if err != nil {
			x, err = nil, errors.Join(err, content.Close())
		}
	}()
	if err := decompressIndex(content, encoded, size); err != nil {
		return x, err
	}
	if err := x.readColumns(content); err != nil {
		return x, err
	}
	return x, x.checkEntries()
}

// decompressIndex checks the version, and writes the rest decompressed.
func decompressIndex(to io.Writer, encoded io.Reader, size int64) error {
	from := &tracked{r: encoded}
	buffered := bufio.NewReaderSize(from, cursorSize)
	if head, _ := buffered.Peek(8 + 64); from.err == nil {
		if err := checkVersion(head); err != nil {
			return err
		}
	}
	most := min(maxIndex, maxIndexRatio*size+memberSize)
	z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxIndexWindow), zstd.WithDecoderMaxMemory(uint64(most)))
	if err != nil {
		return err
	}
	defer z.Close()
	into := &tracked{w: to}
	n, err := io.Copy(into, io.LimitReader(z, most+1))
	switch {
	case from.err != nil:
		return from.err
	case into.err != nil:
		return into.err
	case err != nil:
		return invalid("its index: %v", err)
	case n > most:
		return invalid("its index is larger than it can be")
	}
	return nil
}

// tracked remembers the error of a reader or a writer, to tell it from those of what is between.
type tracked struct {
	r   io.Reader
	w   io.Writer
	err error // other than io.EOF
}

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != io.EOF {
		t.err = err
	}
	return n, err
}

func (t *tracked) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.err = err
	return n, err
}

// readColumns reads the members, and finds out where each column begins.
func (x *Index) readColumns(content *spill.Buffer) error {
	var fault error
	c := newCursor(column{content, 0, content.Size()}, &fault)
	count := func(size int) int64 {
		n := c.number()
		if n > (content.Size()-c.at())/int64(size) {
			c.fail(errBroken)
		}
		return n
	}
	members := count(2 + len(Member{}.SHA256))
	entries := count(bytesOfEntry)
	if entries > 2*maxEntries || members > maxMembers {
		c.fail(errBroken)
	}
	if fault != nil {
		return fault
	}
	x.Members, x.Entries = make([]Member, members), int(entries)
	for i := range x.Members {
		x.Members[i].Packed, x.Members[i].Unpacked = c.number(), c.number()
	}
	for i := range x.Members {
		copy(x.Members[i].SHA256[:], c.bytes(int64(len(x.Members[i].SHA256))))
	}
	x.findColumns(&c, content)
	switch {
	case fault != nil:
		return fault
	case c.at() < content.Size():
		return invalid("something follows the end of its index")
	}
	return x.checkMembers()
}

// findColumns passes all columns by. Of some, the ones before tell how many values they have.
func (x *Index) findColumns(c *cursor, content io.ReaderAt) {
	for i := range x.columns {
		start := c.at()
		modes, sizes := newCursor(x.columns[columnModes], c.fault), newCursor(x.columns[columnSizes], c.fault)
		for range x.Entries {
			kind := -1
			if i > columnModes {
				kind = int(modes.number() & 3)
			}
			hasContent := i > columnSizes && kind == kindFile && sizes.number() > 0
			switch {
			case *c.fault != nil:
				return
			case i == columnNames:
				c.number()
				c.skip(c.number())
			case i == columnModes, i == columnSeconds, i == columnNanoseconds,
				i == columnSizes && kind == kindFile, i == columnOffsets && hasContent:
				c.number()
			case i == columnLinks && (kind == kindSymlink || kind == kindHardLink):
				c.skip(c.number())
			case i == columnDigests && hasContent:
				c.skip(int64(len(Digest{})))
			}
		}
		x.columns[i] = column{content, start, c.at()}
	}
}

// checkMembers refuses members of absurd sizes.
func (x *Index) checkMembers() error {
	for i := range x.Members {
		m := &x.Members[i]
		if m.Packed <= 0 || m.Packed > 2*memberSize || m.Unpacked <= 0 || m.Unpacked > memberSize {
			return invalid("its index has a member of %d bytes, packed into %d", m.Unpacked, m.Packed)
		}
	}
	return nil
}

// checkEntries checks each entry by itself, and that its content lies within the members. It puts
// marks between them.
func (x *Index) checkEntries() error {
	unpacked := int64(0)
	for i := range x.Members {
		unpacked += x.Members[i].Unpacked
	}
	r := x.rows(false)
	for {
		if r.row%markEvery == 0 {
			x.marks = append(x.marks, r.mark())
		}
		if !r.next() {
			return r.fault
		}
		e := r.entry()
		if err := checkEntry(&e.Entry); err != nil {
			return err
		}
		if r.end > unpacked {
			return invalid("%q: its content ends beyond the archive", e.Name)
		}
	}
}
