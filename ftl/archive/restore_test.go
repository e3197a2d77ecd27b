package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// restored is a seekable archive and its index, as a host would have them.
type restored struct {
	packed []byte
	index  *Index
}

func rewrite(t *testing.T, tar []byte) restored {
	t.Helper()
	var packed bytes.Buffer
	index, err := Rewrite(t.Context(), &packed, Packed{Content: bytes.NewReader(tar), Form: Tar}, nil)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := DecodeIndex(index.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return restored{packed.Bytes(), decoded}
}

// ranges reads from memory and counts.
func (s restored) ranges(fetched *atomic.Int64) Ranges {
	return func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		if fetched != nil {
			fetched.Add(length)
		}
		return io.NopCloser(bytes.NewReader(s.packed[offset : offset+length])), nil
	}
}

// sampleTar has all that a tree may have: files of every size around a member's, links, odd modes
// and names.
func sampleTar() []byte {
	items := []item{
		{name: "./", flag: '5', mode: 0o755},
		{name: "empty"}, // the entries' order is known to TestDecodeIndexJudges
		{name: "bin/run", mode: 0o755, content: "#!/bin/sh\n"},
		{name: "link", flag: '2', link: "bin/run"},
		{name: "out", flag: '2', link: "/etc/passwd"},
		{name: "hard", flag: '1', link: "bin/run"},
		{name: "deep/er/and/deeper/", flag: '5', mode: 0o555},
		{name: "deep/er/and/deeper/f", content: "x"},
	}
	for _, dir := range []string{"bin/", "deep/", "deep/er/", "deep/er/and/", "sizes/", "many/"} {
		items = append(items, item{name: dir, flag: '5', mode: 0o755})
	}
	for i, size := range []int{1, 511, 512, 513, groupSize - 512, groupSize, groupSize + 1, memberSize - 1, memberSize, memberSize + 1, 3*memberSize + 77} {
		items = append(items, item{name: "sizes/" + string(rune('a'+i)), content: noise(size, int64(i))})
	}
	for i := range 300 {
		items = append(items, item{name: "many/" + strings.Repeat("n", i%40) + string(rune('A'+i%26)) + string(rune('a'+i/26)), content: noise(i*17, int64(i))})
	}
	return archiveOf(items...)
}

// noise is content that differs by seed and compresses a little.
func noise(size int, seed int64) string {
	b := make([]byte, size)
	x := uint64(seed)*2654435761 + 1
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x>>60) + 'a'
	}
	return string(b)
}

func TestRewriteKeepsTheTar(t *testing.T) {
	tar := sampleTar()
	s := rewrite(t, tar)
	stream, err := newStream(t.Context(), bytes.NewReader(s.packed), TarZstd)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(stream)
	stream.close()
	if err != nil || !bytes.Equal(got, tar) {
		t.Errorf("the tar differs, %v", err)
	}
	if s.index.Size() != int64(len(s.packed)) {
		t.Errorf("the index says %d bytes, got %d", s.index.Size(), len(s.packed))
	}
}

// The number of processors may rise while a fetch runs, as it does for "taskset -p" and when the
// limit of a control group changes. The fetch ends all the same.
func TestRestoreWhileProcessorsRise(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	s := rewrite(t, sampleTar())
	fetch := s.ranges(nil)
	rising := func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
		return fetch(ctx, offset, length)
	}
	stage := newStage(t)
	ended := make(chan error, 1)
	go func() { ended <- Restore(t.Context(), stage, Restoration{Index: s.index, Ranges: rising}) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Restore has not ended after a minute")
	}
}

// What Restore makes of the index is what Unpack makes of the tar.
func TestRestoreEqualsUnpack(t *testing.T) {
	tar := sampleTar()
	want := newStage(t)
	totals, err := Scan(t.Context(), Packed{Content: bytes.NewReader(tar), Form: Tar}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), Packed{Content: bytes.NewReader(tar), Form: Tar}, want, totals); err != nil {
		t.Fatal(err)
	}
	s := rewrite(t, tar)
	if s.index.Totals != totals {
		t.Errorf("totals %v, want %v", s.index.Totals, totals)
	}
	stage := newStage(t)
	if err := Restore(t.Context(), stage, Restoration{Index: s.index, Ranges: s.ranges(nil)}); err != nil {
		t.Fatal(err)
	}
	sameTrees(t, stage.Name(), want.Name())
}

