package soak

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRolloutKilled kills a host at any moment of a rollout, again and again, and lets it begin
// anew. What it has said and holds must come out right: its votes, its slot, its report, and what
// it remembers of the bucket.
func TestRolloutKilled(t *testing.T) {
	several(t, "SIGKILL in a rollout, and started again", 16*scale, 4, func(c *check, i int) {
		r := newKilled(c)
		source := random(i)
		for range 4 {
			r.kill(time.Duration(source.Float64() * float64(r.took)))
		}
		r.goOn()
		r.saidTheTruth()
		r.hearsOfTheNext()
	})
}

// killed is a host that is killed while a rollout goes on, and another one that is not.
type killed struct {
	*host
	other         *host
	bucket        string
	first, second string
	took          time.Duration // a sync that follows a blessing
}

func newKilled(c *check) *killed {
	c.Helper()
	h := withDirectory(c)
	bucket := ""
	for _, variable := range h.env {
		if dir, ok := strings.CutPrefix(variable, "FTL_BUCKET=file://"); ok {
			bucket = dir
		}
	}
	r := &killed{host: h, other: newHost(c, "FTL_BUCKET=file://"+bucket, "FTL_NODE=web2"), bucket: bucket}
	c.must(os.Mkdir(filepath.Join(r.other.root, "my_site"), 0o755))
	hooks := map[string]string{"post-sync": "", "pre-jump": "", "un-jump": "", "post-jump": "", "check": ""}
	r.first = r.ok("spool", traced(c, "my_site", "first", hooks))
	r.ok("jump", "--master", r.first)
	r.took = max(r.sync(r.host), r.sync(r.other))
	r.second = r.ok("spool", traced(c, "my_site", "second", hooks))
	r.ok("jump", "--master", r.second, "--rollout", "1", "--first", "web1", "--at-once", "1", "--soak", "1ms")
	return r
}

// sync is one that must succeed.
func (r *killed) sync(h *host) time.Duration {
	r.Helper()
	e := h.ftl("sync", "--cron")
	if e.code != 0 {
		r.errorf("%v", e)
	}
	return e.took
}

// kill starts a sync and kills it after a while.
func (r *killed) kill(after time.Duration) {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "sync", "--cron")
	command.Env = r.env
	_ = command.Run() // it was killed, or was faster
}

// goOn syncs both hosts until the rollout has settled.
func (r *killed) goOn() {
	r.Helper()
	for range 12 {
		r.sync(r.host)
		r.sync(r.other)
		if strings.Contains(r.ok("rollout", "show", "my_site"), "settled at") {
			break
		}
	}
	if show := r.ok("rollout", "show", "my_site"); !strings.Contains(show, "settled at") || strings.Contains(show, "halted") {
		r.errorf("the rollout does not come to its end:\n%s", show)
	}
}

// saidTheTruth reports what is in the bucket and does not fit what is on the host.
func (r *killed) saidTheTruth() {
	r.Helper()
	r.sync(r.host)
	for _, h := range []*host{r.host, r.other} {
		if got := h.active("my_site"); got != r.second {
			r.errorf("active is %q, want %q", got, r.second)
		}
		h.isWhole("my_site")
		h.isSettled("my_site")
		h.noOverlap()
	}
	votes, err := filepath.Glob(filepath.Join(r.bucket, "_ftl/votes/my_site/*/*/*/*"))
	r.must(err)
	all := strings.Join(votes, "\n")
	for _, vote := range []string{"/try/0/web1", "/well/0/web1", "/well/1/web2"} {
		if !strings.Contains(all, vote) {
			r.errorf("the vote %s is missing:\n%s", vote, all)
		}
	}
	for _, kind := range []string{"/bad/", "/out/"} {
		if strings.Contains(all, kind) {
			r.errorf("there is a vote against it:\n%s", all)
		}
	}
	var slot struct{ Host string }
	r.read(filepath.Join(r.bucket, "_ftl/slots/my_site/1"), &slot)
	if slot.Host != "" {
		r.errorf("%s keeps the slot", slot.Host)
	}
	var report struct {
		Packages []struct{ Package, State, Current string }
	}
	r.read(filepath.Join(r.bucket, "_ftl/hosts/web1"), &report)
	if len(report.Packages) != 1 || report.Packages[0].Current != r.second || report.Packages[0].State != "ok" {
		r.errorf("its report says %+v", report)
	}
}

func (r *killed) read(file string, to any) {
	r.Helper()
	text, err := os.ReadFile(file)
	r.must(err)
	if err := json.Unmarshal(text, to); err != nil {
		r.errorf("%s: %v: %s", file, err, text)
	}
}

// hearsOfTheNext blesses once more: a host that was killed when it noted the epoch must not think
// that it has seen it all.
func (r *killed) hearsOfTheNext() {
	r.Helper()
	for range 3 {
		r.kill(time.Duration(rand.Float64() * float64(r.took)))
	}
	r.ok("jump", "--master", "--now", r.first)
	r.kill(time.Duration(rand.Float64() * float64(r.took)))
	r.sync(r.host)
	if got := r.active("my_site"); got != r.first {
		r.errorf("after another blessing active is %q, want %q", got, r.first)
	}
}
