package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

const flagJSON = "json"

// wantsJSON reports whether a command line asks for JSON.
func wantsJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--"+flagJSON)
}

// textJSON is a line of a command that prints a text for people.
type textJSON struct {
	Text string `json:"text"`
}

// printsText is the annotation of a command that prints a text for people.
const printsText = "text"

// collectText keeps a text for people off stdout, where JSON is wanted, until the function that it
// returns prints it as one value.
func (p *Program) collectText(root *cobra.Command, out *dataWriter) (flush func()) {
	command, _, err := root.Find(p.args)
	if err != nil || !p.json || !isText(command, p.args) {
		return func() {}
	}
	var text strings.Builder
	stdout := out.Writer
	out.Writer = &text
	return func() {
		out.Writer = stdout
		if text.Len() > 0 {
			p.writeJSON(textJSON{text.String()})
		}
	}
}

func isText(command *cobra.Command, args []string) bool {
	_, text := command.Annotations[printsText]
	help := !command.HasParent() || slices.Contains(args, "--help") || slices.Contains(args, "-h")
	return text || help || command.Parent().Name() == "completion"
}

// packageJSON is a line of list without a package.
type packageJSON struct {
	Package revision.Package `json:"package"`
}

// streamJSON prints each event as it comes, for commands that are asked for it.
func (p *Program) streamJSON(event ftl.Event) {
	p.writeJSON(event)
}