func sameTrees(t *testing.T, got, want string) {
	t.Helper()
	g, w := snapshot(t, got), snapshot(t, want)
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Errorf("%d and %d entries; the first that differs: got %.200s, want %.200s", len(g), len(w), at(g, i), at(w, i))
			return
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "none"
}

func TestRestoreFromLocalTree(t *testing.T) {
	old := rewrite(t, sampleTar())
	oldStage := newStage(t)
	if err := Restore(t.Context(), oldStage, Restoration{Index: old.index, Ranges: old.ranges(nil)}); err != nil {
		t.Fatal(err)
	}
	s := rewrite(t, sampleTar())
	want := newStage(t)
	if err := Restore(t.Context(), want, Restoration{Index: s.index, Ranges: s.ranges(nil)}); err != nil {
		t.Fatal(err)
	}

	t.Run("unchanged", func(t *testing.T) {
		var fetched atomic.Int64
		stage := newStage(t)
		if err := Restore(t.Context(), stage, Restoration{Index: s.index, Ranges: s.ranges(&fetched), Trees: []Tree{{oldStage, old.index}}}); err != nil {
			t.Fatal(err)
		}
		if n := fetched.Load(); n != 0 {
			t.Errorf("fetched %d bytes, want none", n)
		}
		sameTrees(t, stage.Name(), want.Name())
	})

	// What a hook did to the tree meanwhile must not reach the new one.
	damage := func(name string, f func(path string) error) {
		t.Helper()
		if err := f(filepath.Join(oldStage.Name(), name)); err != nil {
			t.Fatal(err)
		}
	}
	overwrite := func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, bytes.Repeat([]byte{'!'}, int(info.Size())), 0o644)
	}
	replaceByLink := func(path string) error {
		return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
	}
	damage("bin/run", overwrite)
	damage("sizes/i", overwrite)
	damage("sizes/a", os.Remove)
	damage("sizes/b", replaceByLink)
	damage("sizes/k", func(path string) error { return os.Truncate(path, 7) })
	damage("many", replaceByLink)
	t.Run("damaged", func(t *testing.T) {
		var fetched atomic.Int64
		stage := newStage(t)
		if err := Restore(t.Context(), stage, Restoration{Index: s.index, Ranges: s.ranges(&fetched), Trees: []Tree{{oldStage, old.index}}}); err != nil {
			t.Fatal(err)
		}
		if n := fetched.Load(); n == 0 || n >= s.index.Size() {
			t.Errorf("fetched %d bytes of %d, want a part", n, s.index.Size())
		}
		sameTrees(t, stage.Name(), want.Name())
	})
}

func TestRestoreRefusesOtherMembers(t *testing.T) {
	s := rewrite(t, sampleTar())
	if len(s.index.Members) < 4 {
		t.Fatalf("%d members are too few for this test", len(s.index.Members))
	}
	first, second := s.index.Members[0].Packed, s.index.Members[1].Packed
	for name, spoil := range map[string]func(b []byte) []byte{
		"flipped": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"swapped": func(b []byte) []byte {
			return slices.Concat(b[first:first+second], b[:first], b[first+second:])
		},
		"emptied": func(b []byte) []byte { clear(b[:first]); return b },
	} {
		spoiled := restored{spoil(bytes.Clone(s.packed)), s.index}
		if err := Restore(t.Context(), newStage(t), Restoration{Index: s.index, Ranges: spoiled.ranges(nil)}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want %v", name, err, ErrInvalid)
		}
	}
	cut := func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(s.packed[offset : offset+length-1])), nil
	}
	if err := Restore(t.Context(), newStage(t), Restoration{Index: s.index, Ranges: cut}); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: got %v, want %v", err, io.EOF)
	}
}

