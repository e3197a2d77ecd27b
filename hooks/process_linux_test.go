package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " 3 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 2 3"
	for _, test := range []struct {
		text string
		want processStat
	}{
		{"7 (sh) S" + rest, processStat{start: 4711, parent: 3}},
		{"7 (a) S 1 2) R" + rest, processStat{start: 4711, parent: 3}},
		{"7 (two words) Z" + rest, processStat{start: 4711, parent: 3, ended: true}},
	} {
		if got, err := parseStat([]byte(test.text)); err != nil || got != test.want {
			t.Errorf("parseStat(%q) = %+v, %v; want %+v", test.text, got, err, test.want)
		}
	}
	for _, bad := range []string{"", "7 (sh) S 1 2", "7 (sh"} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", bad, got)
		}
	}
}

func TestSelf(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(self)
	if err != nil {
		t.Fatal(err)
	}
	var read Process
	if err := json.Unmarshal(text, &read); err != nil || read != self {
		t.Errorf("read %+v, %v; want %+v", read, err, self)
	}
	wantAlive(t, self, true)
}

func TestRunning(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	uptime, err := sinceBoot()
	if err != nil {
		t.Fatal(err)
	}
	young, old := self, self
	young.Start, old.Start = uint64((uptime+time.Hour)/(time.Second/ticksPerSecond)), 0
	for _, test := range []struct {
		process  Process
		min, max time.Duration
	}{{self, 0, uptime}, {old, uptime, uptime + time.Hour}, {young, 0, 0}} {
		if got, err := test.process.Running(); err != nil || got < test.min || got > test.max {
			t.Errorf("Running(%+v) = %v, %v; want it in [%v, %v]", test.process, got, err, test.min, test.max)
		}
	}
}

func TestAliveIsThatVeryProcess(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	restarted, rebooted := self, self
	restarted.Start--
	rebooted.Boot = "another"
	for _, p := range []Process{{}, restarted, rebooted, {PID: -1, Start: self.Start, Boot: self.Boot}} {
		wantAlive(t, p, false)
		if err := p.Terminate(t.Context(), time.Second); err != nil { // would be the end of this test
			t.Errorf("Terminate(%+v) = %v", p, err)
		}
	}
}

func TestContains(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	// "; true" keeps the outer shell from becoming the inner one.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sh -c 'echo $$; read x; exit'; true")
	stdin, err := cmd.StdinPipe()
	mustDo(t, err)
	stdout, err := cmd.StdoutPipe()
	mustDo(t, err)
	mustDo(t, cmd.Start())
	var grandchild int
	_, err = fmt.Fscan(stdout, &grandchild)
	mustDo(t, err)
	child, err := Of(cmd.Process.Pid)
	mustDo(t, err)

	gone := child
	gone.Start--
	for _, test := range []struct {
		name string
		p    Process
		pid  int
		want bool
	}{
		{"itself", self, self.PID, true},
		{"child", self, child.PID, true},
		{"grandchild", self, grandchild, true},
		{"parent", child, self.PID, false},
		{"no process", self, 0, false},
		{"in one that is gone", gone, grandchild, false},
	} {
		if got, err := test.p.Contains(test.pid); err != nil || got != test.want {
			t.Errorf("%s: Contains = %v, %v; want %v", test.name, got, err, test.want)
		}
	}
	mustDo(t, stdin.Close())
	mustDo(t, cmd.Wait())
	if got, err := self.Contains(grandchild); err != nil || got {
		t.Errorf("ended: Contains = %v, %v; want false", got, err)
	}
}

func TestZombieIsNotAlive(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	wantAlive(t, p, true)
	_ = cmd.Process.Kill()
	wantGone(t, p) // though not waited for yet
	_ = cmd.Wait()
	if _, err := Of(p.PID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Of an ended process: %v, want fs.ErrNotExist", err)
	}
}

func TestTerminateFromOutside(t *testing.T) {
	dir := newRevision(t, stubborn)
	recorded := make(chan Process, 1)
	var grandchild Process
	ready := make(chan Process, 1)
	out := &output{seen: func(text string) {
		if grandchild == (Process{}) {
			grandchild = processIn(t, text)
			ready <- <-recorded
		}
	}}
	terminated := make(chan error, 1)
	go func() {
		hook := <-ready
		err := hook.Terminate(t.Context(), 100*time.Millisecond)
		wantAlive(t, hook, false)
		terminated <- err
	}()
	err := run(t, dir, Options{Output: out, Started: func(p Process) error { recorded <- p; return nil }})
	if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Signal != syscall.SIGKILL || exit.TimedOut {
		t.Errorf("got %#v, want a hook ended by KILL", err)
	}
	if err := <-terminated; err != nil {
		t.Errorf("Terminate = %v", err)
	}
	wantGone(t, grandchild)
}

func TestSignalGroupRefusesWhatIsNoHook(t *testing.T) {
	for _, pgid := range []int{-1, 0, 1} {
		if err := signalGroup(pgid, 0); err == nil {
			t.Errorf("signalGroup(%d) = nil", pgid)
		}
	}
}
