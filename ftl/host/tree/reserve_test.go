package tree

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReserveIsGivenUpOnce(t *testing.T) {
	p := newPackage(t)
	p.KeepReserve()
	wantReserve(t, p)
	calls := 0
	full := func() error { calls++; return &os.PathError{Op: "write", Path: "state.json", Err: unix.ENOSPC} }
	if err := p.WithReserve(full); !IsFull(err) || calls != 2 {
		t.Errorf("got %v after %d calls, want full after 2", err, calls)
	}
	if _, err := os.Lstat(p.Reserve.path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the reserve is still there: %v", err)
	}
	if err := p.WithReserve(full); !IsFull(err) || calls != 3 {
		t.Errorf("without a reserve: got %v after %d calls, want full after 3", err, calls)
	}
	p.KeepReserve()
	wantReserve(t, p)
}

// What an older ftl has set aside is one file.
func TestReserveOfAnOlderFtlIsReplaced(t *testing.T) {
	p := newPackage(t)
	if err := os.WriteFile(p.Reserve.path(), make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	p.KeepReserve()
	wantReserve(t, p)
}

func wantReserve(t *testing.T, p *Tree) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.Reserve.path(), "*"))
	if err != nil || len(files) != reserveFiles {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() != reserveFileSize {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
}
