package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"math"
	"strings"
	"testing"
)

// Row 36: nothing is written beyond what the manifest says.
func TestUnpackStopsAtWant(t *testing.T) {
	bomb := gzipOf(archiveOf(item{name: "small", content: "x"}, item{name: "zeros", content: strings.Repeat("\x00", 32<<20)}))
	for _, c := range []struct {
		name string
		want Totals
	}{
		{"bytes", Totals{2, 1 << 20}},
		{"entries", Totals{1, math.MaxInt64}},
	} {
		stage := newStage(t)
		err := Unpack(t.Context(), Packed{Content: bytes.NewReader(bomb), Form: TarGzip}, stage, c.want)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: got %v, want a refusal", c.name, err)
		}
		if _, err := stage.Lstat("zeros"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the entry that exceeds the limit was made: %v", c.name, err)
		}
	}
	stage := newStage(t)
	one := gzipOf(bytes.Repeat([]byte{0}, 32<<20))
	err := Unpack(t.Context(), Packed{bytes.NewReader(one), Gzip, File{Name: "f"}}, stage, Totals{1, 1 << 20})
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("single file: got %v, want a refusal", err)
	}
	if i, err := stage.Stat("f"); err != nil || i.Size() > 1<<20 {
		t.Errorf("single file: got %v bytes, want at most a MiB", i.Size())
	}
}

func TestUnpackRefusesLessThanWant(t *testing.T) {
	for _, want := range []Totals{{2, 6}, {1, 7}} {
		err := Unpack(t.Context(), Packed{Content: bytes.NewReader(archiveOf(hello)), Form: Tar}, newStage(t), want)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("want %v: got %v, want a refusal", want, err)
		}
	}
}

// Row 37 and its like, with limits that a test can reach.
func TestLimits(t *testing.T) {
	set(t, &maxEntries, 3)
	set(t, &maxBytes, 10)
	set(t, &maxPadding, 40<<10)
	set(t, &maxDirNames, 100)
	dirs := func(names ...string) []byte {
		a := &tarball{}
		for _, n := range names {
			a.add(item{name: n, flag: tar.TypeDir})
		}
		return a.end()
	}
	for _, h := range []hostile{
		{row: "three", content: dirs("a", "b", "c")},
		{row: "four", content: dirs("a", "b", "c", "d"), refusal: "more than 3 entries"},
		{row: "implicit directories", content: archiveOf(item{name: "a/b/c/d"}), refusal: "more than 3 entries"},
		{row: "listed often", content: dirs("a", "a", "a", "a", "a", "a", "a"), refusal: "more than 3 entries"},
		{row: "bytes", content: archiveOf(hello, item{name: "b", content: "world"}), refusal: "more than 10 bytes"},
		{row: "long names", content: dirs(strings.Repeat("n", 60), strings.Repeat("m", 60)), refusal: "names"},
		{row: "padding", content: append(archiveOf(hello), make([]byte, 200<<10)...), refusal: "padding"},
	} {
		_, err := Scan(t.Context(), Packed{Content: bytes.NewReader(h.content), Form: Tar}, nil)
		h.check(t, h.row, err)
	}
}

func set[T any](t *testing.T, v *T, to T) {
	old := *v
	*v = to
	t.Cleanup(func() { *v = old })
}
