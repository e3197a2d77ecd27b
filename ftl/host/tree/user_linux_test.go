package tree_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// A process that works in a tree is found, wherever in the tree, also where a link leads to the
// root.
func TestUserOf(t *testing.T) {
	name, err := revision.ParsePackage("pkg")
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	root := filepath.Join(top, "root")
	if err := os.Symlink("real", root); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"used/deep", "used2", "idle"} {
		if err := os.MkdirAll(filepath.Join(top, "real", "pkg", "revs", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := tree.Open(root, name, tree.Options{})
	defer p.Close()
	revs := p.Revs()
	check := func(dir string, want int) {
		t.Helper()
		if pid, err := p.UserOf(filepath.Join(revs, dir)); err != nil || pid != want {
			t.Errorf("%s: got process %d, %v, want %d", dir, pid, err, want)
		}
	}
	check("used", 0)
	begin := func(script, dir string) *exec.Cmd {
		t.Helper()
		cmd := exec.Command("sh", "-c", script+"echo; read end")
		cmd.Dir = filepath.Join(revs, dir)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); cmd.Wait() })
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	working := begin("", "used/deep")
	check("used", working.Process.Pid)
	check("idle", 0)
	check("used2", 0)
	holding := begin("exec 3<used2; cd /; ", ".")
	check("used2", holding.Process.Pid)
	check("idle", 0)
}
