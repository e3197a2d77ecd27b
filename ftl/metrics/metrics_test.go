package metrics

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

func TestUpdateMergesAndForgets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ftl.prom")
	a, b := pkg(t, "a"), pkg(t, "b")
	first, second := time.UnixMilli(1_795_221_576_250), time.UnixMilli(1_795_221_636_500)
	old, blessed := rev(t, "a.2026112145296Wq"), rev(t, "a.2026112145297Wq")

	update(t, path, []revision.Package{a, b},
		Sample{Package: a, State: "ok", Current: old, Blessed: old, Ended: first, Took: 1500 * time.Millisecond, Bytes: 4711},
		Sample{Package: b, State: "failed", Ended: first, ExitCode: 8})
	wantA := map[string]string{
		`ftl_sync_timestamp_seconds{package="a"}`:                             "1795221576.25",
		`ftl_sync_success_timestamp_seconds{package="a"}`:                     "1795221576.25",
		`ftl_sync_exit_code{package="a"}`:                                     "0",
		`ftl_sync_duration_seconds{package="a"}`:                              "1.5",
		`ftl_sync_fetched_bytes{package="a"}`:                                 "4711",
		`ftl_package_behind_seconds{package="a"}`:                             "0",
		`ftl_current_revision_info{package="a",revision="a.2026112145296Wq"}`: "1",
		`ftl_blessed_revision_info{package="a",revision="a.2026112145296Wq"}`: "1",
		`ftl_sync_failures_total{package="a"}`:                                "0",
		`ftl_jumps_total{package="a"}`:                                        "0",
		`ftl_jump_failures_total{package="a"}`:                                "0",
		`ftl_rejections_total{package="a"}`:                                   "0",
	}
	wantB := map[string]string{
		`ftl_sync_timestamp_seconds{package="b"}`:         "1795221576.25",
		`ftl_sync_success_timestamp_seconds{package="b"}`: "0",
		`ftl_sync_exit_code{package="b"}`:                 "8",
		`ftl_sync_duration_seconds{package="b"}`:          "0",
		`ftl_sync_fetched_bytes{package="b"}`:             "0",
		`ftl_package_behind_seconds{package="b"}`:         "0",
		`ftl_sync_failures_total{package="b"}`:            "1",
		`ftl_jumps_total{package="b"}`:                    "0",
		`ftl_jump_failures_total{package="b"}`:            "0",
		`ftl_rejections_total{package="b"}`:               "0",
	}
	want(t, path, states("a", "ok"), states("b", "failed"), wantA, wantB)

	// Only a, and it fails: its last success stays, and so does all of b.
	update(t, path, []revision.Package{a, b},
		Sample{Package: a, State: "rejected", Current: old, Blessed: blessed, Ended: second, ExitCode: 4, Took: time.Second})
	maps.Copy(wantA, map[string]string{
		`ftl_sync_timestamp_seconds{package="a"}`: "1795221636.5",
		`ftl_sync_exit_code{package="a"}`:         "4",
		`ftl_sync_duration_seconds{package="a"}`:  "1",
		`ftl_sync_fetched_bytes{package="a"}`:     "0",
		`ftl_sync_failures_total{package="a"}`:    "1",

		`ftl_blessed_revision_info{package="a",revision="a.2026112145297Wq"}`: "1",
	})
	delete(wantA, `ftl_blessed_revision_info{package="a",revision="a.2026112145296Wq"}`)
	want(t, path, states("a", "rejected"), states("b", "failed"), wantA, wantB)

	// The host is not subscribed to a any more.
	update(t, path, []revision.Package{b}, Sample{Package: b, Ended: second})
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), `"a"`) {
		t.Errorf("got %v and\n%s\nwant nothing of a", err, text)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is %v, %v", entries, err)
	}
}

// states are the series of a package's state.
func states(pkg, state string) map[string]string {
	all := make(map[string]string)
	for _, other := range ftl.Conditions() {
		all[fmt.Sprintf(`ftl_package_state{package="%s",state="%s"}`, pkg, other)] = "0"
	}
	all[fmt.Sprintf(`ftl_package_state{package="%s",state="%s"}`, pkg, state)] = "1"
	return all
}

// A revision that was rejected shows for as long as it is blessed, though each sync goes well, and
// the counters go on from sync to sync.
func TestUpdateRemembersWhatWentBadly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ftl.prom")
	a, good, bad := pkg(t, "a"), rev(t, "a.2026112145296Wq"), rev(t, "a.2026112145297Wq")
	start := time.UnixMilli(1_795_221_576_250)
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	ended := func(at ...time.Time) func(time.Time) (int, int, int) { // jumps that were rejected
		return func(since time.Time) (well, failed, rejected int) {
			for _, at := range at {
				if at.After(since) {
					failed, rejected = failed+1, rejected+1
				}
			}
			return 0, failed, rejected
		}
	}
	steps := []struct {
		sample           Sample
		behind, rejected string
	}{
		{Sample{State: "ok", Current: good, Blessed: good, Ended: minute(0), JumpsSince: ended()}, "0", "0"},
		{Sample{State: "rejected", Current: good, Blessed: bad, Ended: minute(1), ExitCode: 4, JumpsSince: ended(minute(1))}, "0", "1"},
		{Sample{State: "rejected", Current: good, Blessed: bad, Ended: minute(2), JumpsSince: ended(minute(1))}, "60", "1"},
		{Sample{State: "rejected", Current: good, Blessed: bad, Ended: minute(1), JumpsSince: ended(minute(1))}, "60", "1"}, // the clock was set back
		{Sample{State: "rejected", Current: good, Blessed: bad, Ended: minute(5), ExitCode: 4, JumpsSince: ended(minute(1), minute(4))}, "300", "2"},
		{Sample{State: "ok", Current: bad, Blessed: bad, Ended: minute(6), JumpsSince: ended(minute(1), minute(4))}, "0", "2"},
	}
	for i, step := range steps {
		step.sample.Package = a
		update(t, path, []revision.Package{a}, step.sample)
		got := read(t, path)
		if behind := got[`ftl_package_behind_seconds{package="a"}`]; behind != step.behind {
			t.Errorf("step %d: behind for %s seconds, want %s", i, behind, step.behind)
		}
		for _, name := range []string{"ftl_jump_failures_total", "ftl_rejections_total"} {
			if total := got[name+`{package="a"}`]; total != step.rejected {
				t.Errorf("step %d: %s is %s, want %s", i, name, total, step.rejected)
			}
		}
		if state := got[fmt.Sprintf(`ftl_package_state{package="a",state="%s"}`, step.sample.State)]; state != "1" {
			t.Errorf("step %d: the state %s is %s", i, step.sample.State, state)
		}
	}
}

