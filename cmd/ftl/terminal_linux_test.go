package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/store/s3test"
)

// terminal is a pseudo-terminal, and all that was printed on it.
type terminal struct {
	user    *os.File // where a person would sit
	program *os.File
	ended   chan struct{}

	mu     sync.Mutex
	screen bytes.Buffer
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(user.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}); err != nil {
		t.Fatal(err)
	}
	s := &terminal{user: user, program: program, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		io.Copy(s, user) // ends with an error when nobody has the terminal open
	}()
	t.Cleanup(func() { user.Close() })
	return s
}

func (s *terminal) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.Write(data)
}

func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.String()
}

// run runs a program on the terminal to its end, and returns what was printed.
func (s *terminal) run(t *testing.T, program *exec.Cmd) string {
	t.Helper()
	program.Stdin, program.Stdout, program.Stderr = s.program, s.program, s.program
	program.Run() // the exit code is not what this is about
	s.program.Close()
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the terminal stays open")
	}
	return s.text()
}

// ftl is a command line. The program is this test's own, which has a name of its
// own while the tests run.
func ftl(env []string, args ...string) *exec.Cmd {
	program := exec.Command("ftl", args...)
	program.Env = append(append(os.Environ(), "TERM=xterm", "FTL_ENV_FILE=none"), env...)
	return program
}

func TestColours(t *testing.T) {
	for _, test := range []struct {
		env  []string
		want string
	}{
		{[]string{"FTL_ROOT="}, "\x1b[31mftl:\x1b[0m FTL_ROOT is not set"},
		{[]string{"FTL_ROOT=", "NO_COLOR=1"}, "ftl: FTL_ROOT is not set"},
		{[]string{"FTL_ROOT=", "TERM=dumb"}, "ftl: FTL_ROOT is not set"},
	} {
		if got := openTerminal(t).run(t, ftl(test.env, "sync")); !strings.HasPrefix(got, test.want) {
			t.Errorf("%v: got %q, want %q", test.env, got, test.want)
		}
	}
}

// A package that runs is not removed by a slip of the fingers.
func TestRemoveAsksOnATerminal(t *testing.T) {
	work := t.TempDir()
	root := filepath.Join(work, "root")
	for _, dir := range []string{filepath.Join(root, "my_site"), filepath.Join(work, "bucket"), filepath.Join(work, "my_site", "ftl")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"FTL_BUCKET=file://" + filepath.Join(work, "bucket"), "FTL_ROOT=" + root}
	out, err := ftl(env, "spool", filepath.Join(work, "my_site")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := ftl(env, "jump", strings.TrimSpace(string(out))).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []struct{ answer, want string }{
		{"\n", "ftl remove --yes my_site"},
		{"no\n", "ftl remove --yes my_site"},
		{"y\n", "my_site is removed"},
	} {
		s := openTerminal(t)
		if _, err := s.user.WriteString(test.answer); err != nil {
			t.Fatal(err)
		}
		got := s.run(t, ftl(env, "remove", "my_site"))
		if !strings.Contains(got, "remove my_site from this host? [y/N] ") || !strings.Contains(got, test.want) {
			t.Errorf("%q: %q is missing on the screen:\n%s", test.answer, test.want, got)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "my_site")); err == nil {
		t.Error("the package is still there")
	}
}

// A slow bucket, a large revision, and a person who watches.
func TestProgressOnATerminal(t *testing.T) {
	server := s3test.Start(t)
	proxy := s3test.NewProxy(t, server.Endpoint)
	bucket := server.Bucket(t)
	work := t.TempDir()
	root := filepath.Join(work, "root")
	content := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(content) // does not compress
	for _, dir := range []string{filepath.Join(root, "my_site"), filepath.Join(work, "my_site")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(work, "my_site", "large"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	env := append(server.Env(), "FTL_BUCKET="+bucket, "FTL_ROOT="+root)
	proxied := append(slices.Clone(env), "AWS_ENDPOINT_URL="+proxy.URL, "AWS_ENDPOINT_URL_S3="+proxy.URL)
	proxy.Add(s3test.Rule{Method: "PUT", Key: "my_site.*.tar.zst", Fault: s3test.Slow(32<<10, 30*time.Millisecond)})
	shown := openTerminal(t).run(t, ftl(proxied, "spool", filepath.Join(work, "my_site")))
	for _, want := range []string{"my_site pack ", "my_site upload ", " / 1.0 MiB [", "my_site.20"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing on the screen of a spool:\n%q", want, shown)
		}
	}
	if last := shown[strings.LastIndex(shown, "\x1b[J")+1:]; strings.Contains(last, "[=") {
		t.Errorf("a bar of a spool was left on the screen: %q", last)
	}

	proxy.Add(s3test.Rule{Method: "GET", Key: "my_site.*.tar.zst", Fault: s3test.Trickle(1<<20-1000, time.Millisecond)})
	env = proxied
	got := openTerminal(t).run(t, ftl(env, "sync"))
	for _, want := range []string{" fetch ", " unpack ", "MiB", "/s", " is ready"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing on the screen:\n%q", want, got)
		}
	}
	// What stays is the line, not the bars.
	if last := got[strings.LastIndex(got, "\x1b[J")+1:]; strings.Contains(last, "[=") {
		t.Errorf("a bar was left on the screen: %q", last)
	}

	// A terminal that can't move its cursor, and a file, get lines of text.
	anew := func() {
		if err := os.RemoveAll(filepath.Join(root, "my_site")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(root, "my_site"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	anew()
	if got := openTerminal(t).run(t, ftl(append(env, "TERM=dumb"), "sync")); strings.Contains(got, "\x1b") || strings.Count(got, "\n") != 1 {
		t.Errorf("on a dumb terminal: got %q, want a line of text", got)
	}
	anew()
	out, err := ftl(append(env, "AWS_ENDPOINT_URL="+server.Endpoint, "AWS_ENDPOINT_URL_S3="+server.Endpoint), "sync").CombinedOutput()
	if err != nil || strings.Contains(string(out), "\x1b") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("into a pipe: got %q, %v, want one plain line", out, err)
	}
}
