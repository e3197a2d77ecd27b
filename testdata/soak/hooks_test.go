package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// daemonStyles are the ways in which a hook starts something that lives on.
var daemonStyles = map[string]string{
	"background":   "./daemon &",
	"nohup":        "nohup ./daemon &",
	"setsid":       "setsid ./daemon &",
	"double fork":  "( ( ./daemon & ) & )",
	"keeps stdout": "exec 5>&1; ./daemon 1>&5 2>&5 5>&1 &",
}

// daemon writes its pid, and then a line whenever there is time.
const daemon = `#!/bin/sh
echo $$ >"$FTL_SHARED_DIR/pid"
while :; do
	echo "the daemon lives"
	echo beat >>"$FTL_SHARED_DIR/beats"
	sleep 0.05
done
`

// callers are the ways in which ftl is started. "$@" is the command.
var callers = map[string]string{
	"pipe":        `"$@" | cat; exit 0`,
	"file":        `"$@" >"$OUT" 2>&1`,
	"flock":       `flock -n -E 99 "$OUT.lock" "$@" | cat; flock -n -E 99 "$OUT.lock" true`,
	"as cron":     `setsid "$@" <&- 2>&1 | cat; exit 0`,
	"no terminal": `"$@" <&- >&- 2>&-`,
	"terminal":    `script -qec "$1 $2" /dev/null`,
}

