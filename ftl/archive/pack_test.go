package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// write makes the files of a tree, and its directories.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func packed(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Pack(t.Context(), &b, dir, PackOptions{}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func names(t *testing.T, content []byte) (names []string, sum Totals) {
	t.Helper()
	sum, err := Scan(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, func(e Visited) (Head, error) {
		names = append(names, e.Name)
		return Head{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, sum
}

func TestPackRoundTrip(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"ftl/post-sync": "#!/bin/sh\n", "a-b": "1", "a/b": "2", "a.b": "3", "caf\xe9": "4", strings.Repeat("n", 255): "5",
		"zeros": strings.Repeat("\x00", 200_000), "empty": "", "sub/" + strings.Repeat("deep/", 30) + "f": "6",
	})
	for name, mode := range map[string]fs.FileMode{"ftl/post-sync": 0o755, "a": 0o700, "a-b": 0o444, "sub": 0o555} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "sub"), 0o755) })
	for link, to := range map[string]string{"abs": "/etc/passwd", "rel": "a/b", "out": "../..", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Unix(1_234_567_890, 0)
	for _, name := range []string{"a/b", "a", "ftl", "zeros"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	content := packed(t, dir)
	_, sum := names(t, content)
	stage := newStage(t)
	if err := Unpack(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, stage, sum); err != nil {
		t.Fatal(err)
	}
	got, want := settled(t, stage.Name())[1:], settled(t, dir)[1:]
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	checkAsGNU(t, stage.Name(), hostile{content: content, form: Tar})
}

func TestPackIsDeterministic(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	files := map[string]string{}
	for i := range 300 {
		files["d"+itoa(i%7+1)+"/f"+itoa(i+1)] = strings.Repeat(itoa(i+1)+" line\n", 20*i)
	}
	write(t, dir, files)
	write(t, other, files)
	old := time.Unix(1_234_567_890, 0)
	for _, top := range []string{dir, other} {
		filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chtimes(path, old, old.Add(700*time.Millisecond)))
		})
	}
	first := packed(t, dir)
	_, err := Scan(t.Context(), Packed{Content: bytes.NewReader(first), Form: Tar}, func(e Visited) (Head, error) {
		if !e.ModTime.Equal(old) {
			t.Errorf("%s: got %v, want the second that it began in, %v", e.Name, e.ModTime, old)
		}
		return Head{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, procs := range []int{1, 4} {
		before := runtime.GOMAXPROCS(procs)
		again := packed(t, other)
		runtime.GOMAXPROCS(before)
		if !bytes.Equal(again, first) {
			t.Errorf("%d processors: got other bytes from the same tree", procs)
		}
	}
}

func TestPackNames(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"b": "", "a/x": "", ".env": "", ".git/config": "", "sub/.git": "gitdir: ../x", "sub/.gitignore": "", "lib/.git/HEAD": "",
	})
	got, _ := names(t, packed(t, dir))
	want := []string{".env", "a", "a/x", "b", "lib", "sub", "sub/.gitignore"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPackHardLinksAsFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "text"})
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if got, sum := names(t, packed(t, dir)); sum != (Totals{2, 8}) {
		t.Errorf("got %q, %v, want two files of 4 bytes", got, sum)
	}
}

func TestPackRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		want string
		bad  bool // ErrInvalid
	}{
		"fifo":   {func(p string) error { return syscall.Mkfifo(p, 0o644) }, `"sub/fifo": it is a fifo`, true},
		"socket": {func(p string) error { return makeSocket(p) }, `"sub/socket": it is a socket`, true},
		"a\nb":   {func(p string) error { return os.WriteFile(p, nil, 0o644) }, "control character", true},
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"sub/ok": ""})
		if err := c.make(filepath.Join(dir, "sub", name)); err != nil {
			t.Fatal(err)
		}
		err := Pack(t.Context(), io.Discard, dir, PackOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrInvalid) != c.bad {
			t.Errorf("%q: got %v, want %q", name, err, c.want)
		}
	}
	empty := t.TempDir()
	write(t, empty, map[string]string{".git/config": ""})
	if err := Pack(t.Context(), io.Discard, empty, PackOptions{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("empty directory: got %v, want ErrInvalid", err)
	}
	if err := Pack(t.Context(), io.Discard, filepath.Join(empty, "nowhere"), PackOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: got %v, want %v", err, fs.ErrNotExist)
	}
}

func makeSocket(path string) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	return syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
}

// changing is a writer that changes a file as soon as something of it arrives.
type changing struct{ change func() }

func (c *changing) Write(p []byte) (int, error) {
	if c.change != nil {
		c.change()
		c.change = nil
	}
	return len(p), nil
}

func TestPackNoticesChanges(t *testing.T) {
	noise := make([]byte, 64<<20)
	state := uint64(1)
	for i := range noise {
		state = state*6364136223846793005 + 1442695040888963407
		noise[i] = byte(state >> 56)
	}
	for name, change := range map[string]func(path string) error{
		"grown": func(path string) error { return os.Truncate(path, 80<<20) },
		"cut":   func(path string) error { return os.Truncate(path, 60<<20) },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "log")
		if err := os.WriteFile(path, noise, 0o644); err != nil {
			t.Fatal(err)
		}
		err := Pack(t.Context(), &changing{func() { change(path) }}, dir, PackOptions{})
		if !errors.Is(err, errChanged) || !strings.Contains(err.Error(), `"log"`) {
			t.Errorf("%s: got %v, want %v", name, err, errChanged)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestPackReturnsCauses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "text"})
	if err := Pack(t.Context(), fullDisk{}, dir, PackOptions{}); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrInvalid) {
		t.Errorf("full disk: got %v, want %v", err, syscall.ENOSPC)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Pack(ctx, io.Discard, dir, PackOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
	}
}
