package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The invariants. What is to be expected of a host after a command comes from
// two looks: at the host before the command, and after the same command ran
// undisturbed. Up to the recovery it may be either; then it has to be the latter.

// expectation is what a scenario's host is before and after its command.
type expectation struct {
	start, done facts
	code        int // of the command
	hooks       []string
	calls       int      // changes that the command makes
	order       problems // with the order of these
	outside     map[string]entry
}

// problems collects what is wrong with a case.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// atAnyTime checks what holds after a crash, before and after the recovery.
func (h *host) atAnyTime(want *expectation) (f facts, found problems) {
	f, err := h.look()
	if err != nil {
		found.add("the host can't be read: %v", err)
		return f, found
	}
	removed := h.scenario.gone && f.code == notFound
	if !removed {
		h.checkCurrent(&found, f, want)
	}
	for _, name := range f.listed {
		if !slices.Contains(want.start.listed, name) && !slices.Contains(want.done.listed, name) {
			found.add("%s is ready, and must not be", name)
		}
		h.checkTree(&found, name)
	}
	if before, now := want.start.state, f.state; !h.scenario.gone && (now.Acted.Serial < before.Acted.Serial || now.Seen.Serial < before.Seen.Serial) {
		found.add("the serial went back from %d to %d", want.start.state.Acted.Serial, f.state.Acted.Serial)
	}
	h.checkFloor(&found, f)
	outside, err := snapshot(filepath.Join(h.volume.dir, "outside"))
	if err != nil {
		found.add("outside: %v", err)
	}
	compareTrees(&found, "outside", outside, want.outside)
	return f, found
}

// checkFloor checks that what a host has followed it will never follow anything older than, however
// it ended.
func (h *host) checkFloor(found *problems, f facts) {
	if h.signers == "" || f.state.Acted.Serial <= 0 && f.current == "" {
		return
	}
	var floor struct {
		Keys map[string]struct {
			Serial int64 `json:"serial"`
		} `json:"keys"`
	}
	data, err := os.ReadFile(filepath.Join(h.pkg(), ".ftl", "floor"))
	if err == nil {
		err = json.Unmarshal(data, &floor)
	}
	if err != nil {
		found.add("the floor can't be read: %v", err)
		return
	}
	for _, key := range floor.Keys {
		if max(f.state.Acted.Serial, f.state.Seen.Serial) <= key.Serial {
			return
		}
	}
	found.add("the serial %d was followed, and the floor is %v", f.state.Seen.Serial, floor.Keys)
}

// checkCurrent checks that the active revision is a ready one, and the old or
// the new.
func (h *host) checkCurrent(found *problems, f facts, want *expectation) {
	passing := h.scenario.passes > 0 && f.current == h.revisions[h.scenario.passes-1].id()
	if f.current != want.start.current && f.current != want.done.current && !passing && !slices.Contains(h.asked, f.current) {
		found.add("current is %q, neither %q nor %q", f.current, want.start.current, want.done.current)
	}
	if f.current != "" && !slices.Contains(f.listed, pkg+"."+f.current) {
		found.add("current is %q, which is not ready", f.current)
	}
}

// checkTree compares a ready revision with what was spooled, and with what its
// post-sync has made.
func (h *host) checkTree(found *problems, name string) {
	for _, r := range h.revisions {
		if r.name != name {
			continue
		}
		got, err := snapshot(filepath.Join(h.pkg(), "revs", r.id()))
		if err != nil {
			found.add("the tree of %s: %v", name, err)
			return
		}
		want, err := snapshot(r.source)
		if err != nil {
			found.add("the source of %s: %v", name, err)
			return
		}
		if made := "made for " + name + ", as a part of it\n"; got["made"].text != made {
			found.add("post-sync of %s made %q", name, got["made"].text)
		}
		for _, made := range []string{"made", "venv", "venv/" + name, "lib/of " + name} { // of another revision, nothing is left
			delete(got, made)
		}
		compareTrees(found, name, got, want)
	}
}

func compareTrees(found *problems, what string, got, want map[string]entry) {
	for name, e := range want {
		if g, ok := got[name]; !ok {
			found.add("%s lacks %s", what, name)
		} else if g != e {
			found.add("%s has %s as %v, not %v", what, name, g, e)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			found.add("%s has %s too", what, name)
		}
	}
}

