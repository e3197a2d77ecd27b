package hooks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRunSurroundings(t *testing.T) {
	t.Setenv("FTL_ATTEMPT", "7")
	t.Setenv("FTL_HOOK", "outer")
	t.Setenv("FTL_BUCKET", "releases")
	t.Setenv("INHERITED", "yes")
	t.Setenv("PWD", "") // only so that it is put back
	os.Unsetenv("PWD")
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := newRevision(t, `#!/bin/sh
echo "hook=$FTL_HOOK attempt=${FTL_ATTEMPT-unset} bucket=$FTL_BUCKET inherited=$INHERITED"
pwd
env | sed -n s/^PWD=//p
umask
cat; echo "stdin ended"
echo "$0"
echo "on stderr" >&2
set -- $(cat /proc/$$/stat); test $5 = $$ && echo "group leader"
`)
	if err := run(t, dir, Options{Env: []string{"FTL_HOOK=post-sync"}}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"hook=post-sync attempt=unset bucket=releases inherited=yes", dir, dir, "0022", "stdin ended",
		"./ftl/post-sync", "on stderr", "group leader",
	}
	if got := strings.Split(strings.TrimSpace(readFile(t, logOf(dir))), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRunWithoutInterpreterLine(t *testing.T) {
	dir := newRevision(t, "echo by the shell; exit 4\n")
	err := run(t, dir, Options{})
	if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Code != 4 || exit.Tail != "by the shell" {
		t.Errorf("got %#v, want exit code 4 and the output", err)
	}
}

func TestRunExit(t *testing.T) {
	const hook = "post-sync of my_site.2026112145296Wq "
	for _, test := range []struct {
		script, want string
		code         int
	}{
		{"echo oops; exit 3", hook + "exited with 3", 3},
		{"echo oops; exit 75", hook + "exited with 75", NotNow},
		{"echo oops; kill -9 $$", hook + "was ended by signal 9 (killed)", 137},
		{"echo oops; no-such-command", hook + "exited with 127 (a command was not found)", 127},
	} {
		exit, ok := errors.AsType[*ExitError](run(t, newRevision(t, test.script), Options{}))
		if !ok {
			t.Errorf("%s: no ExitError", test.script)
			continue
		}
		if exit.Error() != test.want || exit.Code != test.code || exit.TimedOut || !strings.HasPrefix(exit.Tail, "oops") {
			t.Errorf("%s: got %q, %+v; want %q, code %d", test.script, exit, exit, test.want, test.code)
		}
	}
}

func TestRunCannotStart(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"missing interpreter", "#! /no/such/python -u\n", "its interpreter /no/such/python: no such file"},
		{"empty interpreter", "#!\n", "names no interpreter"},
		{"windows line ends", "#!/bin/sh\r\necho\r\n", "CR LF"},
		{"garbage", "\x01\x02\x00\x03", "neither a script nor a program"},
		{"broken program", "\x7fELF\x02\x01\x01", "read program"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := run(t, newRevision(t, test.script), Options{})
			if _, ran := errors.AsType[*ExitError](err); err == nil || ran || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestRunProgram(t *testing.T) {
	program, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err := run(t, newRevision(t, string(program)), Options{}); err != nil {
		t.Errorf("got %v, want a program to run", err)
	}
	for _, machine := range []byte{0x15, 0x16} { // PowerPC, S/390
		program[18] = machine
		err := run(t, newRevision(t, string(program)), Options{})
		if err == nil || !strings.Contains(err.Error(), "another processor") {
			t.Errorf("got %v, want a foreign program refused", err)
		}
	}
}

// stubborn is a hook that doesn't care for TERM and has a child in its group
// that doesn't either.
const stubborn = `#!/bin/sh
trap '' TERM
sh -c 'echo child $$; while :; do sleep 1; done' &
while :; do sleep 1; done
`

func TestTimeoutEndsTheWholeGroup(t *testing.T) {
	dir := newRevision(t, stubborn)
	var hook, grandchild Process
	out := &output{seen: func(text string) { grandchild = processIn(t, text) }}
	err := run(t, dir, Options{
		Timeout: time.Second, Grace: 100 * time.Millisecond, Output: out,
		Started: func(p Process) error { hook = p; return nil },
	})
	exit, ok := errors.AsType[*ExitError](err)
	if !ok || !exit.TimedOut || exit.Code != 137 {
		t.Fatalf("got %#v, want a timeout that ended in KILL", err)
	}
	if want := "post-sync of my_site.2026112145296Wq did not end within 1s and was killed"; exit.Error() != want {
		t.Errorf("got %q, want %q", exit, want)
	}
	wantGone(t, grandchild)
	wantNoZombie(t, hook)
}

func TestCancelEndsTheHook(t *testing.T) {
	dir := newRevision(t, `#!/bin/sh
trap 'echo cleaning up; exit 0' TERM
echo ready
while :; do sleep 0.1; done
`)
	s := findIn(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &output{seen: func(text string) {
		if strings.Contains(text, "| ready\n") {
			cancel()
		}
	}}
	var hook Process
	err := s.Run(ctx, Options{Log: logOf(dir), Output: out, Started: func(p Process) error { hook = p; return nil }})
	exit, ok := errors.AsType[*ExitError](err)
	if !ok || exit.TimedOut || exit.Code != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("got %#v, want an interrupted hook that wraps context.Canceled", err)
	}
	if !strings.HasSuffix(out.String(), "| cleaning up\n") {
		t.Errorf("got output %q, want what the hook said after TERM", out)
	}
	wantNoZombie(t, hook)
}

func TestCancelledBeforeTheStart(t *testing.T) {
	dir := newRevision(t, "echo ran > ran")
	s := findIn(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	started := func(Process) error { cancel(); return nil } // the last instant that counts
	if err := s.Run(ctx, Options{Log: logOf(dir), Started: started}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	} else if _, ran := errors.AsType[*ExitError](err); ran {
		t.Errorf("got %#v, want no ExitError of a hook that didn't run", err)
	}
	wantNotRun(t, dir)
}

// processIn identifies the process of a line "… | child PID".
func processIn(t *testing.T, text string) Process {
	_, after, found := strings.Cut(text, "| child ")
	if !found {
		return Process{}
	}
	pid, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Error(err)
	}
	p, err := Of(pid)
	if err != nil {
		t.Error(err)
	}
	return p
}

func wantGone(t *testing.T, p Process) {
	t.Helper()
	if p == (Process{}) {
		t.Fatal("no process to look for")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		t.Error(err)
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
}

func wantNoZombie(t *testing.T, p Process) {
	t.Helper()
	if err := syscall.Kill(p.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("signal hook %d: got %v, want no such process", p.PID, err)
	}
}

func wantNotRun(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(dir, "ran")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the hook ran (%v)", err)
	}
}
