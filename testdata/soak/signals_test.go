package soak

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// background is a command that is under way.
type background struct {
	*exec.Cmd
	out   *os.File
	ended chan struct{}
}

// start starts a command; its output goes to a file.
func (h *host) start(args ...string) *background {
	h.Helper()
	out, err := os.CreateTemp(filepath.Dir(h.root), "out-")
	h.must(err)
	b := &background{exec.Command(binary, args...), out, make(chan struct{})}
	b.Env, b.Stdout, b.Stderr = h.env, out, out
	h.must(b.Start())
	go func() { defer close(b.ended); b.Wait() }()
	return b
}

// end waits for a command, and returns how it ended.
func (h *host) end(b *background) ended {
	h.Helper()
	select {
	case <-b.ended:
	case <-time.After(limit):
		b.Process.Kill()
		<-b.ended
		h.errorf("%q hung", b.Args)
	}
	text, err := os.ReadFile(b.out.Name())
	h.must(err)
	b.out.Close()
	return ended{code: endOf(b.ProcessState), stderr: string(text)}
}

// await waits until something is so.
func (h *host) await(what string, so func() bool) {
	h.Helper()
	for deadline := time.Now().Add(limit); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.errorf("not so after %v: %s", limit, what)
			panic(errGiveUp)
		}
	}
}

func (h *host) has(line string) bool {
	return slices.ContainsFunc(h.trace(), func(l string) bool { return strings.HasPrefix(l, line) })
}

// upgraded returns a host whose active revision has hooks, and a newer one that is blessed but not
// fetched. The next sync also has a revision to remove, so that every hook runs.
func upgraded(c *check, hooks map[string]string) (h *host, old, new string) {
	c.Helper()
	return upgradedTo(c, hooks, func(int) map[string]string { return nil })
}

// upgradedTo is upgraded, where some of the revisions, numbered from 0 to 3, may have hooks of
// their own.
func upgradedTo(c *check, hooks map[string]string, own func(version int) map[string]string) (h *host, old, new string) {
	c.Helper()
	h = withDirectory(c, "FTL_KEEP=0")
	var revisions []string
	for i := range 4 {
		bodies := maps.Clone(hooks)
		maps.Copy(bodies, own(i))
		r := h.ok("spool", traced(c, "my_site", fmt.Sprint(i), bodies))
		h.ok("jump", "--master", r)
		revisions = append(revisions, r)
		if i < 3 {
			h.ok("sync")
		}
	}
	h.must(os.WriteFile(h.log(), nil, 0o644))
	return h, revisions[2], revisions[3]
}

// TestSignals ends a sync that does everything there is to do, at any moment, with one signal or
// two, and lets another one take it up.
func TestSignals(t *testing.T) {
	t.Parallel()
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
	hooks := map[string]string{}
	for _, hook := range allHooks {
		hooks[hook] = "sleep 0.02"
	}
	var whole time.Duration
	one(t, "signals at any moment: an undisturbed run", "signals", func(c *check) {
		h, _, new := upgraded(c, hooks)
		started := time.Now()
		h.ok("sync")
		whole = time.Since(started)
		if h.active("my_site") != new {
			c.errorf("active is %s", h.active("my_site"))
		}
		for _, hook := range allHooks {
			if !h.has("end " + hook) {
				c.errorf("%s did not run: %q", hook, h.trace())
			}
		}
	})
	several(t, "SIGINT, SIGTERM, SIGHUP at any moment, single and double", 60*scale, 6, func(c *check, i int) {
		source := random(i)
		h, old, new := upgraded(c, hooks)
		defer h.forget()
		sent, double := signals[i%3], i%2 == 1
		b := h.start("sync")
		time.Sleep(time.Duration(source.Int64N(int64(whole + whole/10))))
		b.Process.Signal(sent)
		if double {
			time.Sleep(time.Duration(source.Int64N(int64(5 * time.Millisecond))))
			b.Process.Signal(sent)
		}
		e := h.end(b)
		if e.code != 0 && e.code != 128+int(sent) {
			c.errorf("after %v: want exit code 0 or %d: %v", sent, 128+int(sent), e)
		}
		h.isWhole("my_site")
		if active := h.active("my_site"); active != old && active != new {
			c.errorf("active is %q", active)
		}
		h.settles(new)
	})
}

