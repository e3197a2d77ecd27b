package directory_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rhettg/ftl/ftl/internal/directory"
)

// The lock is on the open file: opened twice, also by one process, it is two.
func TestTryLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{path, filepath.Dir(path)} {
		try := func() (*os.File, bool) {
			t.Helper()
			file, err := os.Open(of)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { file.Close() })
			locked, err := directory.TryLock(file)
			if err != nil {
				t.Fatal(err)
			}
			return file, locked
		}
		first, locked := try()
		if !locked {
			t.Errorf("%s: the first can't lock it", of)
		}
		if _, locked := try(); locked {
			t.Errorf("%s: two have locked it", of)
		}
		first.Close()
		if _, locked := try(); !locked {
			t.Errorf("%s: it is locked although it was closed", of)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	if locked, err := directory.TryLock(file); locked || err == nil {
		t.Errorf("of a closed file: got %v, %v, want an error", locked, err)
	}
}
