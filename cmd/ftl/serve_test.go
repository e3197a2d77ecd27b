package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhettg/ftl/store/s3test"
)

// TestServeIsCalledAndCalls runs ftl serve as it is installed: CI deploys by its webhook to a host
// that syncs, and a receiver is told of a host that rejects a revision.
func TestServeIsCalledAndCalls(t *testing.T) {
	t.Run("directory", func(t *testing.T) {
		isCalledAndCalls(t, "FTL_BUCKET=file://"+t.TempDir())
	})
	t.Run("s3", func(t *testing.T) {
		server := s3test.Start(t)
		isCalledAndCalls(t, append(server.Env(), "FTL_BUCKET="+server.Bucket(t))...)
	})
}

func isCalledAndCalls(t *testing.T, bucket ...string) {
	home := t.TempDir()
	told := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct{ Type, Text string }
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil || r.Header.Get("Webhook-Signature") == "" {
			t.Errorf("%v: %v", r.Header, err)
		}
		told <- event.Type + ": " + event.Text
	}))
	defer receiver.Close()
	env := append(userEnv(home), "FTL_ROOT="+filepath.Join(home, "root"), "FTL_NODE=web1",
		"FTL_SERVE_STATE="+filepath.Join(home, "state"), "FTL_NOTIFY="+filepath.Join(home, "url"), "FTL_NOTIFY_SECRET=N3xuGn7p0Zr4qWvT1sYbK8cLmD5eHfJ2", "FTL_CHECK_TIMEOUT=1s")
	env = append(env, bucket...)
	command := func(args ...string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), "ftl", args...)
		c.Dir, c.Env = home, env
		return c
	}
	ftl := func(args ...string) string {
		t.Helper()
		out, err := command(args...).Output()
		if err != nil {
			t.Fatalf("ftl %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(home, "root/my_site"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("url", receiver.URL+"\n", 0o600)
	write("my_site/index.html", "hello", 0o644)
	ftl("jump", "--master", ftl("spool", "my_site"))
	ftl("sync")
	secret := ftl("token", "add", "--webhook", "ci", "--role", "deploy", "--packages", "my_site")

	serve := command("serve", "--listen", "127.0.0.1:0", "--log-format", "json")
	address, said := startServe(t, serve)
	response, err := http.Get(address + "/health")
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(response.Body); string(text) != `{"status":"OK"}`+"\n" {
		t.Errorf("it is %s", text)
	}

	commit := strings.Repeat("2", 40)
	write("my_site/index.html", "hello again", 0o644)
	second := ftl("spool", "my_site", "--label", "commit="+commit)
	body := fmt.Sprintf(`{"service_name":"my_site","container_name":"x","image":"y","commit_sha":%q}`, commit)
	if status, answer := deploy(t, address, "wrong", body); status != 401 {
		t.Errorf("a wrong secret: got %d %s", status, answer)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if status, answer := deploy(t, address, secret, body); status != 200 || !strings.Contains(answer, `"error":null`) {
			t.Errorf("got %d %s", status, answer)
		}
	}()
	for synced := false; !synced; {
		select {
		case <-done:
			synced = true
		case <-time.After(50 * time.Millisecond):
			ftl("sync")
		}
	}
	if runs := ftl("list", "my_site"); !strings.Contains(runs, second+"\t(active)") {
		t.Errorf("the host runs\n%s", runs)
	}

	write("my_site/ftl/check", "#!/bin/sh\nexit 9\n", 0o755)
	ftl("jump", "--master", ftl("spool", "my_site"))
	_ = command("sync").Run() // which fails
	for {
		select {
		case event := <-told:
			if !strings.HasPrefix(event, "host.rejected: my_site: ") {
				t.Errorf("told of %s", event)
			}
		case <-time.After(200 * time.Millisecond):
			if err := serve.Process.Signal(syscall.SIGHUP); err != nil { // look now
				t.Fatal(err)
			}
			continue
		}
		break
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-said
	if err := serve.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// startServe starts a server, and returns its address, and a channel that is closed when it has
// said all.
func startServe(t *testing.T, serve *exec.Cmd) (address string, said <-chan struct{}) {
	t.Helper()
	stderr, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Process.Kill() }) // where it has not ended
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if match := regexp.MustCompile(`serving the fleet at (http://\S+)`).FindStringSubmatch(lines.Text()); match != nil {
			all := make(chan struct{})
			go func() {
				defer close(all)
				for lines.Scan() {
					t.Log(lines.Text())
				}
			}()
			return match[1], all
		}
	}
	t.Fatalf("it does not serve: %v", serve.Wait())
	return "", nil
}

// deploy is a client of the older deploy service.
func deploy(t *testing.T, address, secret, body string) (int, string) {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	io.WriteString(mac, body)
	request, err := http.NewRequestWithContext(t.Context(), "POST", address+"/deployment/", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Hub-Signature-256", fmt.Sprintf("sha256=%x", mac.Sum(nil)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(text)
}
