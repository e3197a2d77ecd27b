package cmd

import (
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

const flagJSON = "json"

// addJSON gives a command the flag --json.
func addJSON(command *cobra.Command) {
	command.Flags().Bool(flagJSON, false, "print JSON, one value a line")
}

// writeJSON prints a value on a line of its own. That it could not be written
// is known to the data writer.
func (p *Program) writeJSON(value any) error {
	return json.NewEncoder(p.Stdout).Encode(value)
}

// eventJSON is a step of sync or jump.
type eventJSON struct {
	Time     time.Time         `json:"time"`
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"`
	Name     ftl.Step          `json:"name"`
	State    ftl.State         `json:"state"`
	Message  string            `json:"message"`
}

// packageJSON is a line of list without a package.
type packageJSON struct {
	Package revision.Package `json:"package"`
}

// revisionJSON is a line of list with a package.
type revisionJSON struct {
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"`
	Active   bool              `json:"active"`
	Previous bool              `json:"previous"`
}

// streamJSON prints each event as it comes, for commands that are asked for it.
func (p *Program) streamJSON(event ftl.Event) {
	p.writeJSON(eventJSON{event.Time, event.Package, event.Revision, event.Step, event.State, event.Message})
}
