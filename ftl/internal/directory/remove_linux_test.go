package directory_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// Each way in which root can't delete a file, or its owner can't. All the others go.
func TestRemoveAllLeavesWhatCannotBeDeleted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: making files that can't be deleted takes root")
	}
	t.Run("immutable", func(t *testing.T) {
		dir := open(t, t.TempDir())
		path := filepath.Join(dir.Path(), "tree", "sub", "immutable")
		write(t, path)
		write(t, filepath.Join(dir.Path(), "tree", "sub", "other"))
		makeImmutable(t, path)
		wantStuck(t, dir.RemoveAll(t.Context(), "tree"), path, unix.EPERM)
		wantThere(t, path)
		wantGone(t, filepath.Join(dir.Path(), "tree", "sub", "other"))
	})
	t.Run("mount", func(t *testing.T) {
		dir := open(t, t.TempDir())
		mounted, path := t.TempDir(), filepath.Join(dir.Path(), "tree", "data")
		write(t, filepath.Join(mounted, "kept"))
		write(t, filepath.Join(dir.Path(), "tree", "other"))
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(mounted, path, "", unix.MS_BIND, ""); err != nil {
			t.Skipf("NOT TESTED: bind mount: %v", err)
		}
		t.Cleanup(func() { unix.Unmount(path, 0) })
		wantStuck(t, dir.RemoveAll(t.Context(), "tree"), path, unix.EBUSY)
		wantThere(t, filepath.Join(mounted, "kept"))
		wantGone(t, filepath.Join(dir.Path(), "tree", "other"))
	})
	t.Run("of another user", func(t *testing.T) {
		dir := open(t, t.TempDir())
		path := filepath.Join(dir.Path(), "tree", "roots", "file")
		write(t, path)
		write(t, filepath.Join(dir.Path(), "tree", "other", "file"))
		if err := os.Mkdir(filepath.Join(dir.Path(), "tree", "empty"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, mine := range []string{"", "tree", "tree/other", "tree/other/file"} {
			if err := os.Chown(filepath.Join(dir.Path(), mine), nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		asNobody(t, func() { wantStuck(t, dir.RemoveAll(t.Context(), "tree"), path, unix.EACCES) })
		wantThere(t, path)
		wantGone(t, filepath.Join(dir.Path(), "tree", "other"))
		wantGone(t, filepath.Join(dir.Path(), "tree", "empty"))
	})
}

func TestRemoveAllOfWhatItsOwnerMayNotWrite(t *testing.T) {
	dir := open(t, t.TempDir())
	outside := t.TempDir()
	tree := filepath.Join(dir.Path(), "tree")
	deep := filepath.Join(tree, "read-only", "deep")
	write(t, filepath.Join(deep, "file"))
	if err := os.Symlink(outside, filepath.Join(tree, "out")); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{deep: 0, filepath.Dir(deep): 0o500, outside: 0o500} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		if err := dir.RemoveAll(t.Context(), "tree"); err != nil {
			t.Error(err)
		}
	}
	if os.Geteuid() == 0 { // who may write everywhere
		chown := func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, nobody, nobody))
		}
		if err := filepath.WalkDir(dir.Path(), chown); err != nil {
			t.Fatal(err)
		}
		asNobody(t, check)
	} else {
		check()
	}
	wantGone(t, tree)
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("what a link points to was changed: %v, %v", info, err)
	}
}

// asNobody calls f as a user who may do nothing, on a thread that ends with it.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that no other goroutine gets the thread
		_, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody)
		if errno == 0 {
			f()
			done <- nil
			return
		}
		done <- errno
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func makeImmutable(t *testing.T, path string) {
	t.Helper()
	if output, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: chattr +i: %v: %s", err, strings.TrimSpace(string(output)))
	}
	t.Cleanup(func() { exec.Command("chattr", "-i", path).Run() })
}

// Whoever owns a directory in a tree exchanges it for a link while the tree is deleted.
func TestRemoveAllIsNotLedElsewhere(t *testing.T) {
	outside := t.TempDir()
	kept := filepath.Join(outside, "kept")
	write(t, kept)
	dir := open(t, t.TempDir())
	link, sub := filepath.Join(dir.Path(), "link"), filepath.Join(dir.Path(), "tree", "sub")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var attack sync.WaitGroup
	attack.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, link, unix.AT_FDCWD, sub, unix.RENAME_EXCHANGE)
			}
		}
	})
	for range 300 {
		write(t, filepath.Join(dir.Path(), "tree", "file"))
		os.Mkdir(sub, 0o755) // unless the link is there just now
		dir.RemoveAll(t.Context(), "tree")
	}
	close(done)
	attack.Wait()
	wantThere(t, kept)
}
