package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// printChange prints a line for each change, and nothing for the rest.
func (p *Program) printChange(event ftl.Event) {
	name := subject(event)
	hook, step, own := event.Step.Own()
	switch {
	case own: // as what the hook prints
		writeLine(p.Stderr, fmt.Sprintf("%s %s | %s: %s", name, hook, step, withDetail(string(event.State), event.Message)))
	case event.Step == ftl.Recover && event.State == ftl.Running:
		p.say("%s: %s; taking it up again", name, event.Message)
	case event.State == ftl.Planned && event.Step == ftl.Jump:
		if about := aboutJump(event); about != "" {
			p.print("%s would be jumped to (%s)", name, about)
		}
	case event.State == ftl.Planned:
		p.print("%s %s", name, withDetail(plan(event.Step), event.Message))
	case event.State == ftl.Success:
		if what := describe(event); what != "" {
			p.print("%s %s", name, what)
		}
	}
}

// printStep prints each step, and beside it the line of a change. What printChange says to a person
// already is not said twice.
func (p *Program) printStep(event ftl.Event) {
	if _, _, own := event.Step.Own(); !own && (event.Step != ftl.Recover || event.State != ftl.Running) {
		p.say("%s %s", subject(event), withDetail(string(event.Step)+" "+string(event.State), event.Message))
	}
	p.printChange(event)
}

// subject names what an event is about.
func subject(event ftl.Event) string {
	if event.Revision == (revision.Revision{}) {
		return event.Package.String()
	}
	return event.Revision.String()
}

// aboutJump says what is known of a jump beyond its hooks, which have lines of their own: what the
// package says of itself, and the steps within the hooks.
func aboutJump(event ftl.Event) string {
	var steps []string
	for _, step := range event.Planned {
		if step == ftl.Flip || slices.Contains(ftl.Hooks(), step) {
			continue
		}
		if _, name, own := step.Own(); own {
			step = ftl.Step(name)
		}
		steps = append(steps, string(step))
	}
	about := event.Message
	if len(steps) > 0 {
		about = strings.TrimPrefix(about+"; its steps: "+strings.Join(steps, ", "), "; ")
	}
	return about
}

// plan says what a dry run has left undone. A step of no other name is a hook.
func plan(step ftl.Step) string {
	switch step {
	case ftl.Fetch:
		return "would be fetched"
	case ftl.Flip:
		return "would become active"
	case ftl.Remove:
		return "would be removed"
	case ftl.Hold:
		return "would be held"
	case ftl.Unhold:
		return "would not be held any more"
	case ftl.Bless:
		return "would be blessed"
	case ftl.Halt:
		return "would be halted"
	case ftl.Purge:
		return "would be purged"
	case ftl.Retire:
		return "would be retired"
	case ftl.Adopt:
		return "would be adopted"
	case ftl.Sign:
		return "would be signed"
	case ftl.Renew:
		return "would be renewed"
	}
	return "would run its " + string(step)
}

// describe says what has changed, "" where nothing has that a person would want to read.
func describe(event ftl.Event) string {
	switch event.Step {
	case ftl.Ready:
		return "is ready"
	case ftl.Flip:
		return withDetail("is active", event.Message)
	case ftl.Defer:
		return withDetail("is deferred", event.Message)
	case ftl.Hold:
		return withDetail("is held", event.Message)
	case ftl.Unhold:
		return withDetail("is not held", event.Message)
	case ftl.Subscribe:
		return withDetail("is subscribed", event.Message)
	case ftl.Remove:
		return withDetail("is removed", event.Message)
	case ftl.Bless:
		return withDetail("is blessed", event.Message)
	case ftl.Halt:
		return withDetail("is halted", event.Message)
	case ftl.Purge:
		return withDetail("is purged", event.Message)
	case ftl.Retire:
		return withDetail("is retired", event.Message)
	case ftl.Adopt:
		return withDetail("is adopted", event.Message)
	case ftl.Sign:
		return withDetail("is signed", event.Message)
	case ftl.Renew:
		return withDetail("is renewed", event.Message)
	}
	return ""
}

func withDetail(what, detail string) string {
	if detail == "" {
		return what
	}
	return what + " (" + detail + ")"
}
