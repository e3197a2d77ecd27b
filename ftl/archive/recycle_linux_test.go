package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// recycle makes a tree in a stage that may hold another one, as a host does: in any doubt anew. It
// reports whether the stage was used.
func recycle(t *testing.T, stage *os.Root, of Restoration) (*os.Root, bool) {
	t.Helper()
	kept, err := Recycle(t.Context(), stage, Recycling{Index: of.Index, Fresh: newStage(t), Remove: removeIn(stage)})
	if of.Kept = kept; err != nil {
		t.Logf("in doubt: %v", err)
		stage = newStage(t)
	}
	if err := errors.Join(stage.Chmod(".", 0o755), Restore(t.Context(), stage, of)); err != nil {
		t.Fatal(err)
	}
	return stage, kept != nil
}

func removeIn(stage *os.Root) func(context.Context, string) error {
	return func(_ context.Context, name string) error { return stage.RemoveAll(name) }
}

// fullSnapshot also has the extended attributes, the flags and the number of links.
func fullSnapshot(t *testing.T, dir string) []string {
	t.Helper()
	lines := snapshot(t, dir)
	i := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			return err
		}
		if d.Type().IsRegular() || d.IsDir() {
			fd, err := unix.Open(path, unix.O_RDONLY, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			l, err := readLabels(fd)
			if err != nil {
				return err
			}
			lines[i] += fmt.Sprintf(" %q %x", l.attributes, l.flags)
		}
		if !d.IsDir() {
			lines[i] += fmt.Sprintf(" %d links", stat.Nlink)
		}
		i++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func sameFully(t *testing.T, got, want string) {
	t.Helper()
	g, w := fullSnapshot(t, got), fullSnapshot(t, want)
	for i := range max(len(g), len(w)) {
		if at(g, i) != at(w, i) {
			t.Fatalf("%d and %d entries; the first that differs:\n got %.300s\nwant %.300s", len(g), len(w), at(g, i), at(w, i))
		}
	}
}

// randomTree is a tree of some versions of some files, so that two of them have much in common.
func randomTree(rng *rand.Rand) []item {
	var items []item
	at := func() int64 { return 1_400_000_000 + rng.Int64N(1000)*86400 }
	items = append(items, item{name: "./", flag: '5', mode: 0o755, at: at()})
	for d := range 6 {
		dir := []string{"", "a/", "a/b/", "a/b/c/", "d/", "e f/"}[d]
		if dir != "" {
			items = append(items, item{name: dir, flag: '5', mode: int64([]int{0o755, 0o755, 0o700, 0o555}[rng.IntN(4)]), at: at()})
		}
		for f := range 8 {
			name := fmt.Sprintf("%sf%d", dir, f)
			version := rng.IntN(4)
			if f < 3 { // which hardly ever changes
				version = rng.IntN(20) / 19
			}
			it := item{name: name, mode: int64([]int{0o644, 0o755, 0o600}[rng.IntN(3)]), at: at()}
			size := []int{0, 1, 700, 5000, 20_000, 40_000}[(d*8+f)%6]
			if d%4 == 0 && f == 4 {
				size = memberSize + 100
			}
			switch {
			case version == 3 && f > 5:
				continue
			case version == 2 && f > 5:
				it.flag, it.link, it.mode = '2', fmt.Sprintf("f%d", rng.IntN(8)), 0o777
			case version == 1 && f == 7:
				it.flag, it.link = '1', dir+"f0"
			case version == 3 && f == 5:
				items = append(items, item{name: name + "/", flag: '5', mode: 0o755, at: at()})
				it.name, it.content = name+"/in", "a directory in the place of a file"
			default:
				it.content = noise(size, int64(d*100+f*10+version))
			}
			items = append(items, it)
		}
	}
	return items
}

// dirt are the things that hooks leave in a tree. Each gets a path in it.
var dirt = []struct {
	name string
	do   func(t *testing.T, rng *rand.Rand, top, path string) error
	root bool // only root can
}{
	{name: "another file", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		return os.WriteFile(path+".log", []byte("line\n"), 0o644)
	}},
	{name: "a venv", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		venv := filepath.Join(top, "venv", "bin")
		return errors.Join(os.MkdirAll(venv, 0o755), os.WriteFile(venv+"/python", nil, 0o755), os.RemoveAll(venv+"/link"), os.Symlink("/usr/bin", venv+"/link"))
	}},
	{name: "other content", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		b := bytes.Repeat([]byte{'!'}, int(info.Size()))
		return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, b, 0), os.Chtimes(path, info.ModTime(), info.ModTime()), os.Chmod(path, info.Mode()))
	}},
	{name: "more content", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
			return err
		}
		return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, rng.Int64N(3*memberSize)))
	}},
	{name: "gone", do: func(t *testing.T, rng *rand.Rand, top, path string) error { return os.RemoveAll(path) }},
	{name: "a hard link", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
			return err
		}
		return os.Link(path, filepath.Join(t.TempDir(), "outside"))
	}},
	{name: "a symlink", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		to := filepath.Join(t.TempDir(), "moved")
		return errors.Join(os.Rename(path, to), os.Symlink(to, path))
	}},
	{name: "a fifo", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		return errors.Join(os.RemoveAll(path), unix.Mkfifo(path, 0o644))
	}},
	{name: "a directory", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		return errors.Join(os.RemoveAll(path), os.MkdirAll(path+"/x/y", 0o755), os.WriteFile(path+"/x/file", nil, 0o644))
	}},
	{name: "a deep directory", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		return errors.Join(os.RemoveAll(path), os.MkdirAll(path+strings.Repeat("/d", 300), 0o755))
	}},
	{name: "a mode", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		return unix.Chmod(path, []uint32{0, 0o777, 0o6755, 0o1777, 0o111}[rng.IntN(5)])
	}},
	{name: "a time", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Sec: 5}, {Sec: 6}}, unix.AT_SYMLINK_NOFOLLOW)
	}},
	{name: "an attribute", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		return unlessUnsupported(unix.Setxattr(path, "user.of.hook", []byte("value"), 0))
	}},
	{name: "a default ACL", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		acl := "\x02\x00\x00\x00" + // for the owner, user 7, the group, the mask and others
			"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\x07\x00\x00\x00" + "\x04\x00\x05\x00\xff\xff\xff\xff" +
			"\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x05\x00\xff\xff\xff\xff"
		return unlessUnsupported(unix.Setxattr(filepath.Dir(path), "system.posix_acl_default", []byte(acl), 0))
	}},
	{name: "a flag", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		return setFlag(path, 0x40) // no dump
	}},
	{name: "another owner", root: true, do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		return os.Lchown(path, 12345, -1)
	}},
	{name: "another group", root: true, do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		return os.Lchown(path, -1, 12345)
	}},
	{name: "immutable", root: true, do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		if rng.IntN(4) > 0 {
			return nil
		}
		t.Cleanup(func() { exec.Command("chattr", "-R", "-i", top).Run() })
		return setFlag(path, 0x10)
	}},
	{name: "a writer", do: func(t *testing.T, rng *rand.Rand, top, path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil
		}
		t.Cleanup(func() { f.WriteString("too late"); f.Close() })
		return nil
	}},
}