// A proxy on the way may spoil a member once.
func TestRestoreAsksOnceMore(t *testing.T) {
	s := rewrite(t, archiveOf(item{name: "f", content: "content"}))
	asked := 0
	spoilOnce := func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		b := bytes.Clone(s.packed[offset : offset+length])
		if asked++; asked == 1 {
			b[0] ^= 1
		}
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	if err := Restore(t.Context(), newStage(t), Restoration{Index: s.index, Ranges: spoilOnce}); err != nil || asked != 2 {
		t.Errorf("got %v after %d requests, want success after 2", err, asked)
	}
}

// The index is as untrusted as an archive is: the same entries are refused.
func TestDecodeIndexJudges(t *testing.T) {
	good := rewrite(t, sampleTar()).index
	for name, spoil := range map[string]func(x *Index){
		"escaping name":     func(x *Index) { x.Entries[1].Name = "../x" },
		"absolute name":     func(x *Index) { x.Entries[1].Name = "/x" },
		"unclean name":      func(x *Index) { x.Entries[1].Name = "a//b" },
		"no name":           func(x *Index) { x.Entries[1].Name = "" },
		"twice":             func(x *Index) { x.Entries[1].Name = x.Entries[2].Name },
		"below a link":      func(x *Index) { x.Entries[6].Name = "link/x" },
		"below a file":      func(x *Index) { x.Entries[3].Name = "bin/run/x" },
		"hard link away":    func(x *Index) { x.Entries[5].Link = "../../x" },
		"hard link nowhere": func(x *Index) { x.Entries[5].Link = "nowhere" },
		"beyond the end":    func(x *Index) { x.Members = x.Members[:1] },
		"huge member":       func(x *Index) { x.Members[0].Unpacked = 1 << 40 },
		"no entries":        func(x *Index) { x.Entries = nil },
	} {
		x := &Index{Members: slices.Clone(good.Members), Entries: slices.Clone(good.Entries)}
		spoil(x)
		if _, err := DecodeIndex(x.Encode()); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want %v", name, err, ErrInvalid)
		}
	}
}

// An index of a few bytes must not take all of a host's memory.
func TestDecodeIndexIsBounded(t *testing.T) {
	var claim []byte
	for _, n := range []uint64{0, 100_000_000} { // members, entries
		claim = binary.AppendUvarint(claim, n)
	}
	bomb := zstdOf(append(claim, make([]byte, 60<<20)...))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := DecodeIndex(bomb)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want %v", err, ErrInvalid)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("%d bytes of index took %d MiB", len(bomb), used>>20)
	}
}

// Whatever the bytes are, decoding ends without a panic, and what is accepted can be encoded again
// to the same index.
func FuzzDecodeIndex(f *testing.F) {
	var packed bytes.Buffer
	index, err := Rewrite(f.Context(), &packed, Packed{Content: bytes.NewReader(archiveOf(item{name: "a/f", content: "x"}, item{name: "l", flag: '2', link: "a"})), Form: Tar}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(index.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := DecodeIndex(data)
		if err != nil {
			return
		}
		again, err := DecodeIndex(x.Encode())
		if err != nil || len(again.Entries) != len(x.Entries) || again.Totals != x.Totals {
			t.Errorf("encoded again: %v", err)
		}
	})
}

// Indexes of before they had a version are of the first; those of a newer one are not guessed at.
func TestIndexVersion(t *testing.T) {
	index, err := Rewrite(t.Context(), io.Discard, Packed{Content: bytes.NewReader(archiveOf(item{name: "f", content: "x"})), Form: Tar}, nil)
	if err != nil {
		t.Fatal(err)
	}
	encoded := index.Encode()
	old := encoded[len(versionFrame(indexVersion)):]
	for _, data := range [][]byte{encoded, old} {
		if _, err := DecodeIndex(data); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	}
	_, err = DecodeIndex(append(versionFrame(indexVersion+1), old...))
	if version, ok := errors.AsType[*IndexVersionError](err); !ok || version.Version != "2" {
		t.Errorf("got %v, want an error that names version 2", err)
	}
}
