package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/internal/spill"
)

// restored is a seekable archive and its index, as a host would have them.
type restored struct {
	packed []byte
	index  *Index
}

func rewrite(t *testing.T, tar []byte) restored {
	t.Helper()
	var packed bytes.Buffer
	index, err := Rewrite(t.Context(), &packed, Packed{Content: bytes.NewReader(tar), Form: Tar}, spill.Temporary, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	decoded, err := decode(encode(index))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { decoded.Close() })
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

// small makes batches, shares and the distances of marks so small that a test has many of each.
func small(t *testing.T) {
	set(t, &batchSize, 7)
	set(t, &namesAtOnce, 5)
	set(t, &markEvery, 3)
}

// A tree of many batches is the same one, whether it is fetched or copied.
func TestRestoreInBatches(t *testing.T) {
	want := newStage(t)
	s := rewrite(t, sampleTar())
	if err := Restore(t.Context(), want, Restoration{Index: s.index, Ranges: s.ranges(nil)}); err != nil {
		t.Fatal(err)
	}
	small(t)
	s = rewrite(t, sampleTar())
	stage := newStage(t)
	if err := Restore(t.Context(), stage, Restoration{Index: s.index, Ranges: s.ranges(nil)}); err != nil {
		t.Fatal(err)
	}
	sameTrees(t, stage.Name(), want.Name())
	var fetched atomic.Int64
	copied := newStage(t)
	if err := Restore(t.Context(), copied, Restoration{Index: s.index, Ranges: s.ranges(&fetched), Trees: []Tree{{stage, s.index}}}); err != nil {
		t.Fatal(err)
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("fetched %d bytes, want none", n)
	}
	sameTrees(t, copied.Name(), want.Name())
}

// When the first part is fetched, nothing is made of what comes much later: no more entries than
// two batches have are in memory.
func TestRestoreLooksAheadOneBatch(t *testing.T) {
	small(t)
	var items []item
	for i := range 200 {
		items = append(items, item{name: fmt.Sprintf("d%d/f", i), content: noise(groupSize/2, int64(i))})
	}
	s := rewrite(t, archiveOf(items...))
	stage := newStage(t)
	fetch, most := s.ranges(nil), atomic.Int64{}
	watched := func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		if entries, err := os.ReadDir(stage.Name()); err != nil {
			return nil, err
		} else if offset == 0 {
			most.Store(int64(len(entries)))
		}
		return fetch(ctx, offset, length)
	}
	if err := Restore(t.Context(), stage, Restoration{Index: s.index, Ranges: watched}); err != nil {
		t.Fatal(err)
	}
	if n := most.Load(); n == 0 || n > 2*int64(batchSize)+1 {
		t.Errorf("%d directories of %d were made before the first fetch, want some, and at most %d", n, len(items), 2*batchSize+1)
	}
}

