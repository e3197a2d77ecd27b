package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// contents are what compressors make different blocks of.
func contents() map[string][]byte {
	source := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, 300_000)
	source.Read(noise)
	words := strings.Fields("bucket host revision jump spool sync hook lock marker tree")
	var text, mixed bytes.Buffer
	for pick := rand.New(source); text.Len() < 500_000; {
		text.WriteString(words[pick.IntN(len(words))])
		text.WriteByte(" \n"[pick.IntN(2)])
		switch word := words[pick.IntN(len(words))]; pick.IntN(3) {
		case 0:
			mixed.WriteString(word)
		case 1:
			mixed.Write(noise[:pick.IntN(400)])
		case 2:
			mixed.WriteString(strings.Repeat(word[:1+pick.IntN(3)], pick.IntN(300)))
		}
	}
	skewed := make([]byte, 200_000) // so that some codes are long
	for i := range skewed {
		skewed[i] = byte(rand.New(source).ExpFloat64() * 12)
	}
	return map[string][]byte{
		"nothing": nil, "a byte": {7}, "text": text.Bytes(), "mixed": mixed.Bytes()[:memberSize], "noise": noise,
		"zeros": make([]byte, memberSize), "skewed": skewed, "pattern": bytes.Repeat([]byte("abc"), 100_000),
	}
}

func gzipAt(level int, content []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestInflate(t *testing.T) {
	x := new(inflate)
	for name, content := range contents() {
		for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, 1, 2, 4, 6, 7, 9, gzip.StatelessCompression} {
			t.Run(fmt.Sprintf("%s at %d", name, level), func(t *testing.T) {
				for _, part := range []int{len(content), len(content) / 2, min(len(content), 300), min(len(content), 20)} {
					want := content[:part]
					packed, got := gzipAt(level, want), make([]byte, part)
					if !x.member(packed, got) || !bytes.Equal(got, want) {
						t.Fatalf("%d bytes: it gave up, or they differ", part)
					}
					if part > 0 && x.member(packed, make([]byte, part-1)) || x.member(packed, make([]byte, part+1)) {
						t.Errorf("%d bytes: a wrong size was accepted", part)
					}
				}
			})
		}
	}
}

// FuzzInflate compares with the general decoder: what is accepted must be what that makes of it.
func FuzzInflate(f *testing.F) {
	for _, content := range contents() {
		content = content[:min(len(content), 3000)]
		for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, 1, 9} {
			packed := gzipAt(level, content)
			f.Add(packed[10:len(packed)-8], uint32(len(content)))
		}
	}
	x := new(inflate)
	f.Fuzz(func(t *testing.T, deflated []byte, size uint32) {
		size %= 1 << 16
		packed := append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), deflated...)
		// Mutations never have the right checksum, so put in what came out.
		got := make([]byte, size)
		x.member(append(packed, make([]byte, 8)...), got)
		packed = append(packed, trailerOf(got)...)
		if !x.member(packed, got) {
			return
		}
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, want %d others, %v", len(got), len(want), err)
		}
	})
}

func BenchmarkInflate(b *testing.B) {
	for _, name := range []string{"text", "mixed", "skewed"} {
		content := contents()[name]
		packed, out := gzipAt(6, content), make([]byte, len(content)+1)
		b.Run(name+"/inflate", func(b *testing.B) {
			x := new(inflate)
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if !x.member(packed, out[:len(content)]) {
					b.Fatal("it gave up")
				}
			}
		})
		b.Run(name+"/general", func(b *testing.B) {
			var r gzip.Reader
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Reset(bytes.NewReader(packed)); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(&r, out); err != io.ErrUnexpectedEOF {
					b.Fatal(err)
				}
			}
		})
	}
}

// trailerOf is the end of a member with this content.
func trailerOf(content []byte) []byte {
	trailer := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(content))
	return binary.LittleEndian.AppendUint32(trailer, uint32(len(content)))
}
