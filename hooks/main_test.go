package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary play an ftl that can be killed, or that was
// started with descriptors it didn't ask for.
func TestMain(m *testing.M) {
	switch os.Getenv("HOOKS_TEST_ROLE") {
	case "":
		os.Exit(m.Run())
	case "dies at the gate":
		exitWith(runHere(func(p Process) error {
			if err := json.NewEncoder(os.Stdout).Encode(p); err != nil {
				return err
			}
			select {} // until killed
		}))
	case "closes inherited":
		if err := CloseInherited(); err != nil {
			exitWith(err)
		}
		wantMarked(3, 4)
		exitWith(runHere(nil))
	case "closes listed":
		if err := closeListed(); err != nil {
			exitWith(err)
		}
		wantMarked(3, 4)
		exitWith(runHere(nil))
	case "closes nothing":
		exitWith(runHere(nil))
	}
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// wantMarked exits unless the descriptors are open, but not for children.
func wantMarked(fds ...uintptr) {
	for _, fd := range fds {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			exitWith(fmt.Errorf("descriptor %d: flags %d, %v; want close-on-exec", fd, flags, err))
		}
	}
}

func runHere(started func(Process) error) error {
	dir, err := Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	s, err := Find(dir, PostSync)
	if err != nil {
		return err
	}
	return s.Run(context.Background(), Options{Log: "log", Started: started})
}

// newRevision makes a revision with the given post-sync, and returns it.
func newRevision(t *testing.T, script string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my_site.2026112145296Wq")
	writeFile(t, filepath.Join(dir, "ftl", "post-sync"), script, 0o755)
	return dir
}

// writeFile writes a file that may be executed at once: no process that is
// being forked meanwhile holds it open for writing (go.dev/issue/22315).
func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func makeFifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// logOf is where the hook of a revision logs to in these tests.
func logOf(dir string) string { return dir + ".log" }

// run runs the post-sync of a revision made by newRevision.
func run(t *testing.T, dir string, o Options) error {
	t.Helper()
	s := findIn(t, dir)
	o.Log = logOf(dir)
	return s.Run(t.Context(), o)
}

// open opens the directory of a revision until the test ends.
func open(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// findIn finds the post-sync of a revision.
func findIn(t *testing.T, dir string) Script {
	t.Helper()
	s, err := Find(open(t, dir), PostSync)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// output is what Output got, and calls seen, if not nil, after each write.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen func(text string)
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.seen != nil {
		o.seen(o.text.String())
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func wantAlive(t *testing.T, p Process, want bool) {
	t.Helper()
	if got, err := p.Alive(); err != nil || got != want {
		t.Errorf("Alive(%+v) = %v, %v; want %v", p, got, err, want)
	}
}
