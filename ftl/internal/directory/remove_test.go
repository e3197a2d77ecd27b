package directory_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/internal/directory"
)

func TestRemoveAll(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "kept"))
	dir := open(t, t.TempDir())
	tree := filepath.Join(dir.Path(), "tree")
	for i := range 3000 { // more than are read at once
		write(t, filepath.Join(tree, "many", fmt.Sprint(i)))
	}
	write(t, filepath.Join(tree, "a", "b", "file"))
	if err := errors.Join(os.Symlink(outside, filepath.Join(tree, "link")), unix.Mkfifo(filepath.Join(tree, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := dir.RemoveAll(t.Context(), "tree"); err != nil {
		t.Error(err)
	}
	wantGone(t, tree)
	wantThere(t, filepath.Join(outside, "kept"))

	for _, name := range []string{"tree", "no"} {
		if err := dir.RemoveAll(t.Context(), name); err != nil {
			t.Errorf("of what is not there: %v", err)
		}
	}
	write(t, filepath.Join(dir.Path(), "file"))
	if err := dir.RemoveAll(t.Context(), "file"); err != nil {
		t.Error(err)
	}
	if err := os.Symlink(outside, tree); err != nil {
		t.Fatal(err)
	}
	if err := dir.RemoveAll(t.Context(), "tree"); err != nil {
		t.Error(err)
	}
	wantGone(t, tree)
	wantThere(t, filepath.Join(outside, "kept"))
}

func TestRemoveAllOfADeepTreeNeedsFewOpenFiles(t *testing.T) {
	limitOpenFiles(t, 128)
	dir := open(t, t.TempDir())
	makeDeep(t, dir.Path(), 5000)
	if err := dir.RemoveAll(t.Context(), "deep"); err != nil {
		t.Error(err)
	}
	wantGone(t, filepath.Join(dir.Path(), "deep"))
}

func TestRemoveAllEndsWithItsContext(t *testing.T) {
	dir := open(t, t.TempDir())
	write(t, filepath.Join(dir.Path(), "tree", "file"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dir.RemoveAll(ctx, "tree"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	wantThere(t, filepath.Join(dir.Path(), "tree", "file"))
}

// makeDeep makes a chain of directories that is longer than any path may be.
func makeDeep(t *testing.T, dir string, levels int) {
	t.Helper()
	parent, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for i := 0; i < levels && err == nil; i++ {
		var next int
		if err = unix.Mkdirat(parent, "deep", 0o755); err == nil {
			next, err = unix.Openat(parent, "deep", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		unix.Close(parent)
		parent = next
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(parent)
}

func limitOpenFiles(t *testing.T, n uint64) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &was) })
}

func open(t *testing.T, path string) *directory.Dir {
	t.Helper()
	dir, err := directory.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", path, err)
	}
}

func wantThere(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

// wantStuck wants an error that names a path and a reason.
func wantStuck(t *testing.T, err error, path string, reason error) {
	t.Helper()
	stuck, ok := errors.AsType[*directory.StuckError](err)
	if !ok || stuck.Path != path || !errors.Is(stuck, reason) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want that %s can't be deleted: %v", err, path, reason)
	}
}
