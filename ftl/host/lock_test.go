package host

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
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
	if _, err := p.lock(t.Context(), changeLock, patience{}); !isBusy(err) || !strings.Contains(err.Error(), `"ftl test"`) {
		t.Errorf("got %v, want busy with %q", err, "ftl test")
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
	if err := l.release(); err != nil {
		t.Errorf("released twice: %v", err)
	}
	mustLock(t, p).release()
}

func TestWaitForLockEndsWithTheContext(t *testing.T) {
	p := newPackage(t)
	defer mustLock(t, p).release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.lock(ctx, changeLock, patience{wait: time.Hour}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

// Who waits has the old file open. When that becomes free, the lock that counts
// is another one.
func TestLockFileReplacedWhileWaiting(t *testing.T) {
	p := newPackage(t)
	old := mustLock(t, p)
	path := filepath.Join(p.dir, changeLock.file)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := old.release(); err != nil {
		t.Fatal(err)
	}
	l := mustLock(t, p)
	defer l.release()
	if _, err := p.lock(t.Context(), changeLock, patience{}); !isBusy(err) {
		t.Errorf("got %v, want busy", err)
	}
}

func TestLockFileDeletedUnderItsHolder(t *testing.T) {
	p := newPackage(t)
	other := startProcess(t)
	record(t, p, holder{Process: other, Command: "ftl other", Since: time.Now()})
	if _, err := p.lock(t.Context(), changeLock, patience{}); !isBusy(err) || !strings.Contains(err.Error(), "ftl other") {
		t.Errorf("got %v, want busy with its holder", err)
	}
	record(t, p, holder{Process: other, Released: true})
	mustLock(t, p).release()
}

func TestRecordOfDeadHolder(t *testing.T) {
	p := newPackage(t)
	other := startProcess(t)
	dead := other
	dead.Start++ // another process that had this pid
	record(t, p, holder{Process: dead, Hook: &runningHook{Process: dead, Name: hooks.UnJump, Since: time.Now()}})
	l := mustLock(t, p)
	defer l.release()
	if held, ok := p.readHolder(changeLock); !ok || held.Hook != nil || held.Process == dead {
		t.Errorf("the record still has the dead holder: %+v", held)
	}
}

func TestRecordThatIsNoRecord(t *testing.T) {
	p := newPackage(t)
	if err := os.WriteFile(filepath.Join(p.dir, changeLock.record), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustLock(t, p).release()
}

// A hook that outlived its ftl is waited for, and stays on record for the next
// one if that wait is broken off.
func TestHookThatOutlivedItsFtl(t *testing.T) {
	p := newPackage(t)
	hook := startProcess(t)
	record(t, p, holder{Hook: &runningHook{Process: hook, Name: hooks.UnJump, Revision: letter(t, "a"), Since: time.Now()}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := p.lock(ctx, changeLock, patience{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a wait for the hook", err)
	}
	if held, _ := p.readHolder(changeLock); held.Hook == nil || held.Hook.Process != hook {
		t.Errorf("the hook is no longer on record: %+v", held)
	}

	p.host.HookTimeout = time.Nanosecond // it has had its time
	l := mustLock(t, p)
	defer l.release()
	if alive, err := hook.Alive(); alive || err != nil {
		t.Errorf("the hook is alive: %v, %v", alive, err)
	}
}

func TestLockThatIsALink(t *testing.T) {
	p := newPackage(t)
	if err := os.Symlink("elsewhere", filepath.Join(p.dir, changeLock.file)); err != nil {
		t.Fatal(err)
	}
	_, err := p.lock(t.Context(), changeLock, patience{})
	if failure, ok := errors.AsType[*ftl.Error](err); !ok || failure.Kind != ftl.Refused {
		t.Errorf("got %v, want it refused", err)
	}
	if _, err := os.Lstat(filepath.Join(p.dir, "elsewhere")); err == nil {
		t.Error("the link was followed")
	}
}

func mustLock(t *testing.T, p *pkg) *lock {
	t.Helper()
	l, err := p.lock(t.Context(), changeLock, patience{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func isBusy(err error) bool {
	failure, ok := errors.AsType[*ftl.Error](err)
	return ok && failure.Kind == ftl.Busy
}

func record(t *testing.T, p *pkg, h holder) {
	t.Helper()
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, changeLock.record), data, 0o644); err != nil {
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
