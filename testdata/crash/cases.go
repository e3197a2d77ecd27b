package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mode is how a command is stopped.
type mode struct {
	name string
	cut  uint32 // how the power goes, 0 where only the process is killed
}

var modes = []mode{
	{"kill", 0},
	{"power cut, journal flushed", journalFlushed},
	{"power cut, nothing flushed", nothingFlushed},
}

// expect runs the command undisturbed, to see what it leads to.
func (h *host) expect() (*expectation, error) {
	if err := h.begin(); err != nil {
		return nil, err
	}
	want := new(expectation)
	var err error
	if want.start, err = h.look(); err != nil {
		return nil, err
	}
	if want.outside, err = snapshot(filepath.Join(h.volume.dir, "outside")); err != nil {
		return nil, err
	}
	var calls []call
	result, err := h.traced(h.scenario.command(h.stage), func(c call) verdict {
		calls = append(calls, c)
		return verdict{}
	})
	if err != nil {
		return nil, err
	}
	want.code, want.calls = result.code, len(calls)
	h.checkOrder(&want.order, calls)
	if _, _, _, err := h.run("sync"); err != nil {
		return nil, err
	}
	if want.done, err = h.look(); err != nil {
		return nil, err
	}
	events, err := h.hookEvents()
	for _, event := range events {
		if hook, ok := strings.CutPrefix(event, "end "); ok {
			want.hooks = append(want.hooks, hook)
		}
	}
	if found := h.recovered(want, true); len(found) > 0 {
		err = errors.Join(err, fmt.Errorf("undisturbed: %s", strings.Join(found, "\n")))
	}
	if (want.code != 0) != (h.scenario.fails != "") {
		err = errors.Join(err, fmt.Errorf("undisturbed, it exits with %d: %s", want.code, result.output))
	}
	return want, err
}

// crash stops the command at its nth change, its recovery at the change that the
// next number says, and so on, checks the host after each, and then lets it
// recover. It reports whether the command lived to its nth change.
func (h *host) crash(want *expectation, m mode, moments []int) (reached bool, found problems, err error) {
	if err := h.begin(); err != nil {
		return false, nil, err
	}
	args := h.scenario.command(h.stage)
	for i, moment := range moments {
		killed, err := h.stopAt(args, m, moment)
		if err != nil {
			return reached, nil, err
		}
		if !killed && i == 0 {
			return false, nil, nil
		}
		if !killed {
			break
		}
		reached = true
		_, at := h.atAnyTime(want)
		found = append(found, at...)
		args = h.recoveryCommand()
	}
	after, err := h.recover(want, m.cut == 0)
	return reached, append(found, after...), err
}

func (h *host) recoveryCommand() []string {
	if h.scenario.recovery != nil {
		return h.scenario.recovery(h.stage)
	}
	return h.scenario.command(h.stage)
}

// stopAt stops a command at its nth change, and starts the host again.
func (h *host) stopAt(args []string, m mode, moment int) (stopped bool, err error) {
	n := 0
	var failed error
	result, err := h.traced(args, func(call) verdict {
		if n++; n != moment {
			return verdict{}
		}
		stopped = true
		if m.cut != 0 {
			failed = h.volume.cut(m.cut)
		}
		return verdict{kill: true}
	})
	if err := errors.Join(err, failed); err != nil {
		return stopped, err
	}
	if stopped && m.cut != 0 {
		end(result.hooks)
		return true, h.volume.powerUp()
	}
	return stopped, nil
}

// recover gives the command once more, lets one sync follow as cron would, and
// checks the host.
func (h *host) recover(want *expectation, strict bool) (found problems, err error) {
	code, _, all, err := h.run(h.recoveryCommand()...)
	if err != nil {
		return nil, err
	}
	if code != want.code && !slices.Contains(h.scenario.again, code) {
		found.add("the recovery exits with %d: %s", code, all)
	}
	if h.scenario.interrupted {
		if f, err := h.look(); err == nil && f.current == want.start.current && !h.unJumped() {
			if code, _, all, err := h.run(h.scenario.command(h.stage)...); err != nil || code != 0 {
				found.add("the command, given again, exits with %d: %s", code, all)
			}
		}
	}
	if code, _, all, err := h.run("sync"); err != nil || code != 0 && h.scenario.fails == "" {
		found.add("the next sync exits with %d: %s", code, all)
	}
	return append(found, h.recovered(want, strict)...), nil
}

