package archive

import (
	"archive/tar"
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// tarball builds a tar block by block, also such as no tool would write.
type tarball struct {
	bytes.Buffer
}

var someTime = time.Unix(1_700_000_000, 0)

// item is one entry: what the header says, then content.
type item struct {
	name    string
	flag    byte // '0' when 0
	mode    int64
	link    string
	content string
	size    int64 // what the header says, when it is not the content's
	prefix  []byte
	at      int64 // its time, someTime when 0
}

// add appends an entry with a raw ustar header, so that nothing is refused or corrected.
func (t *tarball) add(i item) *tarball {
	if i.flag == 0 {
		i.flag = tar.TypeReg
	}
	if i.mode == 0 {
		i.mode = 0o644
	}
	if i.size == 0 {
		i.size = int64(len(i.content))
	}
	t.Write(rawHeader(i))
	t.pad(i.content)
	return t
}

func (t *tarball) pad(content string) {
	t.WriteString(content)
	t.Write(make([]byte, roundUp(int64(len(content)))-int64(len(content))))
}

// pax appends the records of a PAX header, of the next entry ('x') or of all ('g').
func (t *tarball) pax(flag byte, records ...string) *tarball {
	var b strings.Builder
	for _, r := range records {
		b.WriteString(paxRecord(r))
	}
	return t.add(item{name: "pax", flag: flag, content: b.String()})
}

// paxRecord puts the length, which includes itself, before "key=value".
func paxRecord(r string) string {
	n := len(r) + 3
	for {
		s := itoa(n) + " " + r + "\n"
		if len(s) == n {
			return s
		}
		n = len(s)
	}
}

// end appends the two zero blocks and returns the archive.
func (t *tarball) end() []byte {
	return append(bytes.Clone(t.Bytes()), make([]byte, 2*blockSize)...)
}

func rawHeader(i item) []byte {
	h := make([]byte, blockSize)
	copy(h[0:100], i.name)
	copy(h[100:], octalField(i.mode, 8))
	copy(h[108:], octalField(12345, 8))
	copy(h[116:], octalField(12345, 8))
	if i.size < 0 || i.size >= 1<<33 {
		base256(h[124:136], i.size)
	} else {
		copy(h[124:], octalField(i.size, 12))
	}
	copy(h[136:], octalField(cmp.Or(i.at, someTime.Unix()), 12))
	h[156] = i.flag
	copy(h[157:257], i.link)
	copy(h[257:], "ustar\x0000")
	copy(h[265:], "someone")
	copy(h[345:500], i.prefix)
	sum(h)
	return h
}

func octalField(n int64, width int) string {
	s := ""
	for range width - 1 {
		s = string(rune('0'+n&7)) + s
		n >>= 3
	}
	return s + "\x00"
}

// base256 is GNU's way to write numbers that octal digits cannot.
func base256(field []byte, n int64) {
	for i := len(field) - 1; i >= 0; i-- {
		field[i] = byte(n)
		n >>= 8
	}
	field[0] |= 0x80
}

func sum(h []byte) {
	copy(h[148:156], "        ")
	total := int64(0)
	for _, b := range h {
		total += int64(b)
	}
	copy(h[148:156], octalField(total, 7)+" ")
}

func itoa(n int) string {
	s := ""
	for ; n > 0; n /= 10 {
		s = string(rune('0'+n%10)) + s
	}
	return s
}

// archiveOf is a complete tar of items.
func archiveOf(items ...item) []byte {
	t := &tarball{}
	for _, i := range items {
		t.add(i)
	}
	return t.end()
}

func gzipOf(parts ...[]byte) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		z := gzip.NewWriter(&b)
		z.Write(p)
		z.Close()
	}
	return b.Bytes()
}

func zstdOf(content []byte, options ...zstd.EOption) []byte {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, options...)
	if err != nil {
		panic(err)
	}
	z.Write(content)
	z.Close()
	return b.Bytes()
}

// newStage makes what Unpack wants: an empty directory of mode 0700.
func newStage(t testing.TB) *os.Root {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "stage")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		root.Close()
		open(dir)
	})
	return root
}
