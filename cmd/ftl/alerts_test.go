package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAlerts brings hosts into the conditions that somebody has to be told of, and evaluates the
// rules that are documented on the file that the last sync has left.
func TestAlerts(t *testing.T) {
	t.Parallel()
	const check, defers = "#!/bin/sh\nexit 1\n", "#!/bin/sh\nexit 75\n"
	tests := []struct {
		name  string
		after func(h *alertHost) // which package to sync
		want  []string
	}{
		{"converged", func(*alertHost) {}, nil},
		{"rejected", func(h *alertHost) {
			h.bless(h.spool("check", check))
			h.fails(4, "sync", "--check-timeout", "200ms")
		}, []string{"FTLBehind", "FTLDeployFailed"}},
		{"post-jump failed", func(h *alertHost) {
			h.bless(h.spool("post-jump", check))
			h.fails(3, "sync")
		}, []string{"FTLDeployFailed", "FTLSyncFails"}},
		{"deferred", func(h *alertHost) { h.bless(h.spool("pre-jump", defers)); h.ftl("sync") }, []string{"FTLBehind", "FTLNothingBlessed"}},
		{"held", func(h *alertHost) {
			h.ftl("hold", "my_site")
			h.bless(h.spool("", ""))
			h.ftl("sync")
		}, []string{"FTLBehind"}},
		{"by hand", func(h *alertHost) {
			h.ftl("jump", h.spool("", ""))
			h.ftl("sync")
		}, []string{"FTLBehind"}},
		{"misspelt", func(h *alertHost) { h.subscribe("my_stie"); h.ftl("sync") }, []string{"FTLNothingBlessed"}},
		{"the bucket is gone", func(h *alertHost) {
			h.env = append(h.env, "FTL_BUCKET=file://"+h.path("unmounted"))
			h.fails(8, "sync")
		}, []string{"FTLDeployFailed", "FTLSyncFails"}},
		{"no sync has gone well yet", func(h *alertHost) {
			h.subscribe("other")
			h.env = append(h.env, "FTL_BUCKET=file://"+h.path("unmounted"))
			h.fails(8, "sync", "other")
		}, []string{"FTLDeployFailed", "FTLSyncFails"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newAlertHost(t)
			test.after(h)
			// An hour and more goes by, with a sync that finds nothing new.
			h.rewind(2 * time.Hour)
			h.sync()
			metrics := readMetrics(t, h.path("ftl.prom"))
			var got []string
			for alert, expression := range alerts(t) {
				if metrics.holds(t, expression) {
					got = append(got, alert)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("got the alerts %q, want %q, of\n%s", got, test.want, h.read("ftl.prom"))
			}
		})
	}
}

// TestMetricsAreDocumented compares the names in a file with the table.
func TestMetricsAreDocumented(t *testing.T) {
	h := newAlertHost(t)
	documented := regexp.MustCompile("`(ftl_[a-z_]+)`").FindAllStringSubmatch(tableOfMetrics(t), -1)
	var want []string
	for _, match := range documented {
		if match[1] != "ftl_trust_refused" { // only where signatures are required
			want = append(want, match[1])
		}
	}
	got := slices.Collect(maps.Keys(readMetrics(t, h.path("ftl.prom"))))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the file has %q, the table %q", got, want)
	}
}

func tableOfMetrics(t *testing.T) string {
	t.Helper()
	var table strings.Builder
	for line := range strings.Lines(metricsTopic(t)) {
		if strings.HasPrefix(line, "| `ftl_") {
			cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
			table.WriteString(cell)
		}
	}
	return table.String()
}

func metricsTopic(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "cmd", "topics", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// alerts are the expressions of the rules that are documented, by name.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	rule := regexp.MustCompile(`- alert: (\w+)[^\n]*\n +expr: ([^\n]+)\n`)
	found := make(map[string]string)
	for _, match := range rule.FindAllStringSubmatch(metricsTopic(t), -1) {
		found[match[1]] = match[2]
	}
	if len(found) != 4 {
		t.Fatalf("got the rules %v", found)
	}
	return found
}

// An alertHost runs a revision that is blessed, and writes metrics.
type alertHost struct {
	t    *testing.T
	home string
	env  []string
}

