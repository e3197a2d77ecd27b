package metrics

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/revision"
)

func TestUpdateMergesAndForgets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ftl.prom")
	a, b := pkg(t, "a"), pkg(t, "b")
	first, second := time.UnixMilli(1_795_221_576_250), time.UnixMilli(1_795_221_636_500)

	update(t, path, []revision.Package{a, b},
		Sample{Package: a, Current: rev(t, "a.2026112145296Wq"), Ended: first, Took: 1500 * time.Millisecond, Bytes: 4711},
		Sample{Package: b, Ended: first, ExitCode: 8})
	want(t, path, map[string]string{
		`ftl_sync_timestamp_seconds{package="a"}`:                             "1795221576.25",
		`ftl_sync_success_timestamp_seconds{package="a"}`:                     "1795221576.25",
		`ftl_sync_exit_code{package="a"}`:                                     "0",
		`ftl_sync_duration_seconds{package="a"}`:                              "1.5",
		`ftl_sync_fetched_bytes{package="a"}`:                                 "4711",
		`ftl_current_revision_info{package="a",revision="a.2026112145296Wq"}`: "1",
		`ftl_sync_timestamp_seconds{package="b"}`:                             "1795221576.25",
		`ftl_sync_exit_code{package="b"}`:                                     "8",
		`ftl_sync_duration_seconds{package="b"}`:                              "0",
		`ftl_sync_fetched_bytes{package="b"}`:                                 "0",
	})

	// Only a, and it fails: its last success stays, and so does all of b.
	update(t, path, []revision.Package{a, b},
		Sample{Package: a, Current: rev(t, "a.2026112145297Wq"), Ended: second, ExitCode: 4, Took: time.Second})
	want(t, path, map[string]string{
		`ftl_sync_timestamp_seconds{package="a"}`:                             "1795221636.5",
		`ftl_sync_success_timestamp_seconds{package="a"}`:                     "1795221576.25",
		`ftl_sync_exit_code{package="a"}`:                                     "4",
		`ftl_sync_duration_seconds{package="a"}`:                              "1",
		`ftl_sync_fetched_bytes{package="a"}`:                                 "0",
		`ftl_current_revision_info{package="a",revision="a.2026112145297Wq"}`: "1",
		`ftl_sync_timestamp_seconds{package="b"}`:                             "1795221576.25",
		`ftl_sync_exit_code{package="b"}`:                                     "8",
		`ftl_sync_duration_seconds{package="b"}`:                              "0",
		`ftl_sync_fetched_bytes{package="b"}`:                                 "0",
	})

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

// TestUpdateOfGarbage replaces a file that is not its own.
func TestUpdateOfGarbage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ftl.prom")
	garbage := "ftl_sync_exit_code{package=\"../a\"} 1\nftl_sync_exit_code{package=\"a\"} 1.2.3\nftl_sync_exit_code{package=\"a\"} 7"
	if err := os.WriteFile(path, []byte(garbage), 0o644); err != nil {
		t.Fatal(err)
	}
	update(t, path, []revision.Package{pkg(t, "a")}, Sample{Package: pkg(t, "a"), Ended: time.UnixMilli(1000)})
	got := read(t, path)
	if len(got) != 5 || got[`ftl_sync_exit_code{package="a"}`] != "0" {
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

func want(t *testing.T, path string, want map[string]string) {
	t.Helper()
	got := read(t, path)
	for series, value := range want {
		if got[series] != value {
			t.Errorf("%s is %q, want %q", series, got[series], value)
		}
		delete(got, series)
	}
	for series, value := range got {
		t.Errorf("there is also %s %s", series, value)
	}
}

var (
	comment = regexp.MustCompile(`^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
	series  = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"(?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*")*\}$`)
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
			if headers[match[1]+match[2]] > 1 || match[1] == "TYPE" && match[3] != "gauge" {
				t.Fatalf("not as it should be: %q", line)
			}
			current = match[2]
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		match := series.FindStringSubmatch(name)
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
