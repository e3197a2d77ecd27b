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
	if found := h.recovered(want, &ending{facts: want.done, exact: true}, true); len(found) > 0 {
		err = errors.Join(err, fmt.Errorf("undisturbed: %s", strings.Join(found, "\n")))
	}
	if (want.code != 0) != (h.scenario.fails != "" || h.scenario.stays > 0) {
		err = errors.Join(err, fmt.Errorf("undisturbed, it exits with %d: %s", want.code, result.output))
	}
	return want, err
}

// crash stops the command at its nth change, its recovery at the change that the
// next number says, and so on, checks the host after each, and then lets it
// recover. It reports whether the command lived to its nth change.
func (h *host) crash(want *expectation, m mode, by way, moments []int) (reached bool, found problems, err error) {
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
		seen, at := h.atAnyTime(want)
		if found = append(found, at...); len(at) > 0 {
			break
		}
		if args, err = h.prepareFor(by, seen); err != nil {
			return reached, found, err
		}
	}
	after, err := h.recover(want, by, m.cut == 0)
	return reached, append(found, after...), err
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

// recover gives a command, lets one sync follow as cron would, and checks the
// host.
func (h *host) recover(want *expectation, by way, strict bool) (found problems, err error) {
	end, found, err := h.give(by, want)
	if err != nil {
		return found, err
	}
	again, err := h.notBegun(by, want)
	if err != nil {
		return found, err
	}
	if again {
		code, _, all, err := h.run(h.scenario.command(h.stage)...)
		if err != nil || code != want.code && !slices.Contains(h.scenario.again, code) {
			found.add("the command, given again, exits with %d: %s", code, all)
		}
	}
	h.healthy = false
	if code, _, all, err := h.run("sync"); err != nil || code != 0 && h.scenario.fails == "" && h.scenario.stays == 0 {
		found.add("the next sync exits with %d: %s", code, all)
	}
	return append(found, h.recovered(want, end, strict)...), nil
}

// notBegun reports whether a command that is not a sync has to be given again
// after one: that ends what was begun, and no more.
func (h *host) notBegun(by way, want *expectation) (bool, error) {
	command := h.scenario.command(h.stage)
	if by.name != bySync.name || command[0] == "sync" {
		return false, nil
	}
	if !strings.HasPrefix(command[0], "jump") {
		return true, nil
	}
	f, err := h.look()
	return f.current == want.start.current && !h.unJumped(), err
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
	after, err := h.recover(want, h.ways(h.scenario)[0], true)
	return reached, append(found, after...), err
}

// tolerable are the changes that may fail without an effect on the exit code,
// and why.
var tolerable = []struct {
	call   string // "" is any
	path   string // a pattern of filepath.Match, in the package's directory; with /** behind, all below that
	errnos []syscall.Errno
	why    string
	only   string // the scenario, "" is any
}{
	{"", ".ftl/log/*", nil, "a log must not keep a host from its work", ""},
	{"", ".ftl/index*", nil, "a cache: without it the next fetch takes longer, and the user is warned", ""},
	{"", ".ftl/index/*", nil, "as above", ""},
	{"", ".ftl/reserve", nil, "the host works without a reserve, and the next sync makes it", ""},
	{"", ".ftl/reserve/*", nil, "as above", ""},
	{"", ".ftl/manifest*", nil, "for ftl diff and check, which do without it, and the user is warned", ""},
	{"", ".ftl/manifest/*", nil, "as above", ""},
	{"", "/root/.ftl", nil, "what the host remembers of the bucket: without it the next sync asks for all", ""},
	{"", "/root/.ftl/*", nil, "as above", ""},
	{"unlinkat", "revs/.stage/**", nil, "it is tried again at once, or at the next sync, and a tree in which it is to be done is made anew", ""},
	{"", "revs/.stage/*.fresh", nil, "without knowing what new files are like, the tree is made anew", ""},
	{"", "revs/.stage/*.fresh/**", nil, "as above", ""},
	{"renameat", "revs/.stage/*", nil, "what can't be moved there goes in another way", ""},
	{"fchmod", "revs/.stage/**", nil, "the tree is made anew", "recycle"},
	{"utimensat", "revs/.stage/**", nil, "as above", "recycle"},
	{"fchmod", "revs/.stage/**", nil, "as above", "purge, sync and blessing"},
	{"utimensat", "revs/.stage/**", nil, "as above", "purge, sync and blessing"},
	{"fchmod", "revs/.stage/**", nil, "as above", "a file stays"},
	{"utimensat", "revs/.stage/**", nil, "as above", "a file stays"},
	{"unlinkat", "revs/.trash/**", nil, "as above", ""},
	{"unlinkat", "/root/.site.removed.*/**", nil, "as above", ""},
	{"", ".ftl/.synced.tmp", nil, "as above, of the next", ""},
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

// matchesPath is filepath.Match, and knows all that is below a directory.
func matchesPath(pattern, name string) bool {
	if dir, below := strings.CutSuffix(pattern, "/**"); below {
		parts := strings.Split(name, "/")
		depth := strings.Count(dir, "/") + 1
		return len(parts) > depth && matchesPath(dir, strings.Join(parts[:depth], "/"))
	}
	matches, _ := filepath.Match(pattern, name)
	return matches
}

var full = []syscall.Errno{unix.ENOSPC, unix.EDQUOT}

func (s *scenario) tolerates(c call, errno syscall.Errno) bool {
	name := strings.TrimPrefix(c.path, "/root/"+pkg+"/")
	for _, t := range tolerable {
		matches := matchesPath(t.path, name)
		if matches && (t.call == "" || t.call == c.name) && (t.only == "" || t.only == s.name) && (t.errnos == nil || slices.Contains(t.errnos, errno)) {
			return true
		}
	}
	return false
}
