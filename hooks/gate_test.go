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

// Who may rename the revision's directory can't have another one's hook run in
// its place, not even at the last moment.
func TestExchangedRevisionIsNotRun(t *testing.T) {
	dir := newRevision(t, "pwd; cat ftl/post-sync >/dev/null && echo ran > ran")
	other := newRevision(t, "echo ran > ran")
	exchange := func(Process) error {
		if err := os.Rename(dir, dir+".away"); err != nil {
			return err
		}
		return os.Rename(other, dir)
	}
	if err := run(t, dir, Options{Started: exchange}); err != nil {
		t.Fatal(err)
	}
	wantNotRun(t, dir)
	if got, want := readFile(t, logOf(dir)), dir+".away\n"; got != want {
		t.Errorf("the hook ran in %q, want %q", got, want)
	}
	if readFile(t, filepath.Join(dir+".away", "ran")) == "" {
		t.Error("the revision's own hook has not run")
	}
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