func unlessUnsupported(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

func setFlag(path string, flag int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags|flag)
	}
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// Whatever lies in a tree, it becomes just what a new one is.
func TestRecycledTreeEqualsNewOne(t *testing.T) {
	used := 0
	const pairs = 24
	for seed := range uint64(pairs) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			old, s := rewrite(t, archiveOf(randomTree(rng)...)), rewrite(t, archiveOf(randomTree(rng)...))
			stage := newStage(t)
			if err := Restore(t.Context(), stage, Restoration{Index: old.index, Ranges: old.ranges(nil)}); err != nil {
				t.Fatal(err)
			}
			makeDirty(t, rng, stage.Name(), int(seed%12))
			want, _ := recycle(t, newStage(t), Restoration{Index: s.index, Ranges: s.ranges(nil)})
			got, ok := recycle(t, stage, Restoration{Index: s.index, Ranges: s.ranges(nil)})
			if ok {
				used++
			}
			sameFully(t, got.Name(), want.Name())
		})
	}
	if used < pairs/2 {
		t.Errorf("%d of %d trees were recycled", used, pairs)
	}
}

func makeDirty(t *testing.T, rng *rand.Rand, top string, times int) {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		d, path := dirt[rng.IntN(len(dirt))], paths[1+rng.IntN(len(paths)-1)]
		if d.root && os.Geteuid() != 0 {
			continue
		}
		err := d.do(t, rng, top, path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, fs.ErrPermission) {
			t.Fatalf("%s at %s: %v", d.name, path, err)
		}
	}
}

