package directory_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/internal/directory"
)

// What somebody else could put in the place of a file neither blocks, nor leads elsewhere, nor
// fills the memory.
func TestReadFile(t *testing.T) {
	const limit = 1 << 10
	tests := []struct {
		name string
		make func(path string) error
		want string // what the error says, "" is that it is read
	}{
		{"a file", func(path string) error { return os.WriteFile(path, []byte("text"), 0o644) }, ""},
		{"an empty file", func(path string) error { return os.WriteFile(path, nil, 0o644) }, ""},
		{"as much as may be", func(path string) error { return os.WriteFile(path, make([]byte, limit), 0o644) }, ""},
		{"a byte more", func(path string) error { return os.WriteFile(path, make([]byte, limit+1), 0o644) }, "more than 1024 bytes"},
		{"a sparse file", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40))
		}, "more than 1024 bytes"},
		{"a link to a file", func(path string) error { return os.Symlink("/etc/hostname", path) }, "is a symbolic link"},
		{"a link to a device", func(path string) error { return os.Symlink("/dev/zero", path) }, "is a symbolic link"},
		{"a fifo", func(path string) error { return unix.Mkfifo(path, 0o644) }, "is a fifo"},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o755) }, "is a directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			dir := open(t, filepath.Dir(path))
			data, err := dir.ReadFile("file", limit)
			if test.want == "" {
				if want, _ := os.ReadFile(path); err != nil || string(data) != string(want) {
					t.Errorf("got %q, %v, want %q", data, err, want)
				}
				return
			}
			if _, ours := errors.AsType[*directory.FileError](err); !ours || !strings.Contains(err.Error(), path+" ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q of %s", err, test.want, path)
			}
		})
	}
	if _, err := open(t, t.TempDir()).ReadFile("file", limit); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: got %v, want not exist", err)
	}
}

// A path is resolved once: a directory that takes the place of the one that is open is not met.
func TestReadFileInADirectoryThatWasExchanged(t *testing.T) {
	top := t.TempDir()
	path := filepath.Join(top, "dir")
	for name, text := range map[string]string{"dir": "mine", "other": "theirs"} {
		if err := os.Mkdir(filepath.Join(top, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(top, name, "file"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := open(t, path)
	if err := errors.Join(os.Rename(path, path+".old"), os.Rename(filepath.Join(top, "other"), path)); err != nil {
		t.Fatal(err)
	}
	if got, err := dir.ReadFile("file", 100); err != nil || string(got) != "mine" {
		t.Errorf("got %q, %v, want what was there when it was opened", got, err)
	}
}

func TestReadFileOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const somebody, other = 12345, 12346
	for _, test := range []struct {
		dir, file int
		want      bool
	}{
		{0, 0, true}, {somebody, somebody, true}, {somebody, 0, false}, {0, somebody, false}, {somebody, other, false},
	} {
		if err := errors.Join(os.Chown(filepath.Dir(path), test.dir, 0), os.Chown(path, test.file, 0)); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, filepath.Dir(path)).ReadFile("file", 100)
		if _, refused := errors.AsType[*directory.FileError](err); refused == test.want || !refused && err != nil {
			t.Errorf("a file of %d in a directory of %d: got %v", test.file, test.dir, err)
		}
	}
}

func TestOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	dir := open(t, filepath.Dir(path))
	add := func(flags int) {
		t.Helper()
		file, err := dir.OpenFile("file", flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString("line\n"); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		flags int
		want  string
	}{
		{os.O_WRONLY | os.O_CREATE | os.O_APPEND, "line\n"},
		{os.O_WRONLY | os.O_CREATE | os.O_APPEND, "line\nline\n"},
		{os.O_WRONLY | os.O_TRUNC, "line\n"},
	} {
		add(step.flags)
		if got, err := os.ReadFile(path); err != nil || string(got) != step.want {
			t.Errorf("got %q, %v, want %q", got, err, step.want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want 0600", info.Mode(), err)
	}
	if _, err := dir.OpenFile("file", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: got %v, want exists", err)
	}

	// What a link leads to is not emptied, nor is a file that is not ours.
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, filepath.Join(filepath.Dir(path), "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.OpenFile("link", os.O_WRONLY|os.O_TRUNC, 0); err == nil {
		t.Error("a link was followed")
	}
	if got, err := os.ReadFile(precious); err != nil || string(got) != "text" {
		t.Errorf("got %q, %v", got, err)
	}
}
