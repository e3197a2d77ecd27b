// Package manual makes man pages of the help texts, so that there is one text
// to keep. The program does not need it: packages of distributions do.
package manual

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/rhettg/ftl/cmd"
)

// Write writes a page for ftl and one for each of its commands, as ftl-jump.1,
// into a directory that is there. The pages name the version. They are dated
// today or, where SOURCE_DATE_EPOCH is set, then.
func Write(dir, version string) error {
	program := &cmd.Program{Getenv: func(string) string { return "" }}
	root := program.Commands()
	root.DisableAutoGenTag = true
	prepare(root)
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "ftl " + version, Manual: "FTL"}, dir)
}

// prepare makes of plain text what the generator takes for Markdown.
func prepare(command *cobra.Command) {
	command.Long = markdown(command.Long)
	for _, sub := range command.Commands() {
		prepare(sub)
	}
}

// markdown returns the Markdown that shows a help text as it is: its indented
// lines are tables, and nothing in it is markup.
func markdown(text string) string {
	var out strings.Builder
	inTable := false
	for line := range strings.Lines(text) {
		indented := strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t")
		if indented != inTable && strings.TrimSpace(line) != "" {
			out.WriteByte('\n')
			inTable = indented
		}
		if indented {
			out.WriteString("    " + line)
			continue
		}
		out.WriteString(escaped.Replace(line))
	}
	return out.String()
}

var escaped = strings.NewReplacer(`\`, `\\`, "<", `\<`, "*", `\*`, "`", "\\`", "_", `\_`)
