package archive

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ignoreTree is what the patterns are tried on.
var ignoreTree = []string{
	"a", "b.log", "c.log.gz", "#x", "!y", "end ", "{a,b}", "sub/a", "sub/b.log", "sub/deep/a", "sub/deep/b.log", "sub/deep/er/a",
	"build/x", "build/y/z", "sub/build/x", "node_modules/m/i", "sub/node_modules/m", "docs/index", "docs/api/index", "docs/api/v1/index", "x-y", "xzy", "x/y",
}

var ignoreTests = []string{
	"a", "/a", "*.log", "/*.log", "sub/*.log", "build", "build/", "/build/", "node_modules/", "**/build", "sub/**", "sub/**/a", "**/deep/**",
	"docs/*", "docs/**/index", "*\n!a", "*.log\n!sub/b.log", "docs/*\n!docs/api/", "# a\n\n", `\#x`, `\!y`, "!a\na", "end", `end\ `, "a  ", "x?y",
	"x[!z]y", "x[^-]y", "x[a-z]y", "{a,b}", "**", "*", "sub/deep", "deep/er", "/sub/deep/er/a", "su*/de*/a", "b.*\n!b.log", "sub\n!sub/a", "a\r",
}

// TestIgnoreAsGit packs with each list of patterns, and compares with what git says.
func TestIgnoreAsGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("NOT TESTED: git is not here")
	}
	dir := t.TempDir()
	files := make(map[string]string)
	for _, name := range ignoreTree {
		files[name] = "x"
	}
	write(t, dir, files)
	git := func(args ...string) *exec.Cmd {
		command := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
		command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "HOME="+dir)
		return command
	}
	if out, err := git("init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, patterns := range ignoreTests {
		asGit := strings.ReplaceAll(patterns, "\r", "") // which git takes for a part of the name
		if err := os.WriteFile(filepath.Join(dir, ".git", "info", "exclude"), []byte(asGit), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := git("-c", "core.quotePath=false", "ls-files", "-z", "--others", "--exclude-standard").Output()
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			if name != "" {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		if got := packedFiles(t, dir, patterns); !slices.Equal(got, want) {
			t.Errorf("%q: packed %q, and git has %q", patterns, got, want)
		}
	}
}

// packedFiles are the names of the files that are packed.
func packedFiles(t *testing.T, dir, patterns string) []string {
	t.Helper()
	ignore, err := ParseIgnore(patterns)
	if err != nil {
		t.Fatalf("%q: %v", patterns, err)
	}
	var packed bytes.Buffer
	// A file that is never left out keeps the archive from being empty.
	if err := os.WriteFile(filepath.Join(dir, "zzz-kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(filepath.Join(dir, "zzz-kept"))
	ignore.rules = append(ignore.rules, ignoreRule{pattern: "zzz-kept", keep: true})
	if err := Pack(t.Context(), &packed, dir, PackOptions{Ignore: ignore}); err != nil {
		t.Fatalf("%q: %v", patterns, err)
	}
	var files []string
	_, err = Scan(t.Context(), Packed{Content: &packed, Form: Tar}, func(e Visited) (Head, error) {
		if e.Mode.IsRegular() && e.Name != "zzz-kept" {
			files = append(files, e.Name)
		}
		return Head{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

func TestParseIgnoreRefusesWhatIsMalformed(t *testing.T) {
	if _, err := ParseIgnore("a\n[b\n"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v, want an error that names line 2", err)
	}
}

func TestPackTellsHowFarItIs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": strings.Repeat("x", 3*bufferSize), "sub/b": "12345", "left/out": strings.Repeat("x", 1000)})
	ignore, err := ParseIgnore("left/")
	if err != nil {
		t.Fatal(err)
	}
	const total = 3*bufferSize + 5
	var last int64
	watch := func(done, of int64) {
		if done <= last || of != total {
			t.Errorf("%d of %d after %d, want more of %d", done, of, last, total)
		}
		last = done
	}
	if err := Pack(t.Context(), new(bytes.Buffer), dir, PackOptions{Ignore: ignore, Watch: watch}); err != nil {
		t.Fatal(err)
	}
	if last != total {
		t.Errorf("the last was %d of %d", last, total)
	}
}

func TestScanShowsSpecialBitsAndBeginnings(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("0123456789", 100)
	write(t, dir, map[string]string{"setuid": "x", "long": long, "empty": ""})
	if err := os.Chmod(filepath.Join(dir, "setuid"), 0o755|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := Pack(t.Context(), &packed, dir, PackOptions{}); err != nil {
		t.Fatal(err)
	}
	heads := make(map[string]string)
	_, err := Scan(t.Context(), Packed{Content: &packed, Form: Tar}, func(e Visited) (Head, error) {
		if want := e.Name == "setuid"; (e.Special == fs.ModeSetuid) != want || e.Mode&fs.ModeSetuid != 0 {
			t.Errorf("%s: mode %v, special %v", e.Name, e.Mode, e.Special)
		}
		return Head{Size: 256, Take: func(head []byte) error { heads[e.Name] = string(head); return nil }}, nil
	})
	if err != nil || heads["setuid"] != "x" || heads["long"] != long[:256] || heads["empty"] != "" || len(heads) != 3 {
		t.Errorf("got %q, %v", heads, err)
	}
}
