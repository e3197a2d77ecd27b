package hooks

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestStartedFails(t *testing.T) {
	dir := newRevision(t, "echo ran > ran")
	full := errors.New("disk is full")
	var hook Process
	err := run(t, dir, Options{Started: func(p Process) error { hook = p; return full }})
	if !errors.Is(err, full) {
		t.Errorf("got %v, want the error of Started", err)
	}
	wantNotRun(t, dir)
	wantNoZombie(t, hook)
}

func TestStartedComesFirst(t *testing.T) {
	dir := newRevision(t, "echo ran > ran; echo child $$")
	var hook Process
	out := &output{}
	err := run(t, dir, Options{Output: out, Started: func(p Process) error {
		hook = p
		wantNotRun(t, dir)
		if alive, err := p.Alive(); err != nil || !alive {
			t.Errorf("Alive at the gate = %v, %v", alive, err)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if readFile(t, filepath.Join(dir, "ran")) == "" {
		t.Error("the hook has not run")
	}
	if _, pid, _ := strings.Cut(strings.TrimSpace(out.String()), "| child "); pid != strconv.Itoa(hook.PID) {
		t.Errorf("the hook is process %s, but %d was recorded", pid, hook.PID)
	}
}

func TestHookDoesNotRunWhenFTLDiesAtTheGate(t *testing.T) {
	dir := newRevision(t, "echo ran > ran")
	ftl := actAs(t, "dies at the gate", dir)
	stdout, err := ftl.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ftl.Start(); err != nil {
		t.Fatal(err)
	}
	var hook Process
	if err := json.NewDecoder(stdout).Decode(&hook); err != nil {
		t.Fatal(err)
	}
	if alive, err := hook.Alive(); err != nil || !alive {
		t.Errorf("Alive at the gate = %v, %v", alive, err)
	}
	_ = ftl.Process.Kill()
	_ = ftl.Wait()
	wantGone(t, hook)
	wantNotRun(t, dir)
}

func TestNoDescriptorReachesTheHook(t *testing.T) {
	for role, inherits := range map[string]bool{
		"closes inherited": false,
		"closes listed":    false,
		"closes nothing":   true, // or this test would prove nothing
	} {
		t.Run(role, func(t *testing.T) {
			dir := newRevision(t, "ls -l /proc/self/fd\n")
			lock, err := os.Create(dir + ".lock")
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
			ftl := actAs(t, role, dir)
			ftl.ExtraFiles = []*os.File{lock, lock}
			if out, err := ftl.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := descriptors(readFile(t, filepath.Join(dir, "log"))); (got != "0 1 2") != inherits {
				t.Errorf("the hook has the descriptors %s", got)
			}
		})
	}
}

// descriptors returns the descriptors in a list of /proc/self/fd, without the
// one that ls lists it through.
func descriptors(list string) string {
	var fds []string
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		if len(words) < 3 || words[len(words)-2] != "->" || strings.HasSuffix(words[len(words)-1], "/fd") {
			continue
		}
		fds = append(fds, words[len(words)-3])
	}
	return strings.Join(fds, " ")
}

// actAs returns the test binary in one of TestMain's roles, in a directory.
func actAs(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOOKS_TEST_ROLE="+role)
	return cmd
}