// Each kind of dirt by itself, and what has nothing to do with it stays the file that it was.
func TestRecycleKeepsWhatIsClean(t *testing.T) {
	items := []item{{name: "./", flag: '5', mode: 0o755}, {name: "many/", flag: '5', mode: 0o755}, {name: "sizes/", flag: '5', mode: 0o755}}
	for i := range 20 {
		items = append(items, item{name: fmt.Sprintf("many/%d", i), content: noise(20_000, int64(i))}, item{name: fmt.Sprintf("sizes/%d", i), content: noise(i*500, int64(i))})
	}
	s := rewrite(t, archiveOf(items...))
	want := newStage(t)
	if err := Restore(t.Context(), want, Restoration{Index: s.index, Ranges: s.ranges(nil)}); err != nil {
		t.Fatal(err)
	}
	for _, d := range dirt {
		t.Run(d.name, func(t *testing.T) {
			if d.root && os.Geteuid() != 0 {
				t.Skip("NOT TESTED: only root can make that")
			}
			rng := rand.New(rand.NewPCG(1, 1))
			stage := newStage(t)
			if err := Restore(t.Context(), stage, Restoration{Index: s.index, Ranges: s.ranges(nil)}); err != nil {
				t.Fatal(err)
			}
			inode := func(name string) uint64 {
				var stat unix.Stat_t
				if err := unix.Lstat(filepath.Join(stage.Name(), name), &stat); err != nil {
					t.Fatal(err)
				}
				return stat.Ino
			}
			const clean, dirty = "many/7", "sizes/7"
			before, spoiled := inode(clean), inode(dirty)
			holdsInode := []string{"other content", "more content"}
			if slices.Contains(holdsInode, d.name) { // so that its number is not given to the next one
				if err := os.Link(filepath.Join(stage.Name(), dirty), filepath.Join(t.TempDir(), "held")); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.do(t, rng, stage.Name(), filepath.Join(stage.Name(), dirty)); err != nil {
				t.Fatal(err)
			}
			if d.name == "immutable" {
				if err := setFlag(filepath.Join(stage.Name(), dirty), 0x10); err != nil {
					t.Fatal(err)
				}
			}
			var fetched atomic.Int64
			got, ok := recycle(t, stage, Restoration{Index: s.index, Ranges: s.ranges(&fetched)})
			sameFully(t, got.Name(), want.Name())
			if !ok {
				if d.name != "immutable" {
					t.Error("the tree was not used")
				}
				return
			}
			if now := inode(clean); now != before {
				t.Errorf("%s is another file", clean)
			}
			if slices.Contains(holdsInode, d.name) && inode(dirty) == spoiled {
				t.Errorf("%s is still the file that was changed", dirty)
			}
			if n := fetched.Load(); n > s.index.Size()/2 && d.name != "a default ACL" { // which its directory has
				t.Errorf("fetched %d of %d bytes", n, s.index.Size())
			}
		})
	}
}

// A process may run from a file, or map it: nothing is written into it.
func TestRecycleWritesIntoNoFile(t *testing.T) {
	old := rewrite(t, archiveOf(item{name: "program", content: noise(3*memberSize, 1)}, item{name: "small", content: "old"}))
	s := rewrite(t, archiveOf(item{name: "program", content: noise(3*memberSize, 2)}, item{name: "small", content: "new"}))
	stage := newStage(t)
	if err := Restore(t.Context(), stage, Restoration{Index: old.index, Ranges: old.ranges(nil)}); err != nil {
		t.Fatal(err)
	}
	open := map[string]*os.File{}
	for _, name := range []string{"program", "small"} {
		f, err := stage.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		open[name] = f
	}
	if _, ok := recycle(t, stage, Restoration{Index: s.index, Ranges: s.ranges(nil)}); !ok {
		t.Fatal("the tree was not used")
	}
	for name, want := range map[string]string{"program": noise(3*memberSize, 1), "small": "old"} {
		if got, err := io.ReadAll(open[name]); err != nil || string(got) != want {
			t.Errorf("%s: what was open has changed, %v", name, err)
		}
	}
}

// cutRanges gives up after so many bytes in all, as a host does that is killed.
func cutRanges(s restored, after int64, read *atomic.Int64) Ranges {
	return func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		body := bytes.NewReader(s.packed[offset : offset+length])
		return io.NopCloser(readerFunc(func(b []byte) (int, error) {
			n, err := body.Read(b[:min(len(b), 32<<10)])
			if read.Add(int64(n)) > after {
				return 0, errCut
			}
			return n, err
		})), nil
	}
}