// TestUpdateOfGarbage replaces a file that is not its own.
func TestUpdateOfGarbage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ftl.prom")
	garbage := "ftl_sync_exit_code{package=\"../a\"} 1\nftl_sync_exit_code{package=\"a\"} 1.2.3\nftl_sync_exit_code{package=\"a\"} 7"
	if err := os.WriteFile(path, []byte(garbage), 0o644); err != nil {
		t.Fatal(err)
	}
	update(t, path, []revision.Package{pkg(t, "a")}, Sample{Package: pkg(t, "a"), Ended: time.UnixMilli(1000)})
	got := read(t, path)
	if len(got) != 10+len(ftl.Conditions()) || got[`ftl_sync_exit_code{package="a"}`] != "0" {
		t.Errorf("got %v", got)
	}
}

// TestUpdatesAtOnce loses none of many.
func TestUpdatesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ftl.prom")
	var all []revision.Package
	for i := range 20 {
		all = append(all, pkg(t, fmt.Sprintf("p%d", i)))
	}
	var group errgroup.Group
	for _, pkg := range all {
		group.Go(func() error {
			return Update(path, all, []Sample{{Package: pkg, Ended: time.UnixMilli(1000)}})
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	got := read(t, path)
	for _, pkg := range all {
		if got[fmt.Sprintf(`ftl_sync_exit_code{package="%s"}`, pkg)] != "0" {
			t.Errorf("%s is missing", pkg)
		}
	}
}

func TestUpdateWithoutDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	if err := Update(filepath.Join(dir, "ftl.prom"), nil, nil); !os.IsNotExist(err) {
		t.Errorf("got %v, want that there is no directory", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made")
	}
}

func pkg(t *testing.T, name string) revision.Package {
	t.Helper()
	p, err := revision.ParsePackage(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rev(t *testing.T, name string) revision.Revision {
	t.Helper()
	r, err := revision.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func update(t *testing.T, path string, subscribed []revision.Package, samples ...Sample) {
	t.Helper()
	if err := Update(path, subscribed, samples); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, path string, want ...map[string]string) {
	t.Helper()
	got := read(t, path)
	for _, part := range want {
		for series, value := range part {
			if got[series] != value {
				t.Errorf("%s is %q, want %q", series, got[series], value)
			}
			delete(got, series)
		}
	}
	for series, value := range got {
		t.Errorf("there is also %s %s", series, value)
	}
}

var (
	comment = regexp.MustCompile(`^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
	labeled = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"(?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*")*\}$`)
)

// read reads the file by the rules of the text format: a metric has one HELP
// and one TYPE, before its samples, which stand together; no series is there
// twice; the last line ends, too.
func read(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values, headers, current := make(map[string]string), make(map[string]int), ""
	for line := range strings.Lines(string(text)) {
		line, ended := strings.CutSuffix(line, "\n")
		if !ended {
			t.Fatalf("the last line is not ended: %q", line)
		}
		if match := comment.FindStringSubmatch(line); match != nil {
			headers[match[1]+match[2]]++
			if headers[match[1]+match[2]] > 1 || match[1] == "TYPE" && (match[3] == "counter") != strings.HasSuffix(match[2], "_total") {
				t.Fatalf("not as it should be: %q", line)
			}
			current = match[2]
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		match := labeled.FindStringSubmatch(name)
		if match == nil {
			t.Fatalf("no line of the text format: %q", line)
		}
		if _, err := strconv.ParseFloat(value, 64); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if match[1] != current || headers["HELP"+current] != 1 || headers["TYPE"+current] != 1 {
			t.Fatalf("%q is not with its metric", line)
		}
		if _, twice := values[name]; twice {
			t.Fatalf("%q is there twice", line)
		}
		values[name] = value
	}
	return values
}

// Whoever collects the metrics may own the directory, and must not be able to stop a sync.
func TestUpdateDoesNotWaitForAFifo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ftl.prom")
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Update(path, nil, nil); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("got %v, want that it is not a regular file", err)
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40)); err != nil {
		t.Fatal(err)
	}
	if err := Update(path, nil, nil); err == nil || !strings.Contains(err.Error(), "has more than") {
		t.Errorf("got %v, want that it is too large", err)
	}
}
