package archive

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rhettg/ftl/ftl/internal/spill"
)

// benchTree is a package of 2,000 files of 4 KiB in 100 directories, packed.
func benchTree(b *testing.B) (dir string, packed []byte, sum Totals) {
	b.Helper()
	dir = b.TempDir()
	content := bytes.Repeat([]byte("bucket\n"), 4096/7)
	for d := range 100 {
		sub := filepath.Join(dir, fmt.Sprintf("lib%d", d/10), fmt.Sprintf("part%d", d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 20 {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file%d.js", f)), content, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	var out bytes.Buffer
	if err := Pack(b.Context(), &out, dir, PackOptions{}); err != nil {
		b.Fatal(err)
	}
	sum, err := Scan(b.Context(), Packed{Content: bytes.NewReader(out.Bytes()), Form: Tar}, nil)
	if err != nil {
		b.Fatal(err)
	}
	return dir, zstdOf(out.Bytes()), sum
}

func BenchmarkUnpack(b *testing.B) {
	_, packed, sum := benchTree(b)
	b.SetBytes(sum.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		stage := newStage(b)
		b.StartTimer()
		if err := Unpack(b.Context(), Packed{Content: bytes.NewReader(packed), Form: TarZstd}, stage, sum); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		os.RemoveAll(stage.Name())
		b.StartTimer()
	}
}

func BenchmarkScan(b *testing.B) {
	_, packed, sum := benchTree(b)
	b.SetBytes(sum.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(b.Context(), Packed{Content: bytes.NewReader(packed), Form: TarZstd}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRewrite(b *testing.B) {
	_, packed, sum := benchTree(b)
	b.SetBytes(sum.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Rewrite(b.Context(), io.Discard, Packed{Content: bytes.NewReader(packed), Form: TarZstd}, spill.Temporary, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	_, packed, sum := benchTree(b)
	var out bytes.Buffer
	index, err := Rewrite(b.Context(), &out, Packed{Content: bytes.NewReader(packed), Form: TarZstd}, spill.Temporary, nil)
	if err != nil {
		b.Fatal(err)
	}
	ranges := restored{out.Bytes(), index}.ranges(nil)
	for _, how := range []string{"fetched", "reused"} {
		b.Run(how, func(b *testing.B) {
			b.SetBytes(sum.Bytes)
			b.ReportAllocs()
			old := newStage(b)
			if err := Restore(b.Context(), old, Restoration{Index: index, Ranges: ranges}); err != nil {
				b.Fatal(err)
			}
			var trees []Tree
			if how == "reused" {
				trees = []Tree{{old, index}}
			}
			for b.Loop() {
				b.StopTimer()
				stage := newStage(b)
				b.StartTimer()
				if err := Restore(b.Context(), stage, Restoration{Index: index, Ranges: ranges, Trees: trees}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				os.RemoveAll(stage.Name())
				b.StartTimer()
			}
		})
	}
}

func BenchmarkPack(b *testing.B) {
	dir, _, sum := benchTree(b)
	b.SetBytes(sum.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		if err := Pack(b.Context(), &out, dir, PackOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
