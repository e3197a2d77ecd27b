package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rhettg/ftl/ftl/durable"
)

func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, content := range []string{"one", "two, longer", ""} {
		if err := durable.WriteFile(root(t, filepath.Dir(path)), "state", []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("got %q, %v, want %q", got, err, content)
		}
	}
	wantNames(t, filepath.Dir(path), "state")
}

func TestWriteFileAfterACrashedWriter(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".state.tmp"), []byte("half"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(root(t, dir), "state", []byte("whole"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, "state")
}

func TestWriteFileIntoMissingDirectory(t *testing.T) {
	err := durable.WriteFile(root(t, t.TempDir()), "no/state", nil, 0o644)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

// The original tool removed the link and then made the new one: whoever looked between the two
// found no active revision.
func TestReplaceLinkIsNeverAbsent(t *testing.T) {
	link := filepath.Join(t.TempDir(), "current")
	in := root(t, filepath.Dir(link))
	if err := durable.ReplaceLink(in, "revs/0", "current"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			if target, err := os.Readlink(link); err != nil || !strings.HasPrefix(target, "revs/") {
				t.Errorf("readlink: %q, %v", target, err)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range 2000 {
		if err := durable.ReplaceLink(in, "revs/"+string(rune('0'+i%10)), "current"); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	reader.Wait()
	wantNames(t, filepath.Dir(link), "current")
}

// What each crash leaves must not add up.
func TestReplaceLinkAfterACrashedWriter(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("revs/0", filepath.Join(dir, ".current.tmp")); err != nil {
		t.Fatal(err)
	}
	if err := durable.ReplaceLink(root(t, dir), "revs/1", "current"); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "current")); err != nil || target != "revs/1" {
		t.Errorf("got %q, %v", target, err)
	}
	wantNames(t, dir, "current")
}

func TestRemoveLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "current")
	for _, left := range []string{path, filepath.Join(dir, ".current.tmp")} {
		if err := os.Symlink("revs/1", left); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time, nothing is there
		if err := durable.RemoveLink(root(t, dir), "current"); err != nil {
			t.Fatal(err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("left over: %v, %v", entries, err)
		}
	}
}

func TestReplaceLinkKeepsWhatIsNoLink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "current")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := durable.ReplaceLink(root(t, filepath.Dir(path)), "revs/1", "current"); err == nil {
		t.Error("a directory was replaced")
	}
	wantNames(t, filepath.Dir(path), "current")
}

func TestRenameNewRefusesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for _, path := range []string{from, to} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.RenameNew(root(t, dir), "from", "to"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto an empty directory: got %v, want exists", err)
	}
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := durable.RenameNew(root(t, dir), "from", "to"); err != nil {
		t.Error(err)
	}
	wantNames(t, dir, "to")
}

func TestSyncTree(t *testing.T) {
	if err := durable.SyncTree(root(t, t.TempDir()), "."); err != nil {
		t.Error(err)
	}
	if err := durable.SyncTree(root(t, t.TempDir()), "no"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a missing directory: got %v, want not exist", err)
	}
}

func root(t *testing.T, dir string) *os.Root {
	t.Helper()
	in, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestWriteBehind(t *testing.T) {
	dir := t.TempDir()
	b, err := durable.WriteBehind(root(t, dir), ".", 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for worker := range int64(4) {
		group.Go(func() {
			for i := range int64(100) {
				b.Wrote((4*i + worker) << 20)
			}
		})
	}
	group.Wait()
	if err := b.End(); err != nil {
		t.Errorf("End: %v", err)
	}
	if _, err := durable.WriteBehind(root(t, dir), "missing", 1); !errors.Is(err, fs.ErrNotExist) && runtime.GOOS == "linux" {
		t.Errorf("of a missing directory: got %v, want ErrNotExist", err)
	}
}
