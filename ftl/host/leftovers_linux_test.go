package host

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl/host/tree"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
)

// Neither can be moved, nor deleted.
func TestRevisionThatCannotBeMovedIsEmptiedInItsPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: making a revision that can't be moved takes root")
	}
	for name, pin := range map[string]func(t *testing.T, dir string){"mount": mount, "immutable file": immutable} {
		t.Run(name, func(t *testing.T) {
			p := newPackage(t)
			r := letter(t, "a")
			dir := p.RevisionDir(r)
			if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
				t.Fatal(err)
			}
			pin(t, dir)
			p.host.Report = func(event ftl.Event) { t.Logf("%v", event) }
			if err := p.host.Remove(t.Context(), r, RemoveOptions{}); err == nil || !strings.Contains(err.Error(), "can't be deleted") {
				t.Errorf("got %v, want that it can't be deleted", err)
			}
			if left := p.ReadLeftovers(); len(left.Trees) != 1 {
				t.Errorf("got %v, want one", left.Trees)
			}
		})
	}
}

func mount(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("NOT TESTED: bind mount: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, 0) })
}

func immutable(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "sub", "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: chattr +i: %v: %s", err, output)
	}
	t.Cleanup(func() {
		filepath.WalkDir(filepath.Dir(filepath.Dir(dir)), func(path string, entry os.DirEntry, err error) error {
			exec.Command("chattr", "-i", path).Run()
			return err
		})
	})
}

// What stays of a removed package is told once a day too.
func TestRemovedPackageThatCannotBeDeleted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: making files that can't be deleted takes root")
	}
	p := newPackage(t)
	gone := filepath.Join(p.host.Root, tree.GoneName(p.Name.String()))
	if err := os.MkdirAll(filepath.Join(gone, "revs", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	mount(t, filepath.Join(gone, "revs", "x"))
	for i, want := range []bool{true, false, false} {
		err := p.host.finishRemovals(t.Context(), true)
		if told := errors.Is(err, unix.EBUSY); told != want || err != nil != want {
			t.Errorf("%d: got %v, want told %v", i, err, want)
		}
	}
	if err := p.host.finishRemovals(t.Context(), false); !errors.Is(err, unix.EBUSY) {
		t.Errorf("by hand: got %v, want busy", err)
	}
}

// A tree that is deeper than a path may be long, and than files may be open.
func TestDeepTreeIsSwept(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: min(was.Max, 1024), Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &was) })
	p := newPackage(t)
	dir, err := unix.Open(p.Trash(), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for level := 0; level < 5000 && err == nil; level++ {
		below := -1
		if err = unix.Mkdirat(dir, "deep", 0o755); err == nil {
			below, err = unix.Openat(dir, "deep", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		unix.Close(dir)
		dir = below
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(dir)
	wantSwept(t, p)
}

// On an overlay a directory of a lower layer can't be renamed.
func TestRevisionOfALowerLayerIsDeletedInItsPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: mounting an overlay takes root")
	}
	p, r := newPackage(t), letter(t, "a")
	if err := os.MkdirAll(filepath.Join(p.RevisionDir(r), "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	layers := t.TempDir()
	upper, work := filepath.Join(layers, "upper"), filepath.Join(layers, "work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
		t.Fatal(err)
	}
	options := "redirect_dir=off,lowerdir=" + p.host.Root + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", p.host.Root, "overlay", 0, options); err != nil {
		t.Skipf("NOT TESTED: mount an overlay: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(p.host.Root, 0) })
	if err := p.host.Remove(t.Context(), r, RemoveOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(p.RevisionDir(r)); err == nil {
		t.Error("it is still there")
	}
}
