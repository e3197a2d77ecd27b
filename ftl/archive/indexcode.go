package archive

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// An index is written as two zstd frames. The first is one that decoders skip; it says which
// version the index is of, and an index without it is of version 1. The second begins with the
// numbers of members and entries; a column for each property follows, since similar values compress
// well side by side. Numbers are varints. A name is written without the beginning that it shares
// with the name before.

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
)

// Encode returns the bytes that DecodeIndex reads.
func (x *Index) Encode() []byte {
	b := binary.AppendUvarint(nil, uint64(len(x.Members)))
	b = binary.AppendUvarint(b, uint64(len(x.Entries)))
	for i := range x.Members {
		b = binary.AppendUvarint(b, uint64(x.Members[i].Packed))
		b = binary.AppendUvarint(b, uint64(x.Members[i].Unpacked))
	}
	for i := range x.Members {
		b = append(b, x.Members[i].SHA256[:]...)
	}
	b = x.appendNames(b)
	for i := range x.Entries {
		b = binary.AppendUvarint(b, uint64(x.Entries[i].Mode.Perm())<<2|entryKind(&x.Entries[i].Entry))
	}
	b = x.appendPlaces(b)
	b = x.appendTimes(b)
	for i := range x.Entries {
		if e := &x.Entries[i]; e.Link != "" {
			b = appendString(b, e.Link)
		}
	}
	for i := range x.Entries {
		if e := &x.Entries[i]; e.content() {
			b = append(b, e.Digest[:]...)
		}
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		panic(err) // the options are wrong
	}
	return z.EncodeAll(b, versionFrame(indexVersion))
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

// checkVersion returns an IndexVersionError unless data is an index of the version that this ftl
// knows, or of none.
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

func (x *Index) appendNames(b []byte) []byte {
	last := ""
	for i := range x.Entries {
		name := x.Entries[i].Name
		shared := 0
		for shared < min(len(name), len(last)) && name[shared] == last[shared] {
			shared++
		}
		b = binary.AppendUvarint(b, uint64(shared))
		b = appendString(b, name[shared:])
		last = name
	}
	return b
}

// appendPlaces writes the size of each file, and the distance of its content from the end of the
// one before.
func (x *Index) appendPlaces(b []byte) []byte {
	for i := range x.Entries {
		if e := &x.Entries[i]; entryKind(&e.Entry) == kindFile {
			b = binary.AppendUvarint(b, uint64(e.Size))
		}
	}
	end := int64(0)
	for i := range x.Entries {
		if e := &x.Entries[i]; e.content() {
			b = binary.AppendUvarint(b, uint64(e.Offset-end))
			end = e.Offset + e.Size
		}
	}
	return b
}

func (x *Index) appendTimes(b []byte) []byte {
	last := int64(0)
	for i := range x.Entries {
		seconds := x.Entries[i].ModTime.Unix()
		b = binary.AppendVarint(b, seconds-last)
		last = seconds
	}
	for i := range x.Entries {
		b = binary.AppendUvarint(b, uint64(x.Entries[i].ModTime.Nanosecond()))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
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

// DecodeIndex reads what Encode wrote. What it returns has passed the checks of an archive's
// entries, and the content of every file lies within the members. Anything else is ErrInvalid, or
// an IndexVersionError where a newer ftl wrote it.
func DecodeIndex(data []byte) (*Index, error) {
	if err := checkVersion(data); err != nil {
		return nil, err
	}
	most := uint64(min(maxIndex, maxIndexRatio*int64(len(data))+memberSize))
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(most))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	b, err := z.DecodeAll(data, nil)
	if err != nil {
		return nil, invalid("its index: %v", err)
	}
	d := &indexDecoder{b: b}
	x := d.index()
	switch {
	case d.broken:
		return nil, invalid("its index is cut off or damaged")
	case len(d.b) > 0:
		return nil, invalid("something follows the end of its index")
	}
	if err := x.checkPlaces(); err != nil {
		return nil, err
	}
	return x, x.judge()
}

// indexDecoder reads one column after the other. After the first fault it reads zeros.
type indexDecoder struct {
	b      []byte
	broken bool
}

func (d *indexDecoder) index() *Index {
	x := new(Index)
	members, entries := d.count(2+len(Member{}.SHA256)), d.count(bytesOfEntry)
	if d.broken || entries > 2*maxEntries || members > maxMembers {
		d.broken = true
		return x
	}
	x.Members, x.Entries = make([]Member, members), make([]IndexEntry, entries)
	for i := range x.Members {
		x.Members[i].Packed, x.Members[i].Unpacked = d.number(), d.number()
	}
	for i := range x.Members {
		d.copy(x.Members[i].SHA256[:])
	}
	d.names(x.Entries)
	kinds := d.modes(x.Entries)
	d.places(x.Entries, kinds)
	d.times(x.Entries)
	for i := range x.Entries {
		if kinds[i] == kindSymlink || kinds[i] == kindHardLink {
			x.Entries[i].Link = string(d.bytes(d.number()))
			d.broken = d.broken || x.Entries[i].Link == ""
		}
	}
	for i := range x.Entries {
		if e := &x.Entries[i]; e.content() {
			d.copy(e.Digest[:])
		}
	}
	return x
}

// names keeps all names in one string, which is one allocation instead of one for each.
func (d *indexDecoder) names(entries []IndexEntry) {
	size, column := int64(0), d.b
	for range entries {
		size += d.number()
		rest := d.number()
		size += rest
		d.bytes(rest)
		if size < 0 || size > maxIndex {
			d.broken = true
		}
	}
	if d.broken {
		return
	}
	d.b = column
	var all strings.Builder
	all.Grow(int(size))
	last := ""
	for i := range entries {
		shared, rest := d.number(), d.bytes(d.number())
		if shared > int64(len(last)) {
			d.broken = true
			return
		}
		start := all.Len()
		all.WriteString(last[:shared])
		all.Write(rest)
		last = all.String()[start:]
		entries[i].Name = last
	}
}

func (d *indexDecoder) modes(entries []IndexEntry) (kinds []uint8) {
	kinds = make([]uint8, len(entries))
	for i := range entries {
		bits := d.number()
		kinds[i] = uint8(bits & 3)
		mode := fs.FileMode(bits>>2) & permissions
		switch kinds[i] {
		case kindDirectory:
			mode |= fs.ModeDir
		case kindSymlink:
			mode = fs.ModeSymlink | 0o777
		}
		entries[i].Mode = mode
	}
	return kinds
}

func (d *indexDecoder) places(entries []IndexEntry, kinds []uint8) {
	for i := range entries {
		if kinds[i] == kindFile {
			entries[i].Size = d.number()
		}
	}
	end := int64(0)
	for i := range entries {
		if e := &entries[i]; kinds[i] == kindFile && e.Size > 0 {
			e.Offset = end + d.number()
			if end = e.Offset + e.Size; e.Offset < 0 || end < 0 {
				d.broken = true
				return
			}
		}
	}
}

func (d *indexDecoder) times(entries []IndexEntry) {
	seconds := make([]int64, len(entries))
	last := int64(0)
	for i := range entries {
		last += d.signed()
		seconds[i] = last
	}
	for i := range entries {
		entries[i].ModTime = clamp(time.Unix(seconds[i], d.number()%1e9))
	}
}

// count reads the number of elements that follow, each of which takes at least size bytes.
func (d *indexDecoder) count(size int) int64 {
	n := d.number()
	if n > int64(len(d.b)/size) {
		d.broken = true
		return 0
	}
	return n
}

func (d *indexDecoder) number() int64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > math.MaxInt64 {
		d.broken = true
		return 0
	}
	d.b = d.b[size:]
	return int64(n)
}

func (d *indexDecoder) signed() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.broken = true
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *indexDecoder) bytes(n int64) []byte {
	if n > int64(len(d.b)) {
		d.broken = true
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *indexDecoder) copy(to []byte) { copy(to, d.bytes(int64(len(to)))) }

// checkPlaces refuses members of absurd sizes, and files beyond their end.
func (x *Index) checkPlaces() error {
	packed, unpacked := int64(0), int64(0)
	for i := range x.Members {
		m := &x.Members[i]
		if m.Packed <= 0 || m.Packed > 2*memberSize || m.Unpacked <= 0 || m.Unpacked > memberSize {
			return invalid("its index has a member of %d bytes, packed into %d", m.Unpacked, m.Packed)
		}
		packed += m.Packed
		unpacked += m.Unpacked
	}
	for i := len(x.Entries) - 1; i >= 0; i-- {
		if e := &x.Entries[i]; e.content() { // the last one is the one that ends last
			if e.Offset+e.Size > unpacked {
				return invalid("%q: its content ends beyond the archive", e.Name)
			}
			break
		}
	}
	return nil
}

// judge passes the entries through the walker, which refuses what it refuses in a tar.
func (x *Index) judge() error {
	w := newWalker(nil, &discard{buf: make([]byte, 1)}, unlimited, nil)
	w.seen = newSeen(len(x.Entries))
	if err := w.entries(x.Entries); err != nil {
		return err
	}
	x.Totals, x.dirs = w.sum, w.dirs
	return nil
}