var errCut = errors.New("cut")

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// What was fetched before an end is not fetched again, up to the members that were under way.
func TestRestoreGoesOnWhereItWas(t *testing.T) {
	random := func(size int) string {
		b := make([]byte, size)
		rng := rand.NewChaCha8([32]byte{byte(size)})
		rng.Read(b)
		return string(b)
	}
	many := []item{{name: "./", flag: '5', mode: 0o755}}
	for _, dir := range []string{"", "0/", "1/", "2/"} {
		many = append(many, item{name: "dir/" + dir, flag: '5', mode: 0o755})
	}
	for i := range 300 {
		many = append(many, item{name: path.Join("dir", fmt.Sprint(i%3), fmt.Sprint(i)), content: random(40_000 + i)})
	}
	for name, tar := range map[string][]byte{
		"many files": archiveOf(many...),
		"one file":   archiveOf(many[0], item{name: "program", mode: 0o755, content: random(20 << 20)}),
		"a mix":      archiveOf(append(many[:100], item{name: "x", content: random(5 << 20)}, item{name: "y", content: random(5 << 20)})...),
	} {
		t.Run(name, func(t *testing.T) {
			s := rewrite(t, tar)
			want := newStage(t)
			if err := errors.Join(Restore(t.Context(), want, Restoration{Index: s.index, Ranges: s.ranges(nil)})); err != nil {
				t.Fatal(err)
			}
			stage := newStage(t)
			var read atomic.Int64
			const cuts = 4
			var kept *Kept
			for cut := range int64(cuts) {
				before := read.Load()
				var err error
				if kept, err = Recycle(t.Context(), stage, Recycling{Index: s.index, Fresh: newStage(t), Remove: removeIn(stage)}); err != nil {
					t.Fatal(err)
				}
				err = Restore(t.Context(), stage, Restoration{Index: s.index, Ranges: cutRanges(s, before+s.index.Size()/5, &read), Kept: kept})
				if !errors.Is(err, errCut) {
					t.Fatalf("cut %d: got %v", cut, err)
				}
			}
			got, ok := recycle(t, stage, Restoration{Index: s.index, Ranges: cutRanges(s, 1<<40, &read)})
			if !ok {
				t.Fatal("the stage was not used")
			}
			sameFully(t, got.Name(), want.Name())
			underWay := int64(cuts * connections * memberSize)
			if n := read.Load(); n > s.index.Size()+underWay {
				t.Errorf("read %d bytes of %d, %d more than were under way", n, s.index.Size(), n-s.index.Size()-underWay)
			}
			t.Logf("%d bytes, %.1f %% of them twice", s.index.Size(), 100*float64(read.Load()-s.index.Size())/float64(s.index.Size()))
		})
	}
}

// Pieces that never reached the disk, or were changed there, are fetched.
func TestRestoreDoesNotBelieveTheTable(t *testing.T) {
	content := noise(6*memberSize+1000, 3)
	s := rewrite(t, archiveOf(item{name: "program", mode: 0o755, content: content}))
	for name, spoil := range map[string]func(f *os.File, size int64) error{
		"a piece of zeros": func(f *os.File, _ int64) error { return unixPunch(f, memberSize, memberSize) },
		"no table":         func(f *os.File, _ int64) error { return f.Truncate(int64(len(content))) },
		"a short table":    func(f *os.File, size int64) error { return f.Truncate(size - 1) },
		"a long table":     func(f *os.File, size int64) error { return f.Truncate(size + 64) },
		"nothing":          func(f *os.File, _ int64) error { return f.Truncate(0) },
		"a changed piece with its checksum": func(f *os.File, _ int64) error {
			other := []byte(noise(memberSize, 9))
			e := &listed(t, s.index).Entries[0]
			for number := range 6 { // as one of them is there
				p := piece{number: number, offset: int64(number) * memberSize}
				if err := (outFile{int(f.Fd())}).writePiece(e, p, other); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			stage := newStage(t)
			var read atomic.Int64
			if err := Restore(t.Context(), stage, Restoration{Index: s.index, Ranges: cutRanges(s, s.index.Size()*2/3, &read)}); !errors.Is(err, errCut) {
				t.Fatalf("got %v", err)
			}
			f, err := stage.OpenFile("program", os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat()
			if err := errors.Join(err, spoil(f, info.Size()), f.Close()); err != nil {
				t.Fatal(err)
			}
			got, _ := recycle(t, stage, Restoration{Index: s.index, Ranges: s.ranges(nil)})
			if b, err := got.ReadFile("program"); err != nil || string(b) != content {
				t.Errorf("got %d bytes that differ, %v", len(b), err)
			}
		})
	}
}

func unixPunch(f *os.File, offset, size int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, size)
}

// Once it is to end, it does, and says why.
func TestRecycleEndsWithItsContext(t *testing.T) {
	s := rewrite(t, sampleTar())
	stage := newStage(t)
	why := errors.New("the reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := Recycle(ctx, stage, Recycling{Index: s.index, Fresh: newStage(t), Remove: removeIn(stage)}); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}
