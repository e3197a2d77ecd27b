package host

import (
	"os"
	"path/filepath"
	"testing"
)

// What an interrupted sync has left under a revision's name is gone when the
// next one ends, not one later.
func TestPlaceLeavesNothingOfAnOlderTree(t *testing.T) {
	p := &syncing{holding: holding{pkg: newPackage(t)}}
	r := letter(t, "a")
	stage := filepath.Join(p.Stage(), "new")
	for dir, file := range map[string]string{p.RevisionDir(r): "old", stage: "new"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.place(t.Context(), r, stage); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]int{p.Stage(): 0, p.Trash(): 0, p.RevisionDir(r): 1} {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != want {
			t.Errorf("%s has %v, %v, want %d entries", dir, entries, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(p.RevisionDir(r), "new")); err != nil {
		t.Error(err)
	}
}
