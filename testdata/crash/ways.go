package main

import (
	"os"
	"path/filepath"
	"slices"
)

// A host is recovered by a command, and the host has to be what that last
// command asks for, judged by what list shows before it: who reads that and then
// types knows nothing else.

// way is how a host is recovered.
type way struct {
	name    string
	command func(h *host, seen facts) []string
}

var (
	bySame     = way{"the same command", func(h *host, _ facts) []string { return h.scenario.command(h.stage) }}
	bySync     = way{"a sync", func(*host, facts) []string { return []string{"sync"} }}
	byOpposite = way{"the opposite", (*host).oppositeCommand}
)

// ways returns the ways that there are for a scenario.
func (s *stage) ways(of *scenario) []way {
	if of.command(s)[0] == "sync" { // which is the same command
		return []way{bySync, byOpposite}
	}
	return []way{bySame, bySync, byOpposite}
}

// oppositeCommand is the way back, or where there is none, the wish that what is
// active stays.
func (h *host) oppositeCommand(seen facts) []string {
	switch {
	case h.scenario.opposite != nil:
		return h.scenario.opposite(h, seen)
	case seen.shownPrevious == "" && seen.shownCurrent != "":
		return []string{"jump", seen.shownCurrent}
	}
	return []string{"jump-back", pkg}
}

// stay is the opposite of a jump-back: what was active stays, or becomes so again.
func stay(h *host, _ facts) []string { return command("jump", 2)(h.stage) }

// jumpToFirst needs the revision that is to go.
func jumpToFirst(h *host, _ facts) []string { return command("jump", 1)(h.stage) }

// subscribe brings a package back.
func subscribe(*host, facts) []string { return []string{"sync", pkg} }

// goal is what a command asks for.
type goal struct {
	active   string // the id of the revision that it wants active, "" where it wants none
	previous string // that of the one that is then to be previous
	code     int    // that it exits with
}

// goalOf judges a command by what list has shown before it.
func (h *host) goalOf(args []string, seen facts) (goal, bool) {
	name := ""
	switch args[0] {
	case "jump":
		name = args[1]
	case "jump-back":
		name = seen.shownPrevious
	default:
		return goal{}, false
	}
	if name == "" || !slices.Contains(seen.listed, name) && !h.inBucket(name) {
		return goal{code: notFound}, true
	}
	previous := seen.shownCurrent
	if name == seen.shownCurrent {
		previous = seen.shownPrevious
	}
	return goal{active: id(name), previous: id(previous)}, true
}

func (h *host) inBucket(name string) bool {
	_, err := os.Stat(filepath.Join(h.bucket(), name+".ftl"))
	return err == nil
}

// give runs a command that recovers the host, and checks that it does what it
// is asked for.
func (h *host) give(by way, want *expectation) (*ending, problems, error) {
	var found problems
	end := &ending{facts: want.done, exact: true}
	seen, err := h.look()
	if err != nil {
		found.add("the host can't be read: %v", err)
		return end, found, nil
	}
	args, err := h.prepareFor(by, seen)
	if err != nil {
		return nil, nil, err
	}
	code, _, all, err := h.run(args...)
	if err != nil {
		return nil, nil, err
	}
	goal, judged := h.goalOf(args, seen)
	if !judged {
		if code != want.code && !slices.Contains(h.scenario.again, code) && by.name != byOpposite.name {
			found.add("the recovery by %q exits with %d: %s", args, code, all)
		}
		if by.name == byOpposite.name { // the package is there again
			return &ending{facts: want.start}, found, nil
		}
		return end, found, nil
	}
	if code != goal.code {
		found.add("list showed %q and %q; then %q exits with %d, not %d: %s", seen.shownCurrent, seen.shownPrevious, args, code, goal.code, all)
	}
	now, err := h.look()
	if err != nil {
		found.add("the host can't be read: %v", err)
		return end, found, nil
	}
	end = &ending{facts: want.done, exact: goal.active == "" || by.name == bySame.name && args[0] == "jump"}
	if goal.active != "" && now.current != goal.active {
		found.add("list showed %q and %q; then %q leads to %q, not %q: %s", seen.shownCurrent, seen.shownPrevious, args, now.current, goal.active, all)
	}
	// A revision that was rejected is no previous one, whatever was shown on the way back from it.
	if goal.active != "" && now.previous != goal.previous && h.scenario.passes == 0 {
		found.add("list showed %q and %q; then %q makes %q the previous one, not %q: %s", seen.shownCurrent, seen.shownPrevious, args, now.previous, goal.previous, all)
	}
	// A jump by hand stands until the master changes, and for a host that has not
	// seen the newest blessing, it does so at the next sync.
	if goal.active != "" && !end.exact && now.state.Seen.Serial >= want.done.state.Seen.Serial {
		end.current, end.previous, end.state.Jump = goal.active, now.previous, nil
	}
	return end, found, nil
}

// prepareFor returns the command of a way, and makes what it needs.
func (h *host) prepareFor(by way, seen facts) ([]string, error) {
	h.healthy = by.name == byOpposite.name // it leads to a revision that works
	args := by.command(h, seen)
	if goal, judged := h.goalOf(args, seen); judged && goal.active != "" {
		h.asked = append(h.asked, goal.active)
	}
	if h.scenario.gone && by.name == byOpposite.name {
		return args, os.MkdirAll(h.pkg(), 0o755)
	}
	return args, nil
}

// ending is what a host is when all is done.
type ending struct {
	facts
	exact bool // it is that of an undisturbed run
}
