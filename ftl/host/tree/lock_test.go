package tree

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
)

func TestBusyLock(t *testing.T) {
	p := newPackage(t)
	l := mustLock(t, p)
	if _, err := p.Lock(t.Context(), ChangeLock, Patience{}); !isBusy(err) || !strings.Contains(err.Error(), `"ftl test"`) {
		t.Errorf("got %v, want busy with %q", err, "ftl test")
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Errorf("released twice: %v", err)
	}
	mustLock(t, p).Release()
}

func TestWaitForLockEndsWithTheContext(t *testing.T) {
	p := newPackage(t)
	defer mustLock(t, p).Release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Lock(ctx, ChangeLock, Patience{Wait: time.Hour}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

// Who waits has the old file open. When that becomes free, the lock that counts
// is another one.
func TestLockFileReplacedWhileWaiting(t *testing.T) {
	p := newPackage(t)
	old := mustLock(t, p)
	path := filepath.Join(p.Dir, ChangeLock.File)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	l := mustLock(t, p)
	defer l.Release()
	if _, err := p.Lock(t.Context(), ChangeLock, Patience{}); !isBusy(err) {
		t.Errorf("got %v, want busy", err)
	}
}

func TestLockFileDeletedUnderItsHolder(t *testing.T) {
	p := newPackage(t)
	other := startProcess(t)
	record(t, p, Holder{Process: other, Command: "ftl other", Since: time.Now()})
	if _, err := p.Lock(t.Context(), ChangeLock, Patience{}); !isBusy(err) || !strings.Contains(err.Error(), "ftl other") {
		t.Errorf("got %v, want busy with its holder", err)
	}
	record(t, p, Holder{Process: other, Released: true})
	mustLock(t, p).Release()
}

func TestRecordOfDeadHolder(t *testing.T) {
	p := newPackage(t)
	other := startProcess(t)
	dead := other
	dead.Start++ // another process that had this pid
	record(t, p, Holder{Process: dead, Hook: &RunningHook{Process: dead, Name: ftl.UnJump, Since: time.Now()}})
	l := mustLock(t, p)
	defer l.Release()
	if held, ok := p.ReadHolder(ChangeLock); !ok || held.Hook != nil || held.Process == dead {
		t.Errorf("the record still has the dead holder: %+v", held)
	}
}

func TestRecordThatIsNoRecord(t *testing.T) {
	p := newPackage(t)
	if err := os.WriteFile(filepath.Join(p.Dir, ChangeLock.Record), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustLock(t, p).Release()
}

// A clock that is set between taking a lock and asking for it makes ages that
// nobody may be told, or decide by.
func TestAgeByASpoiltClock(t *testing.T) {
	process := startProcess(t)
	for _, test := range []struct {
		since    time.Time
		min, max time.Duration
	}{
		{time.Now().Add(-3 * time.Hour), 3 * time.Hour, 4 * time.Hour},
		{time.Unix(0, 0), 0, time.Hour},
		{time.Time{}, 0, time.Hour},
		{time.Now().AddDate(1, 0, 0), 0, time.Hour},
	} {
		if got := Age(test.since, process); got < test.min || got > test.max {
			t.Errorf("since %v: got %v, want it in [%v, %v]", test.since, got, test.min, test.max)
		}
	}
}

func TestHolderSince1970(t *testing.T) {
	p := newPackage(t)
	other := startProcess(t)
	hook := &RunningHook{Process: other, Name: ftl.UnJump, Since: time.Unix(0, 0)}
	record(t, p, Holder{Process: other, Command: "ftl other", Since: time.Unix(0, 0), Hook: hook})
	short := regexp.MustCompile(`for (\d+m)?\d+s, in un-jump of .* for (\d+m)?\d+s$`)
	if _, err := p.Lock(t.Context(), ChangeLock, Patience{}); !isBusy(err) || !short.MatchString(err.Error()) {
		t.Errorf("got %v, want busy, and how long the process runs", err)
	}
}

// A hook that outlived its ftl is waited for, and stays on record for the next
// one if that wait is broken off.
func TestHookThatOutlivedItsFtl(t *testing.T) {
	p := newPackage(t)
	hook := startProcess(t)
	record(t, p, Holder{Hook: &RunningHook{Process: hook, Name: ftl.UnJump, Revision: letter(t, "a"), Since: time.Now()}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := p.Lock(ctx, ChangeLock, Patience{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a wait for the hook", err)
	}
	if held, _ := p.ReadHolder(ChangeLock); held.Hook == nil || held.Hook.Process != hook {
		t.Errorf("the hook is no longer on record: %+v", held)
	}

	p.HookTimeout = func() time.Duration { return time.Nanosecond } // it has had its time
	l := mustLock(t, p)
	defer l.Release()
	if alive, err := hook.Alive(); alive || err != nil {
		t.Errorf("the hook is alive: %v, %v", alive, err)
	}
}

func TestLockThatIsALink(t *testing.T) {
	p := newPackage(t)
	if err := os.Symlink("elsewhere", filepath.Join(p.Dir, ChangeLock.File)); err != nil {
		t.Fatal(err)
	}
	_, err := p.Lock(t.Context(), ChangeLock, Patience{})
	if failure, ok := errors.AsType[*ftl.Error](err); !ok || failure.Kind != ftl.Refused {
		t.Errorf("got %v, want it refused", err)
	}
	if _, err := os.Lstat(filepath.Join(p.Dir, "elsewhere")); err == nil {
		t.Error("the link was followed")
	}
}

func isBusy(err error) bool {
	failure, ok := errors.AsType[*ftl.Error](err)
	return ok && failure.Kind == ftl.Busy
}

func record(t *testing.T, p *Tree, h Holder) {
	t.Helper()
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.Dir, ChangeLock.Record), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// startProcess starts a process that leads a group, as a hook does, and lives
// until the test ends.
func startProcess(t *testing.T) hooks.Process {
	t.Helper()
	command := exec.Command("sleep", "60")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { command.Wait(); close(ended) }()
	t.Cleanup(func() { command.Process.Kill(); <-ended })
	process, err := hooks.Of(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return process
}

func TestLockWhoseRecordIsADirectory(t *testing.T) {
	p := newPackage(t)
	path := filepath.Join(p.Dir, ChangeLock.Record)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := p.Lock(t.Context(), ChangeLock, Patience{})
	if failure, ok := errors.AsType[*ftl.Error](err); !ok || failure.Kind != ftl.Refused || !strings.Contains(err.Error(), path+" is a directory") {
		t.Errorf("got %v, want that it is a directory", err)
	}
}
