package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
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
	program.Env = append(os.Environ(), append(env, "TERM=xterm")...)
	return program
}

func TestColours(t *testing.T) {
	for _, test := range []struct {
		env  []string
		want string
	}{
		{[]string{"FTL_ROOT="}, "\x1b[31mftl:\x1b[0m FTL_ROOT is not set"},
		{[]string{"FTL_ROOT=", "NO_COLOR=1"}, "ftl: FTL_ROOT is not set"},
	} {
		if got := openTerminal(t).run(t, ftl(test.env, "sync")); !strings.HasPrefix(got, test.want) {
			t.Errorf("%v: got %q, want %q", test.env, got, test.want)
		}
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
	if out, err := ftl(env, "spool", filepath.Join(work, "my_site")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	proxy.Add(s3test.Rule{Method: "GET", Key: "my_site.*.tar.zst", Fault: s3test.Trickle(1<<20-1000, time.Millisecond)})
	env = append(env, "AWS_ENDPOINT_URL="+proxy.URL, "AWS_ENDPOINT_URL_S3="+proxy.URL)
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

	// In a file there are plain lines only.
	if err := os.RemoveAll(filepath.Join(root, "my_site")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "my_site"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := ftl(append(env, "AWS_ENDPOINT_URL="+server.Endpoint, "AWS_ENDPOINT_URL_S3="+server.Endpoint), "sync").CombinedOutput()
	if err != nil || strings.Contains(string(out), "\x1b") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("into a pipe: got %q, %v, want one plain line", out, err)
	}
}