// settles reports a host that the next sync does not bring to where it should be.
func (h *host) settles(new string) {
	h.Helper()
	if e := h.ftl("sync"); e.code != 0 {
		h.errorf("the next sync: %v", e)
	}
	if active := h.active("my_site"); active != new {
		h.errorf("active is %s after the next sync, want %s", active, new)
	}
	h.isWhole("my_site")
	h.isSettled("my_site")
	h.noOverlap()
	for _, hook := range []string{"post-sync", "pre-jump", "post-jump"} {
		if !h.has("end " + hook + " " + new) {
			h.errorf("%s of the new revision never ended: %q", hook, h.trace())
		}
	}
	h.ok("sync") // removes what the flip has left unused
	if e := h.ftl("sync", "--lock-wait", "0s"); e.code != 0 || e.stdout != "" {
		h.errorf("a sync with nothing to do: %v", e)
	}
}

// TestKilledInHook kills ftl while it is in a hook, and starts the next one at once: no hook may
// begin while another is at work.
func TestKilledInHook(t *testing.T) {
	t.Parallel()
	for _, hook := range allHooks {
		several(t, "SIGKILL in "+hook+", and started again at once", 5*scale, 4, func(c *check, i int) {
			source := random(i)
			hooks := map[string]string{}
			for _, name := range allHooks {
				hooks[name] = ":"
			}
			hooks[hook] = "sleep 0.15"
			h, _, new := upgraded(c, hooks)
			defer h.forget()
			begins := "begin " + hook + " "
			b := h.start("sync")
			h.await(begins, func() bool { return h.has(begins) })
			time.Sleep(time.Duration(source.Int64N(int64(20 * time.Millisecond))))
			b.Process.Kill()
			if e := h.end(b); e.code != 137 {
				c.errorf("want it killed: %v", e)
			}
			h.isWhole("my_site")
			command := [][]string{{"sync"}, {"sync"}, {"jump", new}}[i%3]
			if hook == "post-sync" {
				command = []string{"sync"}
			}
			if e := h.ftl(command...); e.code != 0 {
				c.errorf("ftl %s: %v", strings.Join(command, " "), e)
			}
			h.settles(new)
		})
	}
}

// TestLockDeleted deletes the files of the locks while a hook is at work under each of them: the
// next command must notice.
func TestLockDeleted(t *testing.T) {
	t.Parallel()
	for _, hook := range []string{"post-sync", "un-jump"} {
		several(t, "lock files deleted during "+hook, 2*scale, 2, func(c *check, i int) {
			hooks := map[string]string{"post-sync": ":", "pre-jump": ":", "un-jump": ":", "post-jump": ":"}
			hooks[hook] = "sleep 0.5"
			h, _, new := upgraded(c, hooks)
			defer h.forget()
			begins := "begin " + hook + " "
			b := h.start("sync")
			h.await(begins, func() bool { return h.has(begins) })
			for _, file := range []string{".lock", ".ftl/sync.lock"} {
				h.must(os.Remove(filepath.Join(h.root, "my_site", file)))
			}
			if e := h.ftl("sync", "--lock-wait", "10ms"); e.code != 5 {
				c.errorf("want exit code 5 while %s is at work: %v", hook, e)
			}
			if e := h.ftl("sync"); e.code != 0 {
				c.errorf("the second sync: %v", e)
			}
			if e := h.end(b); e.code != 0 {
				c.errorf("the first sync: %v", e)
			}
			h.settles(new)
		})
	}
}
