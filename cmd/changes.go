package cmd

import (
	"fmt"

	"github.com/rhettg/ftl/ftl"
)

// printChange prints a line for each change, and nothing for the rest.
func (p *Program) printChange(event ftl.Event) {
	if event.Step == ftl.Recover {
		p.say("%s: %s; taking it up again", event.Revision, event.Message)
		return
	}
	if event.State != ftl.Success {
		return
	}
	name := event.Revision.String()
	if name == "" {
		name = event.Package.String()
	}
	if what := describe(event); what != "" {
		fmt.Fprintf(p.Stdout, "%s %s\n", name, what)
	}
}

// describe says what has changed, "" where nothing has that a person would
// want to read.
func describe(event ftl.Event) string {
	switch event.Step {
	case ftl.Ready:
		return "is ready"
	case ftl.Flip:
		return withDetail("is active", event.Message)
	case ftl.Defer:
		return withDetail("is deferred", event.Message)
	case ftl.Remove:
		return withDetail("is removed", event.Message)
	case ftl.Bless:
		return withDetail("is blessed", event.Message)
	case ftl.Purge:
		return withDetail("is purged", event.Message)
	}
	return ""
}

func withDetail(what, detail string) string {
	if detail == "" {
		return what
	}
	return what + " (" + detail + ")"
}
