package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

const flagDryRun = "dry-run"

// addDryRun gives a command the flag --dry-run.
func addDryRun(command *cobra.Command) {
	command.Flags().Bool(flagDryRun, false, "only print what would be done")
}

// isSet reports whether a command has the flag, and it is given.
func isSet(command *cobra.Command, name string) bool {
	flag := command.Flags().Lookup(name)
	return flag != nil && flag.Value.String() == "true"
}

// printChange prints a line for each change, and nothing for the rest.
func (p *Program) printChange(event ftl.Event) {
	name := subject(event)
	switch {
	case event.Own:
		fmt.Fprintf(p.Stderr, "%s | %s: %s\n", name, event.Step, withDetail(string(event.State), event.Message))
	case event.Step == ftl.Recover:
		p.say("%s: %s; taking it up again", name, event.Message)
	case event.State == ftl.Planned:
		fmt.Fprintf(p.Stdout, "%s %s\n", name, withDetail(plan(event.Step), event.Message))
	case event.State == ftl.Success:
		if what := describe(event); what != "" {
			fmt.Fprintf(p.Stdout, "%s %s\n", name, what)
		}
	}
}

// subject names what an event is about.
func subject(event ftl.Event) string {
	if event.Revision == (revision.Revision{}) {
		return event.Package.String()
	}
	return event.Revision.String()
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
	case ftl.Bless:
		return "would be blessed"
	case ftl.Purge:
		return "would be purged"
	}
	return "would run its " + string(step)
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
	case ftl.Hold:
		return withDetail("is held", event.Message)
	case ftl.Unhold:
		return withDetail("is not held", event.Message)
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
