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
		if err := durable.WriteFile(path, []byte(content), 0o644); err != nil {
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
	if err := durable.WriteFile(filepath.Join(dir, "state"), []byte("whole"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, "state")
}

func TestWriteFileIntoMissingDirectory(t *testing.T) {
	err := durable.WriteFile(filepath.Join(t.TempDir(), "no", "state"), nil, 0o644)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

// The original tool removed the link and then made the new one: whoever looked
// between the two found no active revision.
func TestReplaceLinkIsNeverAbsent(t *testing.T) {
	link := filepath.Join(t.TempDir(), "current")
	if err := durable.ReplaceLink("revs/0", link); err != nil {
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
		if err := durable.ReplaceLink("revs/"+string(rune('0'+i%10)), link); err != nil {
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
	if err := durable.ReplaceLink("revs/1", filepath.Join(dir, "current")); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "current")); err != nil || target != "revs/1" {
		t.Errorf("got %q, %v", target, err)
	}
	wantNames(t, dir, "current")
}

func TestReplaceLinkKeepsWhatIsNoLink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "current")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := durable.ReplaceLink("revs/1", path); err == nil {
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
	if err := durable.RenameNew(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto an empty directory: got %v, want exists", err)
	}
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := durable.RenameNew(from, to); err != nil {
		t.Error(err)
	}
	wantNames(t, dir, "to")
}

func TestSyncTree(t *testing.T) {
	if err := durable.SyncTree(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := durable.SyncTree(filepath.Join(t.TempDir(), "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a missing directory: got %v, want not exist", err)
	}
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
	b, err := durable.WriteBehind(dir)
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
	if _, err := durable.WriteBehind(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) && runtime.GOOS == "linux" {
		t.Errorf("of a missing directory: got %v, want ErrNotExist", err)
	}
}
