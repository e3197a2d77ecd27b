package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"
)

// everyForm is one archive in each form that holds a tree.
func everyForm(content []byte) map[Form][]byte {
	return map[Form][]byte{Tar: content, TarGzip: gzipOf(content), TarZstd: zstdOf(content)}
}

func TestScanShowsEntries(t *testing.T) {
	content := archiveOf(
		item{name: "./", flag: tar.TypeDir, mode: 0o700},
		item{name: "./ftl/post-sync", mode: 0o4777, content: "#!/bin/sh\n"},
		item{name: "current", flag: tar.TypeSymlink, link: "/etc"},
		item{name: "again", flag: tar.TypeLink, link: "./ftl/post-sync", mode: 0o755},
	)
	want := []Entry{
		{Name: ".", Mode: fs.ModeDir | 0o700, ModTime: someTime},
		{Name: "ftl/post-sync", Mode: 0o755, Size: 10, ModTime: someTime},
		{Name: "current", Mode: fs.ModeSymlink | 0o777, Link: "/etc", ModTime: someTime},
		{Name: "again", Mode: 0o755, Link: "ftl/post-sync", ModTime: someTime},
	}
	for form, content := range everyForm(content) {
		var got []Entry
		sum, err := Scan(t.Context(), Packed{Content: bytes.NewReader(content), Form: form}, func(e Visited) (Head, error) {
			got = append(got, e.Entry)
			return Head{}, nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", form, got, err, want)
		}
		if sum != (Totals{Entries: 4, Bytes: 10}) {
			t.Errorf("%s: got %v, want 4 entries (one is the directory ftl) and 10 bytes", form, sum)
		}
	}
}

func TestScanReturnsVisitError(t *testing.T) {
	stop := errors.New("stop")
	_, err := Scan(t.Context(), Packed{Content: bytes.NewReader(archiveOf(hello)), Form: Tar}, func(Visited) (Head, error) { return Head{}, stop })
	if err != stop {
		t.Errorf("got %v, want the visitor's error", err)
	}
	_, err = Scan(t.Context(), Packed{Content: bytes.NewReader(archiveOf(hello)), Form: Tar}, func(Visited) (Head, error) {
		return Head{Size: 1, Take: func([]byte) error { return stop }}, nil
	})
	if err != stop {
		t.Errorf("got %v, want the error of what gets the beginning of a file", err)
	}
}

// A connection that breaks is not a bad archive, wherever it breaks and whatever the error is.
func TestSourceErrorsKeepTheirIdentity(t *testing.T) {
	content := archiveOf(hello, item{name: "big", content: strings.Repeat("0123456789", 10_000)})
	for _, cause := range []error{errors.New("reset"), io.ErrUnexpectedEOF, io.ErrClosedPipe} {
		for form, content := range everyForm(content) {
			for cut := 0; cut <= len(content); cut += max(1, len(content)/40) {
				broken := func() io.Reader { return io.MultiReader(bytes.NewReader(content[:cut]), iotest.ErrReader(cause)) }
				_, err := Scan(t.Context(), Packed{Content: broken(), Form: form}, nil)
				if !errors.Is(err, cause) || errors.Is(err, ErrInvalid) {
					t.Errorf("Scan of %s, broken at %d: got %v, want %v", form, cut, err, cause)
				}
				err = Unpack(t.Context(), Packed{Content: broken(), Form: form}, newStage(t), unlimited)
				if !errors.Is(err, cause) || errors.Is(err, ErrInvalid) {
					t.Errorf("Unpack of %s, broken at %d: got %v, want %v", form, cut, err, cause)
				}
			}
		}
	}
}

// An archive that is cut off is a bad archive, and never looks like a broken connection.
func TestCutArchives(t *testing.T) {
	content := archiveOf(hello, item{name: "big", content: strings.Repeat("0123456789", 1000)})
	for form, content := range everyForm(content) {
		for cut := 0; cut < len(content); cut += max(1, len(content)/300) {
			_, err := Scan(t.Context(), Packed{Content: bytes.NewReader(content[:cut]), Form: form}, nil)
			if !errors.Is(err, ErrInvalid) || errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, cut at %d: got %v, want ErrInvalid", form, cut, err)
			}
		}
	}
}

func TestCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for form, content := range everyForm(archiveOf(hello)) {
		err := Unpack(ctx, Packed{Content: bytes.NewReader(content), Form: form}, newStage(t), unlimited)
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want %v", form, err, context.Canceled)
		}
	}
}

// What the disk says is not the archive's fault: here that a name is taken in a stage that is not
// empty.
func TestDiskErrorsKeepTheirIdentity(t *testing.T) {
	for _, i := range []item{hello, {name: "hello", flag: tar.TypeDir}, {name: "hello", flag: tar.TypeSymlink, link: "x"}} {
		stage := newStage(t)
		if err := stage.Symlink("/nowhere", "hello"); err != nil {
			t.Fatal(err)
		}
		err := Unpack(t.Context(), Packed{Content: bytes.NewReader(archiveOf(i)), Form: Tar}, stage, Totals{1, int64(len(i.content))})
		if !errors.Is(err, fs.ErrExist) || errors.Is(err, ErrInvalid) {
			t.Errorf("%v: got %v, want %v", i, err, fs.ErrExist)
		}
	}
}

