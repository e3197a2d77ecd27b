package hooks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCandidates(t *testing.T) {
	for name, want := range map[Name][]string{
		PreJump: {"ftl/pre-jump", "ftl/pre-jump.sh", "pre-jump.sh"},
		PostSync: {"ftl/post-sync", "ftl/post-sync.sh", "post-sync.sh",
			"ftl/post-spool", "ftl/post-spool.sh", "post-spool.sh"},
		Check:  {"ftl/check", "ftl/check.sh"},
		Failed: {"ftl/failed", "ftl/failed.sh"},
	} {
		if got := Candidates(name); !slices.Equal(got, want) {
			t.Errorf("Candidates(%s) = %q, want %q", name, got, want)
		}
	}
}

func TestFindTakesTheFirstCandidate(t *testing.T) {
	for _, name := range Names() {
		dir := t.TempDir()
		candidates := Candidates(name)
		for _, want := range slices.Backward(candidates) {
			writeFile(t, filepath.Join(dir, want), "", 0o755)
			got, err := Find(open(t, dir), name)
			if err != nil || got.Path != want {
				t.Errorf("Find(%s) = %+v, %v; want %s", name, got, err, want)
			}
		}
	}
}

func TestFindAbsent(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	writeFile(t, plain, "not a directory", 0o755)
	program := filepath.Join(dir, "program")
	writeFile(t, filepath.Join(program, "ftl"), "a file where the folder would be", 0o755)
	topLevel := filepath.Join(dir, "top")
	writeFile(t, filepath.Join(topLevel, "post-sync"), "not where hooks are", 0o755)

	for _, revision := range []string{dir, plain, program, topLevel} {
		if s, err := Find(open(t, revision), PostSync); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Find in %s = %+v, %v; want fs.ErrNotExist", filepath.Base(revision), s, err)
		}
	}
}

func TestFindRefuses(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	writeFile(t, elsewhere, "", 0o755)
	symlink := func(target string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"not executable", func(t *testing.T, path string) { writeFile(t, path, "", 0o644) }, "chmod +x ftl/post-sync"},
		{"executable for others", func(t *testing.T, path string) { writeFile(t, path, "", 0o655) }, "chmod +x ftl/post-sync"},
		{"symlink", symlink(elsewhere), "ftl/post-sync is a symbolic link"},
		{"dangling symlink", symlink("nowhere"), "ftl/post-sync is a symbolic link"},
		{"directory", func(t *testing.T, path string) { writeFile(t, path+"/x", "", 0o755) }, "not a regular file"},
		{"fifo", makeFifo, "not a regular file"},
		{"symlink to itself", symlink("post-sync"), "ftl/post-sync is a symbolic link"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "post-sync.sh"), "", 0o755) // must not be fallen back to
			if err := os.Mkdir(filepath.Join(dir, "ftl"), 0o755); err != nil {
				t.Fatal(err)
			}
			test.make(t, filepath.Join(dir, "ftl", "post-sync"))
			wantRefusal(t, dir, test.want)
		})
	}
	t.Run("folder is a symlink", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "real", "post-sync"), "", 0o755)
		symlink("real")(t, filepath.Join(dir, "ftl"))
		wantRefusal(t, dir, "ftl is a symbolic link")
	})
	t.Run("missing revision", func(t *testing.T) {
		_, err := Open(filepath.Join(t.TempDir(), "gone"))
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "the revision is missing") {
			t.Errorf("Open = %v; want that the revision is missing", err)
		}
	})
	t.Run("revision is a symlink", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "link")
		symlink(newRevision(t, ""))(t, link)
		if f, err := Open(link); err == nil {
			t.Errorf("Open = %v; want an error", f)
		}
	})
	t.Run("other owner", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("NOT TESTED: only root can give a file away")
		}
		dir := newRevision(t, "")
		if err := os.Chown(filepath.Join(dir, "ftl", "post-sync"), 12345, -1); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, dir, "belongs to user 12345")
	})
	for _, path := range []string{"", "ftl", "ftl/post-sync"} {
		t.Run("others may write to "+path, func(t *testing.T) {
			for _, mode := range []os.FileMode{0o757, 0o775} {
				dir := newRevision(t, "")
				if os.Geteuid() == 0 { // root's own group is root
					if err := os.Chown(filepath.Join(dir, path), -1, 12345); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.Chmod(filepath.Join(dir, path), mode); err != nil {
					t.Fatal(err)
				}
				wantRefusal(t, dir, "can be written to by others")
			}
		})
	}
}

func wantRefusal(t *testing.T, dir, want string) {
	t.Helper()
	s, err := Find(open(t, dir), PostSync)
	if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), want) {
		t.Errorf("Find = %+v, %v; want an error with %q", s, err, want)
	}
}