// Names that are used twice are found in whatever share of the names they are.
func TestJudgeFindsWhatIsFarApart(t *testing.T) {
	small(t)
	many := make([]item, 0, 300)
	for i := range 300 {
		many = append(many, item{name: fmt.Sprintf("d%d/e%d/f%d", i%7, i%13, i), content: "x"})
	}
	for name, last := range map[string]item{
		"a file twice":           {name: "d1/e1/f1", content: "x"},
		"a file as a directory":  {name: "d1/e1/f1/x", content: "x"},
		"a directory as a file":  {name: "d2/e2", content: "x"},
		"a link to nothing":      {name: "link", flag: '1', link: "d1/e1/f0"},
		"a link to a directory":  {name: "link", flag: '1', link: "d1"},
		"a link to itself":       {name: "link", flag: '1', link: "link"},
		"a symlink's directory":  {name: "sym/x", content: "x"},
		"a symlink as directory": {name: "d3", flag: '2', link: "d1"},
	} {
		tar := archiveOf(append(append([]item{{name: "sym", flag: '2', link: "d1"}}, many...), last)...)
		if _, err := Scan(t.Context(), Packed{Content: bytes.NewReader(tar), Form: Tar}, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want %v", name, err, ErrInvalid)
		}
	}
	tar := archiveOf(append(many, item{name: "d5/e5/", flag: '5', mode: 0o755}, item{name: "link", flag: '1', link: "d1/e1/f1"})...)
	got, err := Scan(t.Context(), Packed{Content: bytes.NewReader(tar), Form: Tar}, nil)
	if want := (Totals{Entries: 300 + 7 + 7*13 + 1, Bytes: 300}); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// What is known of an index takes no memory that grows with its entries.
func TestIndexLeavesMemoryAlone(t *testing.T) {
	w := newTableWriter(spill.Temporary)
	const entries = 300_000
	for i := range entries {
		w.add(&IndexEntry{Entry: Entry{Name: fmt.Sprintf("directory%d/%x", i/100, sha256.Sum256([]byte(fmt.Sprint(i)))), Mode: 0o644, ModTime: someTime}})
	}
	written, err := w.index(nil)
	if err != nil {
		t.Fatal(err)
	}
	encoded := encode(written)
	written.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x, err := decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 2<<20 {
		t.Errorf("%d entries take %d KiB, want less than 2 MiB", x.Entries, used>>10)
	}
}

func TestEachClash(t *testing.T) {
	small(t)
	tar := archiveOf(item{name: "a/", flag: '5', mode: 0o755}, item{name: "a/", flag: '5', mode: 0o755}, item{name: "README"}, item{name: "b"}, item{name: "c"}, item{name: "d"},
		item{name: "readme"}, item{name: "A/x"}, item{name: "B"}, item{name: "e"})
	x, err := List(t.Context(), Packed{Content: bytes.NewReader(tar), Form: Tar}, spill.Temporary, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var got []string
	if err := x.EachClash(func(name string) { got = append(got, name) }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if want := []string{"B", "readme"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
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
	good := listed(t, rewrite(t, sampleTar()).index)
	for name, spoil := range map[string]func(x *entryList){
		"escaping name":     func(x *entryList) { x.Entries[1].Name = "../x" },
		"absolute name":     func(x *entryList) { x.Entries[1].Name = "/x" },
		"unclean name":      func(x *entryList) { x.Entries[1].Name = "a//b" },
		"no name":           func(x *entryList) { x.Entries[1].Name = "" },
		"twice":             func(x *entryList) { x.Entries[1].Name = x.Entries[2].Name },
		"below a link":      func(x *entryList) { x.Entries[6].Name = "link/x" },
		"below a file":      func(x *entryList) { x.Entries[3].Name = "bin/run/x" },
		"hard link away":    func(x *entryList) { x.Entries[5].Link = "../../x" },
		"hard link nowhere": func(x *entryList) { x.Entries[5].Link = "nowhere" },
		"beyond the end":    func(x *entryList) { x.Members = x.Members[:1] },
		"huge member":       func(x *entryList) { x.Members[0].Unpacked = 1 << 40 },
		"no entries":        func(x *entryList) { x.Entries = nil },
	} {
		x := entryList{Members: slices.Clone(good.Members), Entries: slices.Clone(good.Entries)}
		spoil(&x)
		if _, err := decode(x.encode()); !errors.Is(err, ErrInvalid) {
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
	_, err := decode(bomb)
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
	index, err := Rewrite(f.Context(), &packed, Packed{Content: bytes.NewReader(archiveOf(item{name: "a/f", content: "x"}, item{name: "l", flag: '2', link: "a"})), Form: Tar}, spill.Temporary, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encode(index))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := decode(data)
		if err != nil {
			return
		}
		defer x.Close()
		again, err := decode(encode(x))
		if err != nil || again.Entries != x.Entries || again.Totals != x.Totals {
			t.Errorf("encoded again: %v", err)
		}
		again.Close()
	})
}

// Indexes of before they had a version are of the first; those of a newer one are not guessed at.
func TestIndexVersion(t *testing.T) {
	index, err := Rewrite(t.Context(), io.Discard, Packed{Content: bytes.NewReader(archiveOf(item{name: "f", content: "x"})), Form: Tar}, spill.Temporary, nil)
	if err != nil {
		t.Fatal(err)
	}
	encoded := encode(index)
	old := encoded[len(versionFrame(indexVersion)):]
	for _, data := range [][]byte{encoded, old} {
		if _, err := decode(data); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	}
	_, err = decode(append(versionFrame(indexVersion+1), old...))
	if version, ok := errors.AsType[*IndexVersionError](err); !ok || version.Version != "2" {
		t.Errorf("got %v, want an error that names version 2", err)
	}
}
