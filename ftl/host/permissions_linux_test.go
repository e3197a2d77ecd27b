package host

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rhettg/ftl/ftl/host/tree"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

const nobody = 65534

// Whoever owns a directory on the way to a revision, or may write to it, could run anything. Each
// is refused by its name, and what the hint says helps when it is typed.
func TestUnsafeDirectoriesAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: giving directories away takes root")
	}
	above := filepath.Join(t.TempDir(), "it's a \"root\"")
	root := filepath.Join(above, "ftl")
	dir := filepath.Join(root, "pkg")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := (&Host{Root: root, Command: "ftl test", Warn: t.Logf}).open(letter(t, "a").Package())
	if err := p.begin(); err != nil {
		t.Fatal(err)
	}
	tree := []string{above, root, p.Revs(), p.Stage(), p.Trash(), p.Meta(), p.LogDir()}
	for name, unsafe := range map[string]struct {
		dirs []string
		make func(dir string) error
	}{
		"of another user":       {tree, func(dir string) error { return os.Chown(dir, nobody, 0) }},
		"writable by others":    {append(tree, dir), func(dir string) error { return os.Chmod(dir, 0o757) }},
		"writable by its group": {append(tree, dir), func(dir string) error { return errors.Join(os.Chown(dir, 0, nobody), os.Chmod(dir, 0o775)) }},
		"sticky":                {[]string{dir, p.Revs()}, func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) }},
	} {
		for _, dir := range unsafe.dirs {
			t.Run(name+"/"+filepath.Base(dir), func(t *testing.T) {
				if err := unsafe.make(dir); err != nil {
					t.Fatal(err)
				}
				err := p.begin()
				failure, ok := errors.AsType[*ftl.Error](err)
				if !ok || failure.Kind != ftl.Refused || !strings.Contains(err.Error(), dir+" ") {
					t.Fatalf("got %v, want that %s is refused", err, dir)
				}
				if output, err := exec.Command("sh", "-c", failure.Hint).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", failure.Hint, err, output)
				}
				if err := p.begin(); err != nil {
					t.Errorf("after %s: %v", failure.Hint, err)
				}
			})
		}
	}
	if err := os.Chmod(root, 0o777|os.ModeSticky); err != nil { // as /tmp is
		t.Fatal(err)
	}
	if err := p.begin(); err != nil {
		t.Errorf("below a sticky directory of root's: %v", err)
	}
}

// Nor is a link followed that somebody has put where a directory should be.
func TestLinksInATreeAreRefused(t *testing.T) {
	for _, name := range []string{"revs", "revs/.stage", "revs/.trash", ".ftl", ".ftl/log"} {
		p := newPackage(t)
		path := filepath.Join(p.Dir, name)
		if err := errors.Join(os.RemoveAll(path), os.Symlink(t.TempDir(), path)); err != nil {
			t.Fatal(err)
		}
		failure, ok := errors.AsType[*ftl.Error](p.begin())
		if !ok || failure.Kind != ftl.Refused || !strings.Contains(failure.Error(), path) {
			t.Errorf("%s: got %v, want a refusal", name, failure)
		}
	}
}

// Users other than root run ftl in what is theirs, below what is root's.
func TestTreeOfAUserIsAccepted(t *testing.T) {
	if os.Geteuid() == 0 {
		runAsNobody(t)
		return
	}
	p := newPackage(t)
	if err := p.begin(); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(p.host.Root, 0o757); err != nil {
		t.Fatal(err)
	}
	if failure, ok := errors.AsType[*ftl.Error](p.begin()); !ok || failure.Kind != ftl.Refused || !strings.HasPrefix(failure.Hint, "chmod go-w ") {
		t.Errorf("got %v, want that what others may write to is refused", failure)
	}
}

// The owner of the directory above exchanges the package's while root works in it.
func TestExchangedPackageRunsNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: an attack on root takes root")
	}
	p, r := newPackage(t), letter(t, "a")
	marker := filepath.Join(t.TempDir(), "owned")
	makeReady(t, p, r)
	evil := filepath.Join(p.host.Root, ".evil")
	if output, err := exec.Command("cp", "-a", p.Dir, evil).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	hook := filepath.Join(evil, "revs", r.ID(), "ftl", "pre-jump")
	if err := os.Mkdir(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\ntouch "+marker+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(p.host.Root, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	var attack sync.WaitGroup
	done := make(chan struct{})
	attack.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, p.Dir, unix.AT_FDCWD, evil, unix.RENAME_EXCHANGE)
			}
		}
	})
	for range 100 {
		err := p.host.Jump(t.Context(), r, JumpOptions{})
		if failure, ok := errors.AsType[*ftl.Error](err); !ok || failure.Kind != ftl.Refused {
			t.Errorf("got %v, want a refusal", err)
			break
		}
	}
	close(done)
	attack.Wait()
	if _, err := os.Lstat(marker); err == nil {
		t.Error("root has run what another user says")
	}
}

// makeReady makes a revision without hooks that can be jumped to.
func makeReady(t *testing.T, p *pkg, r revision.Revision) {
	t.Helper()
	if err := os.Mkdir(p.RevisionDir(r), 0o755); err != nil {
		t.Fatal(err)
	}
	err := p.update(t.Context(), 0, func(st *tree.State) { st.Ready[r] = tree.Ready{} })
	if err != nil {
		t.Fatal(err)
	}
}
