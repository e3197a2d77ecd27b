package soak

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tracing is a hook that writes into a log when it begins and when it ends. What it does in between
// is the body.
func tracing(body string) string {
	return `#!/bin/sh
log=${FTL_ROOT%/*}/hooks.log
echo "begin $FTL_HOOK $FTL_REVISION $$" >>"$log"
` + body + `
echo "end $FTL_HOOK $FTL_REVISION $$" >>"$log"
`
}

var allHooks = []string{"post-sync", "pre-jump", "un-jump", "post-jump", "pre-remove"}

// traced makes a directory to spool, with hooks.
func traced(c *check, pkg, version string, hooks map[string]string) string {
	c.Helper()
	dir := filepath.Join(c.TB.TempDir(), pkg)
	c.must(os.MkdirAll(filepath.Join(dir, "ftl"), 0o755))
	c.must(os.WriteFile(filepath.Join(dir, "version"), []byte(version), 0o644))
	for name, body := range hooks {
		c.must(os.WriteFile(filepath.Join(dir, "ftl", name), []byte(tracing(body)), 0o755))
	}
	return dir
}

// withDirectory returns a host whose bucket is a directory, subscribed to my_site.
func withDirectory(c *check, env ...string) *host {
	c.Helper()
	bucket := c.TB.TempDir()
	h := newHost(c, append([]string{"FTL_BUCKET=file://" + bucket}, env...)...)
	c.must(os.Mkdir(filepath.Join(h.root, "my_site"), 0o755))
	return h
}

func (h *host) log() string { return filepath.Join(filepath.Dir(h.root), "hooks.log") }

// trace returns the lines of the hooks' log.
func (h *host) trace() []string {
	f, err := os.Open(h.log())
	if os.IsNotExist(err) {
		return nil
	}
	h.must(err)
	defer f.Close()
	var lines []string
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	return lines
}

// noOverlap reports a hook that began before another one under the same lock had ended. A hook that
// was killed has no end; it is over when another of its lock begins, if nothing of its pid comes
// later.
func (h *host) noOverlap() {
	h.Helper()
	lines := h.trace()
	running := map[bool]string{} // by "it is a post-sync", which has a lock of its own
	for i, line := range lines {
		what, rest, _ := strings.Cut(line, " ")
		own := strings.HasPrefix(rest, "post-sync ")
		switch what {
		case "begin":
			if other := running[own]; other != "" && slices.Contains(lines[i:], "end "+other) {
				h.errorf("%q began while %q was at work:\n%s", rest, other, strings.Join(lines[max(0, i-4):min(len(lines), i+5)], "\n"))
			}
			running[own] = rest
		case "end":
			if running[own] == rest {
				running[own] = ""
			}
		}
	}
}

// isWhole reports what is wrong with the tree between two commands: with the links, and with every
// revision that counts.
func (h *host) isWhole(pkg string) {
	h.Helper()
	for _, link := range []string{"current", "previous"} {
		target, err := os.Readlink(filepath.Join(h.root, pkg, link))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil || filepath.Dir(target) != "revs" {
			h.errorf("%s points to %q, %v", link, target, err)
		}
		if _, err := os.Stat(filepath.Join(h.root, pkg, target, "version")); err != nil {
			h.errorf("%s: %v", link, err)
		}
	}
	for _, line := range strings.Fields(h.ok("list", pkg)) {
		if id, ok := strings.CutPrefix(line, pkg+"."); ok {
			if _, err := os.Stat(filepath.Join(h.root, pkg, "revs", id, "version")); err != nil {
				h.errorf("a revision that is listed: %v", err)
			}
		}
	}
}

// isSettled reports a jump that a command left half done although it was allowed to end.
func (h *host) isSettled(pkg string) {
	h.Helper()
	data, err := os.ReadFile(filepath.Join(h.root, pkg, ".ftl", "state.json"))
	h.must(err)
	var state map[string]any
	h.must(json.Unmarshal(data, &state))
	if jump := state["jump"]; jump != nil {
		h.errorf("the state has a jump in flight: %v", jump)
	}
	h.isTidy(pkg)
}

// TestProcesses lets 50 processes at a time work on one tree.
func TestProcesses(t *testing.T) {
	t.Parallel()
	const name = "50 processes on one tree"
	rounds := 20 * scale
	one(t, "rounds of them, on one host", "processes", func(c *check) {
		h := withDirectory(c, "FTL_KEEP=3")
		hooks := map[string]string{}
		for _, hook := range allHooks {
			hooks[hook] = "sleep 0.003"
		}
		serial := int64(0)
		var revisions []string
		for round := range rounds {
			source := random(round)
			dir := traced(c, "my_site", fmt.Sprint(round), hooks)
			revisions = append(revisions, h.ok("spool", dir))
			os.RemoveAll(dir)
			h.ok("jump", "--master", revisions[len(revisions)-1])
			commands := [][]string{}
			for i := range 40 {
				commands = append(commands, [][]string{{"sync"}, {"sync", "--cron"}}[i%2])
			}
			recent := revisions[max(0, len(revisions)-4):]
			for range 6 {
				commands = append(commands, []string{"jump", recent[source.IntN(len(recent))]})
			}
			for range 3 {
				commands = append(commands, []string{"jump-back", "my_site"})
			}
			commands = append(commands, [][]string{
				{"remove", recent[source.IntN(len(recent))]},
				{"purge", "--master", recent[source.IntN(len(recent))]},
				{"clean", "my_site", "--keep", "1"},
			}[source.IntN(3)])
			source.Shuffle(len(commands), func(i, j int) { commands[i], commands[j] = commands[j], commands[i] })

			var wait sync.WaitGroup
			for _, command := range commands {
				wait.Go(func() {
					one(t, name, fmt.Sprintf("round %d, seed %d", round, seed), func(c *check) {
						h := &host{check: c, root: h.root, env: h.env}
						e := h.ftl(command...)
						allowed := []int{0, 5}
						if command[0] != "sync" || strings.Contains(e.stderr, "purged") || strings.Contains(e.stderr, "is not in the bucket") {
							allowed = append(allowed, 6, 7)
						}
						if !slices.Contains(allowed, e.code) {
							c.errorf("ftl %s: want exit code %v: %v", strings.Join(command, " "), allowed, e)
						}
					})
				})
			}
			wait.Wait()
			h.isWhole("my_site")
			h.noOverlap()
			// The locks are free, and one more sync leaves nothing undone.
			if e := h.ftl("sync", "--lock-wait", "0s"); e.code != 0 && e.code != 6 {
				c.errorf("round %d: sync afterwards: %v", round, e)
			}
			h.isSettled("my_site")
			if now := h.acted(); now < serial {
				c.errorf("round %d: the serial acted on went back from %d to %d", round, serial, now)
			} else {
				serial = now
			}
			h.must(os.Truncate(h.log(), 0))
		}
	})
}

// acted returns the serial that the host has acted on.
func (h *host) acted() int64 {
	h.Helper()
	data, err := os.ReadFile(filepath.Join(h.root, "my_site", ".ftl", "state.json"))
	h.must(err)
	var state struct {
		Acted struct {
			Serial int64 `json:"serial"`
		} `json:"acted"`
	}
	h.must(json.Unmarshal(data, &state))
	return state.Acted.Serial
}