// Modes do not depend on the umask.
func TestUmask(t *testing.T) {
	content := archiveOf(item{name: "d/", flag: tar.TypeDir, mode: 0o775}, item{name: "d/f", mode: 0o777, content: "x"},
		item{name: "e/f", mode: 0o604, content: "x"})
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		stage := newStage(t)
		old := syscall.Umask(umask)
		err := Unpack(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, stage, Totals{4, 2})
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]fs.FileMode{".": 0o755, "d": 0o755, "d/f": 0o755, "e": 0o755, "e/f": 0o604} {
			if i, err := stage.Lstat(name); err != nil || i.Mode().Perm() != want {
				t.Errorf("umask %03o, %s: got %v, %v, want %v", umask, name, i.Mode(), err, want)
			}
		}
	}
}

// Whatever an archive says of its top directory, the owner can still work in the revision.
func TestTopDirectoryStaysWritable(t *testing.T) {
	stage := newStage(t)
	content := archiveOf(item{name: "./", flag: tar.TypeDir, mode: 0o1555}, hello)
	if err := Unpack(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, stage, Totals{1, 6}); err != nil {
		t.Fatal(err)
	}
	i, err := os.Stat(stage.Name())
	if err != nil || i.Mode().Perm() != 0o755 || !i.ModTime().Equal(someTime) {
		t.Errorf("got %v, %v, %v, want -rwxr-xr-x and %v", i.Mode(), i.ModTime(), err, someTime)
	}
}

func TestTimesAreClamped(t *testing.T) {
	for record, want := range map[string]time.Time{
		"mtime=-5000000000":                 minTime,
		"mtime=99999999999":                 maxTime,
		"mtime=1234567890.5":                time.Unix(1234567890, 5e8),
		"mtime=999999999999999999999999999": {},
	} {
		stage := newStage(t)
		content := (&tarball{}).pax('x', record).add(hello).end()
		err := Unpack(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, stage, Totals{1, 6})
		if want.IsZero() != errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v", record, err)
			continue
		}
		if i, err := stage.Stat("hello"); err == nil && !i.ModTime().Equal(want) {
			t.Errorf("%s: got %v, want %v", record, i.ModTime(), want)
		}
	}
}

func TestSymlinkTime(t *testing.T) {
	stage := newStage(t)
	content := archiveOf(item{name: "l", flag: tar.TypeSymlink, link: "../victim"})
	victim := filepath.Join(filepath.Dir(stage.Name()), "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, stage, Totals{1, 0}); err != nil {
		t.Fatal(err)
	}
	if i, err := stage.Lstat("l"); err != nil || !i.ModTime().Equal(someTime) {
		t.Errorf("link: got %v, %v, want %v", i.ModTime(), err, someTime)
	}
	if i, err := os.Stat(victim); err != nil || i.ModTime().Equal(someTime) {
		t.Errorf("what it points to: got %v, %v, want it unchanged", i.ModTime(), err)
	}
}

// More directories than are kept open, entered in an order that defeats keeping them.
func TestManyDirectories(t *testing.T) {
	var items []item
	for range 2 {
		for i := range 2 * openHandles {
			dir := "top/" + strings.Repeat("d/", i) + "d" + itoa(i+1)
			items = append(items, item{name: dir + "/" + itoa(len(items)+1), content: "x"})
		}
	}
	content := archiveOf(items...)
	sum, err := Scan(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stage := newStage(t)
	files := openFiles(t)
	if err := Unpack(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, stage, sum); err != nil {
		t.Fatal(err)
	}
	if got := openFiles(t); got != files {
		t.Errorf("%d files are open, want %d", got, files)
	}
	checkAsGNU(t, stage.Name(), hostile{content: content})
}

func TestUnpackSingleFile(t *testing.T) {
	text := []byte("#!/bin/sh\n")
	for form, content := range map[Form][]byte{Raw: text, Gzip: gzipOf(text[:4], text[4:]), Zstd: zstdOf(text)} {
		sum, err := Scan(t.Context(), Packed{Content: bytes.NewReader(content), Form: form}, nil)
		if err != nil || sum != (Totals{1, 10}) {
			t.Fatalf("%s: got %v, %v, want 1 entry of 10 bytes", form, sum, err)
		}
		for mode, want := range map[fs.FileMode]fs.FileMode{0: 0o644, 0o4777: 0o755, 0o600: 0o600} {
			stage := newStage(t)
			err = Unpack(t.Context(), Packed{bytes.NewReader(content), form, File{Name: "tool.linux", Mode: mode}}, stage, sum)
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			got, err := stage.ReadFile("tool.linux")
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s: got %q, %v, want %q", form, got, err, text)
			}
			if i, _ := stage.Stat("tool.linux"); i.Mode() != want {
				t.Errorf("%s: got mode %v, want %v", form, i.Mode(), want)
			}
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "/a", "a/", "a\nb"} {
		err := Unpack(t.Context(), Packed{bytes.NewReader(text), Raw, File{Name: name}}, newStage(t), Totals{1, 10})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("name %q: got %v, want a refusal", name, err)
		}
	}
}

// What zstd --long writes is accepted, a larger window is not.
func TestZstdWindow(t *testing.T) {
	set(t, &maxWindow, 1<<20)
	content := archiveOf(item{name: "big", content: strings.Repeat("0123456789abcdef", 1<<18)})
	for window, refusal := range map[int]string{1 << 20: "", 1 << 21: "--long"} {
		var b bytes.Buffer
		z, err := zstd.NewWriter(&b, zstd.WithWindowSize(window))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.ReadFrom(iotest.OneByteReader(bytes.NewReader(content))); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = Scan(t.Context(), Packed{Content: &b, Form: TarZstd}, nil)
		hostile{refusal: refusal}.check(t, "Scan", err)
	}
}