func newAlertHost(t *testing.T) *alertHost {
	t.Helper()
	h := &alertHost{t: t, home: t.TempDir()}
	h.env = append(userEnv(h.home),
		"FTL_BUCKET=file://"+h.path("bucket"), "FTL_ROOT="+h.path("root"), "FTL_METRICS="+h.path("ftl.prom"))
	for _, dir := range []string{"bucket", "root", "my_site/ftl"} {
		if err := os.MkdirAll(h.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.subscribe("my_site")
	h.bless(h.spool("", ""))
	h.ftl("sync")
	return h
}

func (h *alertHost) path(name string) string { return filepath.Join(h.home, name) }

func (h *alertHost) read(name string) string {
	text, err := os.ReadFile(h.path(name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

func (h *alertHost) subscribe(pkg string) {
	if err := os.Mkdir(filepath.Join(h.path("root"), pkg), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

// spool spools another revision, with this hook.
func (h *alertHost) spool(hook, script string) string {
	h.t.Helper()
	if hook != "" {
		if err := os.WriteFile(h.path("my_site/ftl/"+hook), []byte(script), 0o755); err != nil {
			h.t.Fatal(err)
		}
	}
	return strings.TrimSpace(h.ftl("spool", "my_site"))
}

func (h *alertHost) bless(revision string) { h.ftl("jump", "--master", revision) }

func (h *alertHost) ftl(args ...string) string {
	h.t.Helper()
	return h.fails(0, args...)
}

func (h *alertHost) sync() { h.command("sync").Run() }

func (h *alertHost) fails(code int, args ...string) string {
	h.t.Helper()
	cmd := h.command(args...)
	out, err := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != code {
		h.t.Fatalf("ftl %v: exit code %d, want %d: %v", args, got, code, err)
	}
	return string(out)
}

func (h *alertHost) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(h.t.Context(), "ftl", args...)
	cmd.Dir, cmd.Env = h.home, h.env
	return cmd
}

// rewind makes the last sync one of so long ago.
func (h *alertHost) rewind(d time.Duration) {
	h.t.Helper()
	stamp := regexp.MustCompile(`(?m)^(ftl_sync(?:_success)?_timestamp_seconds\{.*\}) ([1-9][0-9.]*)$`)
	text := stamp.ReplaceAllStringFunc(h.read("ftl.prom"), func(line string) string {
		match := stamp.FindStringSubmatch(line)
		value, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			h.t.Fatal(err)
		}
		return fmt.Sprintf("%s %.3f", match[1], value-d.Seconds())
	})
	if err := os.WriteFile(h.path("ftl.prom"), []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// metricsFile are the values of a file, by metric and labels.
type metricsFile map[string]map[string]float64

func readMetrics(t *testing.T, path string) metricsFile {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values := make(metricsFile)
	for _, match := range regexp.MustCompile(`(?m)^(\w+)\{(.*)\} (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		value, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		if values[match[1]] == nil {
			values[match[1]] = make(map[string]float64)
		}
		values[match[1]][match[2]] = value
	}
	return values
}

// holds evaluates the small part of Prometheus' language that the rules use.
func (m metricsFile) holds(t *testing.T, expression string) bool {
	t.Helper()
	match := regexp.MustCompile(`^(time\(\) - )?(\w+)(?:\{state=(~?)"([^"]*)"\})? (>|==) (\d+)$`).FindStringSubmatch(expression)
	if match == nil {
		t.Fatalf("the rule %q is more than this test can evaluate", expression)
	}
	limit, err := strconv.ParseFloat(match[6], 64)
	if err != nil {
		t.Fatal(err)
	}
	if len(m[match[2]]) == 0 {
		t.Fatalf("the rule %q is about a metric that there is not", expression)
	}
	states := regexp.MustCompile("^(?:" + match[4] + ")$")
	label := regexp.MustCompile(`state="([^"]*)"`)
	for labels, value := range m[match[2]] {
		if state := label.FindStringSubmatch(labels); match[4] != "" && (state == nil || !states.MatchString(state[1])) {
			continue
		}
		if match[1] != "" {
			value = float64(time.Now().Unix()) - value
		}
		if match[5] == ">" && value > limit || match[5] == "==" && value == limit {
			return true
		}
	}
	return false
}