// TestDaemons starts daemons from post-jump. They live on, and nothing waits for them: neither ftl,
// nor a reader of its output, nor a lock.
func TestDaemons(t *testing.T) {
	t.Parallel()
	type kase struct{ style, caller string }
	var cases []kase
	for style := range daemonStyles {
		for caller := range callers {
			cases = append(cases, kase{style, caller})
		}
	}
	several(t, "daemons in five styles × ways to start ftl", len(cases), 6, func(c *check, i int) {
		k := cases[i]
		c.name = k.style + ", " + k.caller
		h := withDirectory(c)
		defer h.forget()
		dir := traced(c, "my_site", "1", map[string]string{"post-jump": daemonStyles[k.style]})
		c.must(os.WriteFile(filepath.Join(dir, "daemon"), []byte(daemon), 0o755))
		r := h.ok("spool", dir)
		h.ok("jump", "--master", r)
		shared := filepath.Join(h.root, "my_site", "shared")
		defer func() {
			if pid := h.pid(shared); pid > 1 {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}()
		env := append(h.env, "OUT="+filepath.Join(filepath.Dir(h.root), "out"))
		e := h.execute(env, "sh", "-c", callers[k.caller], "sh", binary, "sync")
		if e.code != 0 || e.took > 10*time.Second {
			c.errorf("%v", e)
		}
		if h.active("my_site") != r {
			c.errorf("active is %q", h.active("my_site"))
		}
		if e := h.ftl("sync", "--lock-wait", "0s"); e.code != 0 {
			c.errorf("the next sync: %v", e)
		}
		h.await("a daemon", func() bool { return h.pid(shared) > 1 })
		beats := func() int64 {
			info, err := os.Stat(filepath.Join(shared, "beats"))
			if err != nil {
				return 0
			}
			return info.Size()
		}
		time.Sleep(time.Duration(min(scale*scale, 100)) * 600 * time.Millisecond) // a minute in the long run
		before := beats()
		h.await("the daemon's next line", func() bool { return beats() > before })
	})
}

func (h *host) pid(shared string) int {
	text, err := os.ReadFile(filepath.Join(shared, "pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// TestBadHooks runs hooks that behave badly, in each place where a hook runs.
func TestBadHooks(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	flood := 64 * min(scale, 16) // MiB
	bad := []struct {
		name, body string
		hangs      bool
	}{
		{"ignores TERM", "trap '' TERM; while :; do sleep 0.1; done", true},
		{"hangs with 100 children", "n=0; while [ $n -lt 100 ]; do sleep 61.25 & n=$((n+1)); done; wait", true},
		{"prints a lot", fmt.Sprintf("head -c %dM /dev/zero | tr '\\000' 'x'; head -c %dM /dev/zero | tr '\\000' '\\n'", flood/2, flood/2), false},
		{"closes its output", "exec >&- 2>&-", false},
		{"reads its stdin", "cat", false},
		{"leaves a child behind", "sleep 61.5 & ", false},
	}
	several(t, "hooks that behave badly × 5 hooks", len(bad)*len(allHooks), 6, func(c *check, i int) {
		b, hook := bad[i/len(allHooks)], allHooks[i%len(allHooks)]
		c.name = hook + " " + b.name
		h, _, new := upgradedTo(c, map[string]string{hook: ":"}, func(version int) map[string]string {
			// The revision whose hook is to run brings the bad one.
			turn := map[string]int{"post-sync": 3, "pre-jump": 3, "un-jump": 2, "post-jump": 3, "pre-remove": 0}[hook]
			if version == turn {
				return map[string]string{hook: b.body}
			}
			return nil
		})
		defer h.forget()
		h.env = append(h.env, "FTL_HOOK_TIMEOUT="+map[bool]string{true: timeout.String(), false: "20s"}[b.hangs])
		e := h.ftl("sync")
		want := 0
		if b.hangs {
			want = 3
		}
		if e.code != want {
			c.errorf("want exit code %d: %v", want, e)
		}
		if !b.hangs && h.active("my_site") != new {
			c.errorf("active is %q", h.active("my_site"))
		}
		const grace = 10 * time.Second
		if b.hangs && (e.took < timeout || e.took > timeout+grace+5*time.Second) {
			c.errorf("it took %v", e.took)
		}
		const room = 64 << 20
		if !raceDetector && e.peak > max(room, h.ownPeak()) {
			c.errorf("it took %d MiB of memory", e.peak>>20)
		}
		logs, _ := filepath.Glob(filepath.Join(h.root, "my_site", ".ftl", "log", "*"))
		for _, log := range logs {
			if info, err := os.Stat(log); err == nil && info.Size() > 16<<20 {
				c.errorf("%s has %d bytes", filepath.Base(log), info.Size())
			}
		}
		h.isWhole("my_site")
		if left := processesWith(h.root); b.hangs && len(left) > 0 {
			c.errorf("left of the hook: %v", left)
		}
		for pid := range processesWith(h.root) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
}

// processesWith returns the processes that have FTL_ROOT at this place.
func processesWith(root string) map[int]string {
	found := map[int]string{}
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		env, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(env), "FTL_ROOT="+root+"\x00") {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if len(command) > 0 { // no zombie
			found[pid] = strings.ReplaceAll(string(command), "\x00", " ")
		}
	}
	return found
}

// TestWritableByOthers opens each directory of a tree to others: root must not run what anybody can
// have put there.
func TestWritableByOthers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: what root refuses, as this is not root")
	}
	type row struct {
		dir  string
		mode os.FileMode
	}
	// A sticky FTL_ROOT is as safe as /tmp: in it, nobody can exchange what is root's.
	rows := []row{{"", 0o777}, {"", 0o757}}
	for _, dir := range []string{"my_site", "my_site/revs", "my_site/.ftl"} {
		for _, mode := range []os.FileMode{0o777, 0o757, 0o1777} {
			rows = append(rows, row{dir, mode})
		}
	}
	several(t, "root refuses what others can write", len(rows), 4, func(c *check, i int) {
		dir, mode := rows[i].dir, rows[i].mode
		c.name = fmt.Sprintf("FTL_ROOT/%s of mode %o", dir, mode)
		h, old, _ := upgraded(c, nil)
		defer h.forget()
		path := filepath.Join(h.root, dir)
		c.must(syscall.Chmod(path, uint32(mode)))
		before := h.snapshot()
		for _, command := range [][]string{{"sync"}, {"jump-back", "my_site"}, {"jump", old}, {"remove", old}, {"clean", "my_site"}} {
			if e := h.ftl(command...); e.code != 7 || !strings.Contains(e.stderr, "chmod go-w "+path) {
				c.errorf("ftl %s: want exit code 7 and what to do: %v", strings.Join(command, " "), e)
			}
		}
		h.unchanged(before)
		c.must(os.Chmod(path, 0o755))
		h.ok("sync")
	})
}
