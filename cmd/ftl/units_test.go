package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// packaging is where the units are, and what makes the packages.
var packaging = filepath.Join(repository, "testdata", "package")

func TestReferenceUnits(t *testing.T) {
	for info, file := range map[string]string{
		"ini service": "ftl-sync.service", "ini timer": "ftl-sync.timer", "ini agent": "ftl-agent.service", "ini serve": "ftl-serve.service", "crontab": "crontab",
	} {
		text, err := os.ReadFile(filepath.Join(packaging, file))
		if err != nil {
			t.Fatal(err)
		}
		if found := blocks(t, info); len(found) != 1 || found[0] != string(text) {
			t.Errorf("the reference's block %q is not %s:\n%q", info, file, found)
		}
	}
}

func TestUnitsVerify(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("NOT TESTED: systemd-analyze is not here")
	}
	ftl, err := exec.LookPath("ftl")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"ftl-sync.service", "ftl-sync.timer", "ftl-agent.service", "ftl-serve.service"} {
		text, err := os.ReadFile(filepath.Join(packaging, name))
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.ReplaceAll(string(text), "/usr/bin/ftl", ftl)) // which has to be there
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	verify := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no",
		filepath.Join(dir, "ftl-sync.service"), filepath.Join(dir, "ftl-sync.timer"), filepath.Join(dir, "ftl-agent.service"), filepath.Join(dir, "ftl-serve.service"))
	out, err := verify.CombinedOutput()
	if err != nil || strings.Contains(string(out), dir) || strings.Contains(string(out), "ftl-sync") || strings.Contains(string(out), "ftl-agent") || strings.Contains(string(out), "ftl-serve") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
