package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCompletionDoesNotHang asks a bucket that takes connections, and never answers.
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

// TestBashCompletionAlone completes in a bash without the package bash-completion.
func TestBashCompletionAlone(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("NOT TESTED: bash is not here")
	}
	home := t.TempDir()
	for _, dir := range []string{"root/my_site", "root/my_tool", "data/one", "data/two"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The builtin works only while bash itself completes.
	const script = `
source <(ftl completion bash)
compopt() { :; }
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMPREPLY=()
__start_ftl
printf '%s\n' "${COMPREPLY[@]}"`
	for line, want := range map[string]string{
		"ftl stat":               "status",
		"ftl hold ":              "my_site,my_tool",
		"ftl hold my_s":          "my_site",
		"ftl list --mas":         "--master",
		"ftl list --root data/t": "data/two",
		"ftl list --root=data/o": "data/one",
	} {
		command := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-c", script, "bash", line)
		command.Dir = home
		command.Env = append(userEnv(home), "FTL_ROOT="+filepath.Join(home, "root"))
		out, err := command.CombinedOutput()
		var replies []string
		for reply := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(reply), " ")
			replies = append(replies, word)
		}
		if got := strings.Join(replies, ","); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", line, out, err, want)
		}
	}
}
