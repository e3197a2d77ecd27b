package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const prefix = "my_site.2026112145296Wq post-sync | "

func TestOutputIsAnnotatedAndLive(t *testing.T) {
	dir := newRevision(t, `#!/bin/sh
echo one
read -r answer < go
echo "$answer" >&2
printf 'no line end'
`)
	makeFifo(t, filepath.Join(dir, "go"))
	answered := false
	out := &output{seen: func(text string) {
		if text == prefix+"one\n" && !answered { // seen while the hook waits
			answered = true
			if err := os.WriteFile(filepath.Join(dir, "go"), []byte("two\n"), 0); err != nil {
				t.Error(err)
			}
		}
	}}
	if err := run(t, dir, Options{Output: out, Timeout: 10 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if want := prefix + "one\n" + prefix + "two\n" + prefix + "no line end\n"; out.String() != want {
		t.Errorf("got  %q\nwant %q", out, want)
	}
	if got, want := readFile(t, logOf(dir)), "one\ntwo\nno line end"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestAnnotator(t *testing.T) {
	long := strings.Repeat("é", maxLine) // two bytes each
	for _, test := range []struct{ name, text, want string }{
		{"empty line", "\n", "| \n"},
		{"tab and letters", "a\tü 世\n", "| a\tü 世\n"},
		{"windows line end", "a\r\n", "| a\n"},
		{"carriage return", "10%\r20%\n", `| 10%\x0d20%` + "\n"},
		{"colour", "\x1b[31mred\x7f\n", `| \x1b[31mred\x7f` + "\n"},
		{"control in one byte", "\u009b31m\n", `| \u009b31m` + "\n"},
		{"not utf-8", "\xff\xc3\n", `| \xff\xc3` + "\n"},
		{"turned around", "a\u202eb\n", `| a\u202eb` + "\n"},
		{"nul", "a\x00\x00b\n", "| ab\n"},
		{"no end", "a", "| a\n"},
		{"exactly as long", strings.Repeat("x", maxLine) + "\n", "| " + strings.Repeat("x", maxLine) + "\n"},
		{"too long", "x" + long + "\n", "| x" + long[:maxLine-2] + "\n| " + long[maxLine-2:2*maxLine-2] + "\n| é\n"},
		{"too long and no utf-8", strings.Repeat("\x80", maxLine+1) + "\n",
			"| " + strings.Repeat(`\x80`, maxLine) + "\n" + `| \x80` + "\n"},
	} {
		for _, size := range []int{1, 7, len(test.text)} { // however it arrives
			var out bytes.Buffer
			a := &annotator{out: &out, prefix: "| "}
			for text := []byte(test.text); len(text) > 0; text = text[min(size, len(text)):] {
				a.write(text[:min(size, len(text))])
			}
			a.flush()
			if out.String() != test.want {
				t.Errorf("%s by %d: got %.80q, want %.80q", test.name, size, out.String(), test.want)
			}
		}
	}
}

func TestStepsAreOfferedAsTheyArePrinted(t *testing.T) {
	long := `{"message":"` + strings.Repeat("é", maxLine) + `"}`
	tooLong := "{" + strings.Repeat("x", maxStep)
	for _, test := range []struct {
		name, text  string
		steps, want string // a number of steps that were taken, and what is shown
	}{
		{"a step", "{a}\nb\n", "{a}", "| b\n"},
		{"one that is not taken", "{no}\n", "", "| {no}\n"},
		{"as it is", "{\x1b\u202e\x00}\r\n", "{\x1b\u202e\x00}", ""},
		{"a long one", long + "\n", long, ""},
		{"a long one that is not taken", "{no" + strings.Repeat("x", maxLine) + "\n", "",
			"| {no" + strings.Repeat("x", maxLine-3) + "\n| xxx\n"},
		{"no end", "{a}", "{a}", ""},
		{"not at the beginning", " {a}\n", "", "|  {a}\n"},
		{"a piece of a long line", strings.Repeat("x", maxLine) + "{a}\n{b}\n", "{b}", "| " + strings.Repeat("x", maxLine) + "\n| {a}\n"},
	} {
		for _, size := range []int{1, 7, len(test.text)} {
			var out bytes.Buffer
			var steps []string
			a := &annotator{out: &out, prefix: "| ", step: func(line []byte) bool {
				if bytes.HasPrefix(line, []byte("{no")) {
					return false
				}
				steps = append(steps, string(line))
				return true
			}}
			for text := []byte(test.text); len(text) > 0; text = text[min(size, len(text)):] {
				a.write(text[:min(size, len(text))])
			}
			a.flush()
			if got := strings.Join(steps, " "); got != test.steps || out.String() != test.want {
				t.Errorf("%s by %d: got %.80q, %.80q; want %.80q, %.80q", test.name, size, got, out.String(), test.steps, test.want)
			}
		}
	}
	var out sizes
	a := &annotator{out: &out, step: func([]byte) bool { t.Error("a step above the limit was offered"); return true }}
	a.write([]byte(tooLong))
	a.write([]byte("\n"))
	if cap(a.line) > 2*maxStep || slices.Max(out) > maxWrite+maxLine {
		t.Errorf("%d bytes kept, %d written at a time", cap(a.line), slices.Max(out))
	}
}

func TestStepsStayInTheirOrder(t *testing.T) {
	out := &output{}
	step := func(line []byte) bool { out.Write([]byte("step " + string(line) + "\n")); return true }
	if err := run(t, newRevision(t, "echo a; echo '{b}'; echo c"), Options{Output: out, Step: step}); err != nil {
		t.Fatal(err)
	}
	if want := prefix + "a\nstep {b}\n" + prefix + "c\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"a\tü 世":                       "a\tü 世",
		"one\nftl: two\r\nthree\r\n\n": "one; ftl: two; three",
		"\x1b[31m\u202e\x00\u009b":     `\x1b[31m\u202e\u009b`,
		"10%\r20%":                     `10%\x0d20%`,
		`\x1b`:                         `\x1b`,
		"  indented":                   "  indented",
	} {
		got := Harmless(text)
		if got != want || Harmless(got) != got {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

type brokenPipe struct{ writes int }

func (b *brokenPipe) Write([]byte) (int, error) { b.writes++; return 0, syscall.EPIPE }

func TestBrokenOutputDoesNotTouchTheHook(t *testing.T) {
	out := &brokenPipe{}
	if err := run(t, newRevision(t, "echo a; sleep 0.1; echo b"), Options{Output: out}); err != nil || out.writes != 1 {
		t.Errorf("got %v after %d writes, want nil after 1", err, out.writes)
	}
}

func TestLogIsAppendedTo(t *testing.T) {
	dir := newRevision(t, "echo again; exit 1")
	writeFile(t, logOf(dir), "before\n", 0o600)
	out := &output{}
	exit, ok := errors.AsType[*ExitError](run(t, dir, Options{Output: out}))
	if got, want := readFile(t, logOf(dir)), "before\nagain\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	if !ok || exit.Tail != "again" || out.String() != prefix+"again\n" {
		t.Errorf("tail %q, output %q; want this run's only", exit.Tail, out)
	}
}

func TestLogMode(t *testing.T) {
	dir := newRevision(t, "")
	if err := run(t, dir, Options{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(logOf(dir))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v; want mode 0600", info.Mode(), err)
	}
}

func TestLogMustBeARegularFile(t *testing.T) {
	dir := newRevision(t, "echo ran > ran")
	target := dir + ".target"
	writeFile(t, target, "", 0o600)
	if err := os.Symlink(target, logOf(dir)); err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*LogError](run(t, dir, Options{})); !ok {
		t.Error("a symbolic link was followed")
	}
	if err := CutLog(nil, logOf(dir), 1); err == nil {
		t.Error("CutLog followed a symbolic link")
	}
	if err := os.Remove(logOf(dir)); err != nil {
		t.Fatal(err)
	}
	makeFifo(t, logOf(dir))
	if _, ok := errors.AsType[*LogError](run(t, dir, Options{})); !ok {
		t.Error("a fifo was taken for a log")
	}
	wantNotRun(t, dir)
}

func TestRunWithoutALog(t *testing.T) {
	dir := newRevision(t, "echo said; w=$(readlink /proc/$$/fd/1); echo $w > where; exit 1")
	out := &output{}
	err := findIn(t, dir).Run(t.Context(), Options{Output: out})
	if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Code != 1 || exit.Tail != "" || out.String() != "" {
		t.Errorf("got %v, %q; want exit code 1 and no output", err, out)
	}
	if got := readFile(t, filepath.Join(dir, "where")); got != "/dev/null\n" {
		t.Errorf("the hook prints to %q", got)
	}
}

func TestTailIsBounded(t *testing.T) {
	exit, _ := errors.AsType[*ExitError](run(t, newRevision(t, "seq 1 100000; printf '\\033[0m'; exit 1"), Options{}))
	lines := strings.Split(exit.Tail, "\n")
	if len(lines) != 20 || lines[0] != "99982" || lines[19] != `\x1b[0m` {
		t.Errorf("got %q, want the last 20 lines", lines)
	}
	exit, _ = errors.AsType[*ExitError](run(t, newRevision(t, `head -c 100000 /dev/zero | tr '\0' '\001'; exit 1`), Options{}))
	if len(exit.Tail) != 4<<10 {
		t.Errorf("got %d bytes, want 4 KiB", len(exit.Tail))
	}
}

// openTestLog opens a log with a limit of 400 bytes, of which 100 are kept.
func openTestLog(t *testing.T) *logFile {
	t.Helper()
	l, err := openLog(nil, filepath.Join(t.TempDir(), "log"), 400)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// say appends numbered lines of 10 bytes, as a hook would.
func say(t *testing.T, l *logFile, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if _, err := fmt.Fprintf(l.writer, "line %04d\n", i); err != nil {
			t.Fatal(err)
		}
	}
}

func lines(from, to int) string {
	var text strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&text, "line %04d\n", i)
	}
	return text.String()
}

func TestCutKeepsTheEndAndCopiesNothingTwice(t *testing.T) {
	l := openTestLog(t)
	var out bytes.Buffer
	a := &annotator{out: &out}
	for i := 0; i < 100; i += 5 {
		say(t, l, i, i+5)
		if i%10 == 0 { // half of the times, some output is not copied when the log is cut
			mustDo(t, l.copy(a))
		}
		mustDo(t, l.cut())
		if tail := l.tail(); strings.Contains(tail, "…") {
			t.Errorf("tail %q, want no note", tail)
		}
	}
	mustDo(t, l.copy(a))
	if out.String() != lines(0, 100) {
		t.Errorf("copied %q, want each line once", out.String())
	}
	text := readFile(t, l.file.Name())
	if len(text) > 400 || !strings.HasPrefix(text, "… ") || !strings.HasSuffix(text, lines(90, 100)) {
		t.Errorf("log %q, want a note and the last lines", text)
	}
	if tail := l.tail(); !strings.HasSuffix(tail, strings.TrimSpace(lines(90, 100))) {
		t.Errorf("tail %q, want the last lines", tail)
	}
}

func TestCutSparesUncopiedOutputUntilItIsTooMuch(t *testing.T) {
	l := openTestLog(t)
	var out bytes.Buffer
	a := &annotator{out: &out}
	say(t, l, 0, 640)
	mustDo(t, l.cut())
	if got := readFile(t, l.file.Name()); got != lines(0, 640) {
		t.Errorf("log of %d bytes, want all of it as long as it isn't copied", len(got))
	}
	say(t, l, 640, 641)
	mustDo(t, l.cut())
	mustDo(t, l.copy(a))
	if got, want := out.String(), "… 6310 bytes not shown …\n"+lines(631, 641); got != want {
		t.Errorf("copied %q, want %q", got, want)
	}
}

func TestLogEmptiedByTheHook(t *testing.T) {
	out := &output{}
	dir := newRevision(t, "echo a longer first line; read x < go; echo new > /dev/stdout; exit 1")
	makeFifo(t, filepath.Join(dir, "go"))
	out.seen = func(text string) {
		if strings.Count(text, "\n") == 1 {
			mustDo(t, os.WriteFile(filepath.Join(dir, "go"), []byte("\n"), 0))
		}
	}
	exit, ok := errors.AsType[*ExitError](run(t, dir, Options{Output: out}))
	if want := prefix + "a longer first line\n" + prefix + "new\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if !ok || exit.Tail != "new" {
		t.Errorf("tail %q, want new", exit.Tail)
	}
}

// stuck is an output that blocks until it is let go.
type stuck struct {
	free  chan struct{}
	bytes int
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	s.bytes += len(p)
	return len(p), nil
}

func TestFloodFillsNeitherDiskNorOutput(t *testing.T) {
	const limit, flood, most = 64 << 10, 17 * 15_000_000, 128 << 20 // the line has 17 bytes
	dir := newRevision(t, "yes 'a line of output' | head -c "+strconv.Itoa(flood)+"; echo over > over; read -r x < go; echo the end; exit 1")
	makeFifo(t, filepath.Join(dir, "go"))
	out := &stuck{free: make(chan struct{})}
	var largest atomic.Int64
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for { // until the hook is through, though nobody reads its output
			if info, err := os.Stat(logOf(dir)); err == nil {
				largest.Store(max(largest.Load(), info.Size()))
			}
			if _, err := os.Stat(filepath.Join(dir, "over")); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		close(out.free)
		for { // until the last cut, so that it can't hit the last line
			if info, err := os.Stat(logOf(dir)); err != nil || info.Size() <= limit {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err := os.WriteFile(filepath.Join(dir, "go"), []byte("\n"), 0); err != nil {
			t.Error(err)
		}
	}()
	err := run(t, dir, Options{Output: out, LogLimit: limit, Timeout: 30 * time.Second})
	<-watching
	if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Code != 1 || !strings.HasSuffix(exit.Tail, "the end") { // the line before it may have been cut
		t.Errorf("got %v, want exit code 1 and the end in the tail", err)
	}
	if largest.Load() > most || out.bytes > most {
		t.Errorf("log of %d bytes, %d copied; want at most %d", largest.Load(), out.bytes, most)
	}
	t.Logf("largest log %d bytes, copied %d", largest.Load(), out.bytes)
	if text := readFile(t, logOf(dir)); len(text) > limit || !strings.HasSuffix(text, "the end\n") {
		t.Errorf("log of %d bytes ending in %.20q, want at most %d", len(text), text[max(0, len(text)-20):], limit)
	}
}

func TestCutLog(t *testing.T) {
	l := openTestLog(t)
	say(t, l, 0, 100)
	mustDo(t, CutLog(nil, l.file.Name(), 1000)) // not longer than that
	if got := readFile(t, l.file.Name()); got != lines(0, 100) {
		t.Errorf("log of %d bytes, want all", len(got))
	}
	mustDo(t, CutLog(nil, l.file.Name(), 999))
	say(t, l, 100, 101) // its writer goes on
	if got := readFile(t, l.file.Name()); len(got) > 400 || !strings.HasSuffix(got, lines(77, 101)) {
		t.Errorf("log %q, want its end", got)
	}
	mustDo(t, CutLog(nil, l.file.Name()+".none", 0))
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sizes notes how long each write is.
type sizes []int

func (s *sizes) Write(p []byte) (int, error) {
	*s = append(*s, len(p))
	return len(p), nil
}

func TestFloodOfEmptyLinesIsWrittenPieceByPiece(t *testing.T) {
	const lines = 1 << 20
	var out sizes
	a := &annotator{out: &out, prefix: "my_site.2026112145296Wq post-sync | "}
	a.write(bytes.Repeat([]byte("\n"), lines))
	total := 0
	for _, size := range out {
		total += size
	}
	if want := lines * (len(a.prefix) + 1); total != want {
		t.Errorf("%d bytes written, want %d", total, want)
	}
	if longest := slices.Max(out); longest > maxWrite+maxLine {
		t.Errorf("%d bytes written at a time, want about %d", longest, maxWrite)
	}
}
