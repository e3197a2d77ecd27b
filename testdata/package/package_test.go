// Package packages tests the .deb and the .rpm. It is no part of "go test ./...",
// since nfpm, which makes them, takes a minute to build.
package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPackages builds the packages, looks into them, and installs and removes
// the .deb in a directory of its own.
func TestPackages(t *testing.T) {
	out := t.TempDir()
	build := exec.CommandContext(t.Context(), "bash", "build.sh", out, "1.2.3")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, text)
	}
	both := []string{
		"/usr/bin/ftl", "/etc/ftl/env",
		"/usr/lib/systemd/system/ftl-sync.service", "/usr/lib/systemd/system/ftl-sync.timer", "/usr/lib/systemd/system/ftl-agent.service",
		"/usr/lib/systemd/system/ftl-serve.service",
		"/usr/share/man/man1/ftl.1.gz", "/usr/share/man/man1/ftl-jump-back.1.gz", "/usr/share/man/man7/ftl-hooks.7.gz",
		"/usr/share/bash-completion/completions/ftl", "/usr/share/fish/vendor_completions.d/ftl.fish",
		"/usr/share/doc/ftl/README.md", "/usr/share/doc/ftl/crontab",
	}
	t.Run("deb", func(t *testing.T) {
		deb := onlyFile(t, out, "*.deb")
		contains(t, []string{"dpkg-deb", "-c", deb}, append(both, "/usr/share/zsh/vendor-completions/_ftl", "/usr/share/doc/ftl/copyright"))
		installDeb(t, deb)
	})
	t.Run("rpm", func(t *testing.T) {
		rpm := onlyFile(t, out, "*.rpm")
		contains(t, []string{"rpm", "-qpl", rpm}, append(both, "/usr/share/zsh/site-functions/_ftl", "/usr/share/licenses/ftl/LICENSE"))
	})
}

func onlyFile(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: found %v, %v", pattern, found, err)
	}
	return found[0]
}

// contains checks that a command lists these files.
func contains(t *testing.T, list, files []string) {
	t.Helper()
	if _, err := exec.LookPath(list[0]); err != nil {
		t.Skipf("NOT TESTED: %s is not here", list[0])
	}
	text, err := exec.Command(list[0], list[1:]...).Output()
	if err != nil {
		t.Fatalf("%v: %v", list, err)
	}
	words := strings.Fields(string(text))
	for _, file := range files {
		if !slices.Contains(words, file) && !slices.Contains(words, "."+file) {
			t.Errorf("%s has no %s", filepath.Base(list[len(list)-1]), file)
		}
	}
}

func installDeb(t *testing.T, deb string) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: to install a .deb takes root")
	}
	root := t.TempDir()
	for _, dir := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"status", "available"} {
		if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg", file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dpkg := func(args ...string) {
		t.Helper()
		// The scripts run outside, and see by DPKG_ROOT that this machine is not meant.
		all := append([]string{"--root=" + root, "--force-script-chrootless", "--log=/dev/null"}, args...)
		if text, err := exec.CommandContext(t.Context(), "dpkg", all...).CombinedOutput(); err != nil {
			t.Fatalf("dpkg %v: %v\n%s", args, err, text)
		}
	}
	program, env := filepath.Join(root, "usr/bin/ftl"), filepath.Join(root, "etc/ftl/env")

	dpkg("--install", deb)
	if text, err := exec.CommandContext(t.Context(), program, "version").CombinedOutput(); err != nil {
		t.Errorf("ftl version: %v\n%s", err, text)
	}
	if info, err := os.Stat(env); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v, want 0600, as it may hold secrets", env, info, err)
	}
	reads := exec.CommandContext(t.Context(), program, "env", "--env-file", env)
	reads.Env = userEnv(t.TempDir())
	if text, err := reads.CombinedOutput(); err != nil || !strings.Contains(string(text), "/srv/ftl") {
		t.Errorf("ftl env: got %s, %v, want the FTL_ROOT of %s", text, err, env)
	}
	mine := []byte("FTL_BUCKET=s3://my-releases\n")
	if err := os.WriteFile(env, mine, 0o600); err != nil {
		t.Fatal(err)
	}

	dpkg("--install", deb) // an upgrade
	dpkg("--remove", "ftl")
	if _, err := os.Stat(program); err == nil {
		t.Error("after the removal ftl is still there")
	}
	if text, err := os.ReadFile(env); err != nil || string(text) != string(mine) {
		t.Errorf("after an upgrade and the removal the configuration is %q, %v, want what was written", text, err)
	}
	dpkg("--purge", "ftl")
	if _, err := os.Stat(filepath.Dir(env)); err == nil {
		t.Error("after the purge the configuration is still there")
	}
}

// userEnv is the environment of somebody who has set nothing for ftl.
func userEnv(home string) []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "FTL_") || strings.HasPrefix(variable, "AWS_")
	})
	return append(env, "HOME="+home)
}
