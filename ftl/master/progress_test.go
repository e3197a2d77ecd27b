package master

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/store"
)

// Each step of a spool begins, moves to its end, and is said to have ended: of a directory, a file
// that is packed anew, and one that is not.
func TestSpoolTellsHowFarItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tool")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte(strings.Repeat("0123456789", 100_000)), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"directory": dir, "file": writeFile(t, "tool.txt", strings.Repeat("x", 1_000_000))} {
		t.Run(name, func(t *testing.T) {
			m := newMaster(t, openBucket(t))
			var steps []string
			m.Report = func(event ftl.Event) { steps = append(steps, fmt.Sprint(event.Step, " ", event.State)) }
			last := make(map[ftl.Step]ftl.Progress)
			m.Progress = func(now ftl.Progress) {
				if before := last[now.Step]; now.Done < before.Done || now.Total != before.Total && before.Total != 0 {
					t.Errorf("%+v after %+v", now, before)
				}
				last[now.Step] = now
			}
			r, err := m.Spool(t.Context(), path, SpoolOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"spool running", "pack running", "pack success", "upload running", "upload success", "spool success"}
			if !slices.Equal(steps, want) {
				t.Errorf("steps %q, want %q", steps, want)
			}
			manifest, err := m.Bucket.Manifest(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if pack := last[ftl.Pack]; pack.Done != 1_000_000 || pack.Total != 1_000_000 || pack.Package != r.Package() {
				t.Errorf("packed %+v, want a million bytes", pack)
			}
			if up := last[ftl.Upload]; up.Done != manifest.Size || up.Total != manifest.Size {
				t.Errorf("uploaded %+v, want %d bytes", up, manifest.Size)
			}
		})
	}
}

func TestSpoolTellsWhichStepHasFailed(t *testing.T) {
	broken := errors.New("broken")
	m := newMaster(t, &tap{Bucket: openBucket(t), put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		if strings.HasPrefix(key, "tool.") {
			return store.Object{}, broken
		}
		return put()
	}})
	var steps []string
	m.Report = func(event ftl.Event) { steps = append(steps, fmt.Sprint(event.Step, " ", event.State)) }
	_, err := m.Spool(t.Context(), writeFile(t, "tool.txt", "x"), SpoolOptions{})
	want := []string{"spool running", "pack running", "pack success", "upload running", "upload failure", "spool failure"}
	if !errors.Is(err, broken) || !slices.Equal(steps, want) {
		t.Errorf("got %v, %q, want %q", err, steps, want)
	}
}