// recovered checks what holds after a clean run.
func (h *host) recovered(want *expectation, end *ending, strict bool) problems {
	f, found := h.atAnyTime(want)
	if f.current != end.current || f.previous != end.previous && end.exact {
		found.add("current and previous are %q and %q after the recovery, not %q and %q", f.current, f.previous, end.current, end.previous)
	}
	if (f.state.Jump != nil) != (end.state.Jump != nil) {
		found.add("a jump is in flight after the recovery: %v", f.state.Jump != nil)
	}
	h.checkReady(&found, f, want, end)
	h.checkPaths(&found, f, want, end)
	events, err := h.hookEvents()
	if err != nil {
		found.add("the log of the hooks: %v", err)
	}
	h.checkStarted(&found, f, events)
	ended := checkOverlap(&found, events, strict)
	if end.exact {
		checkTurns(&found, want.hooks, ended, events)
	}
	return found
}

// checkReady checks which revisions are ready: those of an undisturbed run, and
// where something else was asked for, maybe those that were there before.
func (h *host) checkReady(found *problems, f facts, want *expectation, end *ending) {
	if end.exact && !slices.Equal(f.listed, end.listed) {
		found.add("ready are %v after the recovery, not %v", f.listed, end.listed)
	}
	for _, name := range want.done.listed {
		if !slices.Contains(f.listed, name) {
			found.add("%s is not ready after the recovery", name)
		}
	}
}

// checkPaths likewise checks what files there are.
func (h *host) checkPaths(found *problems, f facts, want *expectation, end *ending) {
	for _, path := range f.paths {
		if h.scenario.stays > 0 && isLeftover(path) {
			continue
		}
		spared := path == h.spared && isCache(path)
		before := !end.exact && slices.Contains(want.start.paths, path)
		if !slices.Contains(want.done.paths, path) && !before && !isTemporary(path) && !spared && (end.exact || path != pkg+"/previous") {
			found.add("%s is left over", path)
		}
	}
	for _, path := range want.done.paths {
		if h.scenario.stays > 0 && isLeftover(path) {
			continue
		}
		before := end.exact || slices.Contains(want.start.paths, path)
		if !slices.Contains(f.paths, path) && before && !isCache(path) {
			found.add("%s is missing", path)
		}
	}
}

// checkStarted checks that what runs is what is active: its post-jump came after
// its last un-jump, and with any other revision it is the other way round.
func (h *host) checkStarted(found *problems, f facts, events []string) {
	for _, r := range h.revisions {
		stopped := slices.Index(backward(events), "begin un-jump "+r.name)
		started := slices.Index(backward(events), "end post-jump "+r.name)
		switch isActive := f.current == r.id(); {
		case isActive && stopped >= 0 && (started < 0 || started > stopped):
			found.add("%s is active, and was stopped: %v", r.name, events)
		case !isActive && started >= 0 && (stopped < 0 || stopped > started):
			found.add("%s is not active, and was not stopped: %v", r.name, events)
		}
	}
}

func backward(events []string) []string {
	events = slices.Clone(events)
	slices.Reverse(events)
	return events
}

// checkOverlap checks that each hook found its revision active where it should
// be, and strictly, that none began while another one ran. It returns those that
// have ended, in their order.
func checkOverlap(found *problems, events []string, strict bool) (ended []string) {
	running := ""
	for _, event := range events {
		how, hook, _ := strings.Cut(event, " ")
		switch how {
		case "begin":
			if strict && running != "" {
				found.add("%s began while %s ran", hook, running)
			}
			running = hook
		case "end":
			running = ""
			ended = append(ended, hook)
		default:
			found.add("a hook says: %s", event)
		}
	}
	return ended
}

// checkTurns checks that each hook that has to run did, in its turn.
func checkTurns(found *problems, want, ended, events []string) {
	// A removal does not wait for a jump, nor a jump for a removal.
	removes := func(hook string) bool { return strings.HasPrefix(hook, "pre-remove ") }
	jumps := func(hook string) bool { return !removes(hook) }
	for _, of := range []func(string) bool{removes, jumps} {
		if missed := firstMissed(slices.DeleteFunc(slices.Clone(want), of), ended); missed != "" {
			found.add("%s did not run, or not in its turn: %v", missed, events)
		}
	}
}

// firstMissed returns the first of some hooks that did not end after those
// before it, "" if there is none. One may have run more than once.
func firstMissed(hooks, ended []string) string {
	for _, hook := range ended {
		if len(hooks) > 0 && hooks[0] == hook {
			hooks = hooks[1:]
		}
	}
	if len(hooks) == 0 {
		return ""
	}
	return hooks[0]
}
