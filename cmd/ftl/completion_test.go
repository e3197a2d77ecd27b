package main

import (
	"net"
	"os/exec"
	"testing"
	"time"
)

// TestCompletionDoesNotHang asks a bucket that takes connections, and never
// answers.
func TestCompletionDoesNotHang(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	command := exec.CommandContext(t.Context(), "ftl", "__complete", "jump", "--master", "my_site.")
	command.Env = append(userEnv(t.TempDir()), "FTL_BUCKET=s3://releases", "AWS_ENDPOINT_URL=http://"+listener.Addr().String(),
		"AWS_ACCESS_KEY_ID=nobody", "AWS_SECRET_ACCESS_KEY=nothing")
	began := time.Now()
	out, err := command.Output()
	if err != nil || string(out) != ":4\n" {
		t.Errorf("ftl __complete: got %q, %v, want nothing to complete", out, err)
	}
	if took := time.Since(began); took < time.Second || took > 10*time.Second {
		t.Errorf("it took %v to give up, want 2 s", took)
	}
}

// TestCompletionScripts lets each shell that is here read its script.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("NOT TESTED: %s is not here", shell)
			}
			check := exec.CommandContext(t.Context(), "sh", "-c", "ftl completion "+shell+" | "+shell+" -n")
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
