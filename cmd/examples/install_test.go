package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestREADMEInstall builds ftl as the README says, from a checkout, in which
// "ftl" is a directory.
func TestREADMEInstall(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	install := exec.CommandContext(t.Context(), "sh", "-euc", block(t, string(readme), "sh install")+"command -v ftl && ftl version")
	install.Dir = repository
	install.Env = append(os.Environ(), "HOME="+home, "GOCACHE="+goEnv(t, "GOCACHE"), "GOPATH="+goEnv(t, "GOPATH"))
	out, err := install.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), filepath.Join(home, "bin/ftl")+"\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// block returns the only fenced block of a page with this info string.
func block(t *testing.T, page, info string) string {
	t.Helper()
	_, lines, _ := strings.Cut(page, "\n```"+info+"\n")
	lines, _, found := strings.Cut(lines, "\n```\n")
	if !found {
		t.Fatalf("there is no block %q", info)
	}
	return lines + "\n"
}

// goEnv asks the go command for a setting that HOME would change.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	value, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(value))
}