// unJumped reports whether the old revision was stopped, from where there is
// only a way forward.
func (h *host) unJumped() bool {
	events, _ := h.hookEvents()
	return slices.ContainsFunc(events, func(event string) bool { return strings.HasPrefix(event, "begin un-jump ") })
}

// errnos are the errors that a disk gives.
var errnos = []syscall.Errno{unix.ENOSPC, unix.EIO, unix.EDQUOT, unix.EROFS}

// fail makes the command's nth change on the disk fail, checks the host, and
// then lets it recover.
func (h *host) fail(want *expectation, errno syscall.Errno, moment int) (reached bool, found problems, err error) {
	if err := h.begin(); err != nil {
		return false, nil, err
	}
	n := 0
	var at call
	result, err := h.traced(h.scenario.command(h.stage), func(c call) verdict {
		if !strings.HasPrefix(c.path, h.volume.dir+"/") {
			return verdict{}
		}
		if n++; n != moment {
			return verdict{}
		}
		reached, at = true, c
		at.path = strings.TrimPrefix(at.path, h.volume.dir)
		return verdict{errno: errno}
	})
	if err != nil || !reached {
		return reached, nil, err
	}
	defer func() {
		for i := range found {
			found[i] = fmt.Sprintf("after %v of %v: %s\n%s", errno, at, found[i], result.output)
		}
	}()
	h.spared = strings.TrimPrefix(at.path, "/root/")
	_, found = h.atAnyTime(want)
	if result.code == 0 && !h.scenario.tolerates(at, errno) {
		found.add("the exit code is 0")
	}
	after, err := h.recover(want, true)
	return reached, append(found, after...), err
}

// tolerable are the changes that may fail without an effect on the exit code,
// and why.
var tolerable = []struct {
	call   string // "" is any
	path   string // a pattern of filepath.Match, in the package's directory
	errnos []syscall.Errno
	why    string
	only   string // the scenario, "" is any
}{
	{"", ".ftl/log/*", nil, "a log must not keep a host from its work", ""},
	{"", ".ftl/index*", nil, "a cache: without it the next fetch takes longer, and the user is warned", ""},
	{"", ".ftl/index/*", nil, "as above", ""},
	{"", ".ftl/reserve", nil, "the host works without a reserve, and the next sync makes it", ""},
	{"", ".ftl/reserve/*", nil, "as above", ""},
	{"", ".ftl/synced", nil, "its time tells people when the last sync was, and nobody else", ""},
	{"", ".ftl/.*.tmp", full, "the reserve is given up, and the file is written again", ""},
	{"", ".ftl/*.holder", full, "as above", ""},
	{"", ".ftl/state.json", full, "as above", ""},
	{"fsync", ".ftl", full, "as above", ""},
	{"", "current", full, "the reserve is given up, and the link is made again", ""},
	{"", "previous", full, "as above", ""},
	{"", ".*.tmp", full, "as above", ""},
	{"", "shared", full, "the reserve is given up, and it is made again", ""},
	{"", ".ftl/.lock.holder.tmp", nil, "a jump goes on to fetch: that the lock was given back is told again at once", "jump that fetches"},
	{"unlinkat", ".ftl/.*.tmp", nil, "nothing was there to remove, and what is made next must not be there", ""},
	{"unlinkat", ".*.tmp", nil, "as above", ""},
}

var full = []syscall.Errno{unix.ENOSPC, unix.EDQUOT}

func (s *scenario) tolerates(c call, errno syscall.Errno) bool {
	name := strings.TrimPrefix(c.path, "/root/"+pkg+"/")
	for _, t := range tolerable {
		matches, _ := filepath.Match(t.path, name)
		if matches && (t.call == "" || t.call == c.name) && (t.only == "" || t.only == s.name) && (t.errnos == nil || slices.Contains(t.errnos, errno)) {
			return true
		}
	}
	return false
}
