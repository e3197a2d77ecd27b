package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReferenceJSON compares what each command prints with --json with the fields
// that the reference lists for it.
func TestReferenceJSON(t *testing.T) {
	home := t.TempDir()
	for _, dir := range []string{"bucket", "root/my_site", "my_site"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "my_site", "index.html"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	ftl := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "ftl", args...)
		cmd.Dir = home
		cmd.Env = append(userEnv(home), "FTL_BUCKET=file://"+filepath.Join(home, "bucket"), "FTL_ROOT="+filepath.Join(home, "root"))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("ftl %v: %v", args, err)
		}
		return string(out)
	}
	spooled := ftl("spool", "my_site", "--json")
	var step struct{ Revision string }
	if err := json.Unmarshal([]byte(spooled[strings.LastIndex(strings.TrimSpace(spooled), "\n")+1:]), &step); err != nil {
		t.Fatal(err)
	}
	var second struct{ Revision string }
	if err := os.WriteFile(filepath.Join(home, "my_site", "index.html"), []byte("hello again"), 0o644); err != nil {
		t.Fatal(err)
	}
	again := ftl("spool", "my_site", "--json")
	if err := json.Unmarshal([]byte(again[strings.LastIndex(strings.TrimSpace(again), "\n")+1:]), &second); err != nil {
		t.Fatal(err)
	}
	ftl("jump", "--master", step.Revision)
	state := filepath.Join(home, "serve")
	ftl("token", "add", "--serve-state", state, "--user", "ann", "--role", "view")
	tests := []struct{ documented, out string }{
		{"step", spooled},
		{"step", ftl("sync", "--json")},
		{"step", ftl("jump", "--json", step.Revision)},
		{"status", ftl("status", "--json")},
		{"status --fleet", ftl("status", "--fleet", "--json")},
		{"why", ftl("why", "--json", "my_site")},
		{"log", ftl("log", "--json")},
		{"log --master", ftl("log", "--master", "--json", "my_site")},
		{"step", ftl("subscribe", "--json", "my_site")},
		{"diff", ftl("diff", "--json", step.Revision, second.Revision)},
		{"ftl list --json", ftl("list", "--json")},
		{"list", ftl("list", "--json", "my_site")},
		{"list", ftl("list", "--json", "--master", "my_site")},
		{"token", ftl("token", "list", "--serve-state", state, "--json")},
		{"token", ftl("token", "revoke", "--serve-state", state, "ann", "--json")},
		{"ftl env --json", ftl("env", "--json")},
		{"ftl version --json", ftl("version", "--json")},
		{"ftl doctor --json", ftl("doctor", "--json")},
		{"ftl iam --json", ftl("iam", "host", "--bucket", "my-releases", "--json")},
		{"ftl help --json", ftl("help", "--json")},
	}
	for _, test := range tests {
		want := documentedFields(t, test.documented)
		lines := strings.Split(strings.TrimSpace(test.out), "\n")
		for _, line := range lines {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatalf("%s: %q: %v", test.documented, line, err)
			}
			if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
				t.Errorf("%s: got the fields %v, the reference has %v", test.documented, got, want)
			}
		}
	}
}

// documentedFields returns the names that the reference has in the table of this
// name, or in the row of this command.
func documentedFields(t *testing.T, name string) []string {
	t.Helper()
	section := page(t, "cmd/topics/json.md")
	table := regexp.MustCompile(`(?m)^\| field of (?:a )?` + regexp.QuoteMeta(name) + ` \|.*\n\|.*\n((?:\| .*\n)*)`)
	row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(name) + "` \\|(.*)$")
	code := regexp.MustCompile("`([^`]*)`")
	var cells []string
	if match := table.FindStringSubmatch(section); match != nil {
		for line := range strings.Lines(match[1]) {
			cells = append(cells, strings.Split(line, "|")[1])
		}
	} else if match := row.FindStringSubmatch(section); match != nil {
		cells = append(cells, match[1])
	}
	var fields []string
	for _, match := range code.FindAllStringSubmatch(strings.Join(cells, " "), -1) {
		fields = append(fields, match[1])
	}
	if len(fields) == 0 {
		t.Fatalf("the reference lists no fields of %s", name)
	}
	slices.Sort(fields)
	return fields
}
