package directory_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/internal/directory"
)

func openTree(t *testing.T) (*directory.Tree, string) {
	t.Helper()
	path := t.TempDir()
	tree := directory.OpenTree(path)
	if err := tree.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree, path
}

// What is not a regular file is not opened: that alone may block, or do worse.
func TestOnlyRegularFilesAreOpened(t *testing.T) {
	tree, top := openTree(t)
	path := func(name string) string { return filepath.Join(top, name) }
	write(t, path("file"))
	write(t, filepath.Join(t.TempDir(), "outside"))
	if err := errors.Join(
		os.Mkdir(path("dir"), 0o755), unix.Mkfifo(path("fifo"), 0o600), os.Symlink("/dev/zero", path("zero")),
		os.Symlink("file", path("inside")), os.Symlink("nowhere", path("dangling")), os.Symlink(".", path("dot")),
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dir", "fifo", "zero", "inside", "dangling"} {
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY | os.O_APPEND | os.O_CREATE, os.O_RDWR | os.O_CREATE} {
			f, err := tree.OpenFile(path(name), flag, 0o600)
			if !isFileError(err) {
				t.Errorf("%s: got %v, %v, want a FileError", name, f, err)
			}
		}
	}
	for _, below := range []string{"dot/file", "inside/x", "zero/x", "fifo/x"} {
		if _, err := tree.ReadFile(path(below), 100); err == nil {
			t.Errorf("%s was read", below)
		}
	}
	wantGone(t, path("nowhere"))
	if text, err := tree.ReadFile(path("file"), 100); err != nil || string(text) != "text" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := tree.ReadFile(path("missing"), 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v", err)
	}
	if _, err := tree.ReadFile("/etc/passwd", 1<<20); err == nil {
		t.Error("a file that is not in the tree was read")
	}
}

func TestReadFileHasALimit(t *testing.T) {
	tree, top := openTree(t)
	path := filepath.Join(top, "file")
	write(t, path)
	if _, err := tree.ReadFile(path, 4); err != nil {
		t.Error(err)
	}
	if _, err := tree.ReadFile(path, 3); !isFileError(err) {
		t.Errorf("got %v, want a FileError", err)
	}
	if err := os.Truncate(path, 2<<30); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.ReadFile(path, 1<<10); !isFileError(err) {
		t.Errorf("a sparse file: got %v, want a FileError", err)
	}
	if tail, err := tree.ReadTail(path, 1<<10); err != nil || len(tail) != 1<<10 {
		t.Errorf("got %d bytes, %v", len(tail), err)
	}
}

// A hard link to a file of root's lies where a file of the tree should.
func TestFilesOfOthersAreNotOpened(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: giving files away takes root")
	}
	tree, top := openTree(t)
	path := filepath.Join(top, "file")
	write(t, path)
	if err := os.Chown(path, 65534, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.ReadFile(path, 100); !isFileError(err) {
		t.Errorf("got %v, want a FileError", err)
	}
}

// Whatever is at its path by then, a tree is what was opened.
func TestTreeStaysWhatWasOpened(t *testing.T) {
	tree, path := openTree(t)
	write(t, filepath.Join(path, "sub", "one"))
	away := path + ".away"
	if err := errors.Join(os.Rename(path, away), os.MkdirAll(filepath.Join(path, "sub"), 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(away) })
	write(t, filepath.Join(path, "sub", "other"))

	if err := errors.Join(
		tree.WriteFile(filepath.Join(path, "state"), []byte("x"), 0o644), tree.Mkdir(filepath.Join(path, "dir"), 0o755),
		tree.ReplaceLink("sub/one", filepath.Join(path, "link")), tree.Rename(filepath.Join(path, "sub/one"), filepath.Join(path, "moved")),
		tree.RenameNew(filepath.Join(path, "moved"), filepath.Join(path, "dir/moved")), tree.SyncTree(path), tree.SyncDir(path),
		tree.RemoveAll(t.Context(), filepath.Join(path, "sub")),
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"state", "dir/moved", "link"} {
		if _, err := os.Lstat(filepath.Join(away, name)); err != nil {
			t.Error(err)
		}
		wantGone(t, filepath.Join(path, name))
	}
	wantGone(t, filepath.Join(away, "sub"))
	wantThere(t, filepath.Join(path, "sub", "other"))
}

func TestTreeThatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing")
	tree := directory.OpenTree(path)
	defer tree.Close()
	if _, err := tree.ReadFile(filepath.Join(path, "file"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
	if err := tree.Mkdir(filepath.Join(path, "dir"), 0o755); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

func isFileError(err error) bool {
	_, ok := errors.AsType[*directory.FileError](err)
	return ok
}
