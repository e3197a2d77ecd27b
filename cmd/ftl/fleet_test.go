package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rhettg/ftl/store/s3test"
)

// A crowd is many hosts, each a process of its own whenever it syncs, and one bucket on a real S3
// server.
type crowd struct {
	*testing.T
	dir  string
	env  []string // an operator's
	log  string   // in which revisions note the hosts that they run on
	size int
}

// crowdSize is how many hosts there are: 200 where much is tried.
func crowdSize() int {
	if scale, err := strconv.ParseFloat(os.Getenv("FTL_TEST_SCALE"), 64); err == nil && scale >= 10 {
		return 200
	}
	return 40
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	server := s3test.Start(t)
	bucket := "ftl-" + strings.ToLower(rand.Text())
	if err := server.MakeBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	c := &crowd{T: t, dir: t.TempDir(), size: crowdSize()}
	c.log = filepath.Join(c.dir, "ran")
	c.env = append(userEnv(c.dir), append(server.Env(), "FTL_BUCKET=s3://"+bucket)...)
	for i := range c.size {
		if err := os.MkdirAll(filepath.Join(c.root(i), "tool"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *crowd) root(i int) string { return filepath.Join(c.dir, "hosts", name(i)) }

func name(i int) string { return fmt.Sprintf("web%03d", i) }

// run is a command of an operator.
func (c *crowd) run(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	c.Helper()
	return c.runAs(ctx, c.env, args...)
}

func (c *crowd) runAs(ctx context.Context, env []string, args ...string) (stdout, stderr string, code int) {
	c.Helper()
	command := exec.CommandContext(ctx, "ftl", args...)
	command.Env = env
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err := command.Run()
	if exit, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		c.Errorf("ftl %s: %v", strings.Join(args, " "), err)
	} else if ended {
		code = exit.ExitCode()
	}
	return strings.TrimSpace(out.String()), said.String(), code
}

// ok is a command of an operator that must succeed.
func (c *crowd) ok(args ...string) string {
	c.Helper()
	stdout, stderr, code := c.run(c.Context(), args...)
	if code != 0 {
		c.Fatalf("ftl %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// spool spools a revision whose check is a script.
func (c *crowd) spool(version, check string) string {
	c.Helper()
	tool := filepath.Join(c.dir, version, "tool")
	if err := os.MkdirAll(filepath.Join(tool, "ftl"), 0o755); err != nil {
		c.Fatal(err)
	}
	for name, text := range map[string]string{
		"version": version, "ftl/check": "#!/bin/sh\n" + check + "\n", "ftl/post-jump": "#!/bin/sh\necho " + version + " $FTL_NODE >>" + c.log + "\n",
	} {
		if err := os.WriteFile(filepath.Join(tool, name), []byte(text), 0o755); err != nil {
			c.Fatal(err)
		}
	}
	return c.ok("spool", tool)
}

// sync has every host sync once, several at a time.
func (c *crowd) sync() {
	c.Helper()
	slots := make(chan struct{}, 12)
	var wait sync.WaitGroup
	for i := range c.size {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			env := append([]string{"FTL_ROOT=" + c.root(i), "FTL_NODE=" + name(i), "FTL_CHECK_TIMEOUT=2s"}, c.env...)
			if _, stderr, code := c.runAs(c.Context(), env, "sync", "--cron"); code != 0 && code != 3 && code != 4 {
				c.Errorf("the sync of %s: exit code %d\n%s", name(i), code, stderr)
			}
		})
	}
	wait.Wait()
}

// ran returns the hosts on which a version was ever active.
func (c *crowd) ran(version string) map[string]bool {
	c.Helper()
	text, err := os.ReadFile(c.log)
	if err != nil {
		c.Fatal(err)
	}
	hosts := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if host, ok := strings.CutPrefix(strings.TrimSpace(line), version+" "); ok {
			hosts[host] = true
		}
	}
	return hosts
}

// reported is what ftl status --fleet says of a host.
type reported struct {
	Host     string `json:"host"`
	Packages []struct {
		State   string `json:"state"`
		Current string `json:"current"`
	} `json:"packages"`
}

// agree reports hosts of which the fleet's status says something else than what is there, and
// returns how many run a revision.
func (c *crowd) agree(revision string) (running int) {
	c.Helper()
	stdout, stderr, _ := c.run(c.Context(), "status", "--fleet", "--hosts", "--json")
	said := make(map[string]string)
	for line := range strings.Lines(stdout) {
		var r reported
		if err := json.Unmarshal([]byte(line), &r); err != nil || len(r.Packages) != 1 {
			c.Fatalf("%v: %s%s", err, line, stderr)
		}
		said[r.Host] = r.Packages[0].Current
	}
	if len(said) != c.size {
		c.Errorf("ftl status --fleet shows %d hosts, want %d\n%s", len(said), c.size, stderr)
	}
	for i := range c.size {
		link, err := os.Readlink(filepath.Join(c.root(i), "tool", "current"))
		if err != nil {
			c.Error(err)
		}
		current := "tool." + filepath.Base(link)
		if current != said[name(i)] {
			c.Errorf("%s runs %s, and ftl status --fleet says %s", name(i), current, said[name(i)])
		}
		if current == revision {
			running++
		}
	}
	return running
}

// blessing is a jump --master --wait that goes on while the hosts sync.
type blessing struct {
	stderr string
	code   int
}

// bless blesses a revision in waves and waits for it, while all hosts sync again and again.
func (c *crowd) bless(revision string) blessing {
	c.Helper()
	ended := make(chan blessing, 1)
	go func() {
		_, stderr, code := c.run(c.Context(), "jump", "--master", revision, "--rollout", "1,10%,50%", "--soak", "1ms", "--wait")
		ended <- blessing{stderr, code}
	}()
	for range 100 {
		select {
		case b := <-ended:
			return b
		default:
			c.sync()
		}
	}
	stands, _, _ := c.run(c.Context(), "rollout", "show", "tool")
	c.Fatalf("the rollout does not come to its end:\n%s", stands)
	return blessing{}
}

// A bad revision in waves reaches the first wave and nobody else, a good one reaches everybody, and
// whoever waits for either is told the truth, as is whoever asks how the fleet is. All of it with
// real processes.
func TestFleetOfProcesses(t *testing.T) {
	c := newCrowd(t)
	first := c.spool("first", "true")
	c.ok("jump", "--master", first)
	c.sync()
	if n := c.agree(first); n != c.size {
		t.Fatalf("%d of %d hosts run the first revision", n, c.size)
	}

	bad := c.spool("bad", "echo the disk is full >&2; exit 1")
	b := c.bless(bad)
	c.sync()
	c.sync()
	ran := c.ran("bad")
	if len(ran) != 1 {
		t.Errorf("the bad revision ran on %v, want one host", ran)
	}
	for host := range ran {
		if b.code != 4 || !strings.Contains(b.stderr, "halted: it failed on "+host) {
			t.Errorf("--wait ended with %d, want 4 and the name of %s\n%s", b.code, host, b.stderr)
		}
		stdout, _, code := c.run(t.Context(), "status", "--fleet")
		if code != 1 || !strings.Contains(stdout, "failed on "+host) || !strings.Contains(stdout, "the disk is full") {
			t.Errorf("ftl status --fleet ended with %d, want 1, the name of %s and why\n%s", code, host, stdout)
		}
	}
	if n := c.agree(first); n != c.size {
		t.Errorf("after the bad revision, %d of %d hosts run the first one", n, c.size)
	}

	good := c.spool("good", "true")
	if b := c.bless(good); b.code != 0 {
		t.Errorf("--wait ended with %d, want 0\n%s", b.code, b.stderr)
	}
	if n := c.agree(good); n != c.size {
		t.Errorf("%d of %d hosts run the good revision", n, c.size)
	}
	if got := len(c.ran("good")); got != c.size {
		t.Errorf("the good revision ran on %d hosts, want %d", got, c.size)
	}
	c.sync()
	if stdout, stderr, code := c.run(t.Context(), "status", "--fleet"); code != 0 {
		t.Errorf("ftl status --fleet ended with %d, want 0\n%s%s", code, stdout, stderr)
	}
}
