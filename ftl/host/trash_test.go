package host

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rhettg/ftl/ftl/host/tree"
)

// Root may write everywhere, so the test runs itself as somebody else.
func TestTreeThatItsOwnerMayNotWriteIsRemoved(t *testing.T) {
	if os.Geteuid() == 0 {
		runAsNobody(t)
		return
	}
	p := newPackage(t)
	tree := filepath.Join(p.Trash(), "tree")
	deep := filepath.Join(tree, "read-only", "deep")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "file"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(tree, "out")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{deep, filepath.Dir(deep), outside} {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	wantSwept(t, p)
	if _, err := os.Lstat(tree); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("what a link points to was changed: %v, %v", info, err)
	}
}

// runAsNobody runs the calling test in a process of another user.
func runAsNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	dir, err := os.MkdirTemp("/tmp", "ftl-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "test")
	data, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(binary, data, 0o755)
	}
	if err == nil {
		err = os.Chown(dir, nobody, nobody)
	}
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary, "-test.run=^"+t.Name()+"$", "-test.v")
	command.Dir, command.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	output, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, output)
	}
}

// A hook may make its own revision read-only. To move a directory to another
// one, its owner has to be allowed to write to it.
func TestReadOnlyRevisionIsDiscarded(t *testing.T) {
	if os.Geteuid() == 0 {
		runAsNobody(t)
		return
	}
	p := newPackage(t)
	r := letter(t, "a")
	if err := os.Mkdir(p.RevisionDir(r), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p.RevisionDir(r), 0o500); err != nil {
		t.Fatal(err)
	}
	if err := lockPackage(t, p).remove(t.Context(), r, leaving{}); err != nil {
		t.Fatal(err)
	}
	wantSwept(t, p)
}

// Whatever else is in the root is somebody else's.
func TestFinishRemovalsKeepsToItsOwn(t *testing.T) {
	p := newPackage(t)
	mine := filepath.Join(p.host.Root, tree.GoneName(p.Name.String()))
	others := []string{".backup.removed.d", ".a.removed.2026", "x.removed." + strings.Repeat("A", 26), ".b c.removed." + strings.Repeat("A", 26)}
	for _, name := range append(others, filepath.Base(mine)) {
		if err := os.Mkdir(filepath.Join(p.host.Root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.host.finishRemovals(t.Context(), false); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(mine); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was left of a removal is still there: %v", err)
	}
	for _, name := range others {
		if _, err := os.Lstat(filepath.Join(p.host.Root, name)); err != nil {
			t.Error(err)
		}
	}
}

func wantSwept(t *testing.T, p *pkg) {
	t.Helper()
	if left, err := p.sweep(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want nothing left", left, err)
	}
	for _, dir := range []string{p.Stage(), p.Trash()} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s has %v, %v", dir, entries, err)
		}
	}
}
