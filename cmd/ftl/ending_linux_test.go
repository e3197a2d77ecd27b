package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whatever a command waits for, TERM ends it in order: nothing that was being waited for ends by
// itself while these tests run.
func TestTermEndsAWait(t *testing.T) {
	t.Run("machine role", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		command := exec.CommandContext(t.Context(), "ftl", "list", "--master")
		command.Env = append(userEnv(t.TempDir()), "FTL_BUCKET=s3://releases", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://"+listener.Addr().String())
		endsByTerm(t, command, func() {
			if _, err := listener.Accept(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("name server", func(t *testing.T) {
		if out, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
			t.Skipf("NOT TESTED: a mount namespace takes root: %v: %s", err, out)
		}
		const address = "127.0.0.77" // where nobody else has a name server
		server, err := net.ListenPacket("udp", address+":53")
		if err != nil {
			t.Skipf("NOT TESTED: %v", err)
		}
		defer server.Close()
		conf := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(conf, []byte("nameserver "+address+"\noptions timeout:60\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", `mount --bind "$1" /etc/resolv.conf && exec ftl list --master`, "sh", conf)
		command.Env = append(userEnv(t.TempDir()), "FTL_BUCKET=s3://releases", "AWS_ACCESS_KEY_ID=nobody", "AWS_SECRET_ACCESS_KEY=nothing",
			"AWS_ENDPOINT_URL=http://bucket.example")
		endsByTerm(t, command, func() {
			if _, _, err := server.ReadFrom(make([]byte, 512)); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("question", func(t *testing.T) {
		work := t.TempDir()
		for _, dir := range []string{"root/my_site", "bucket", "my_site"} {
			if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(work, "my_site/page"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		env := []string{"FTL_BUCKET=file://" + filepath.Join(work, "bucket"), "FTL_ROOT=" + filepath.Join(work, "root")}
		name, err := ftl(env, "spool", filepath.Join(work, "my_site")).Output()
		if err != nil {
			t.Fatal(err)
		}
		if out, err := ftl(env, "jump", strings.TrimSpace(string(name))).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		s := openTerminal(t)
		command := ftl(env, "remove", "my_site")
		command.Stdin, command.Stdout, command.Stderr = s.program, s.program, s.program
		endsByTerm(t, command, func() {
			for deadline := time.Now().Add(waitLimit); !strings.Contains(s.text(), "[y/N]"); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Errorf("no question was asked: %q", s.text())
					return
				}
			}
		})
		if _, err := os.Stat(filepath.Join(work, "root/my_site")); err != nil {
			t.Errorf("no answer was given, and the package is gone: %v", err)
		}
	})
}

// endsByTerm starts a command, sends TERM when it waits, and wants it to say so: a process that is
// ended by the signal itself was stuck.
func endsByTerm(t *testing.T, command *exec.Cmd, waits func()) {
	t.Helper()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Process.Kill()
	waits()
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	command.Wait() // the exit code tells
	if code := command.ProcessState.ExitCode(); code != 128+int(syscall.SIGTERM) {
		t.Errorf("%v, want the exit code %d", command.ProcessState, 128+int(syscall.SIGTERM))
	}
}
