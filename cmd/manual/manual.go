// Package manual makes man pages of the help texts and of the topics, so that
// there is one text to keep. The program does not need it: packages of
// distributions do.
package manual

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/russross/blackfriday/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/rhettg/ftl/cmd"
	"github.com/rhettg/ftl/cmd/topics"
)

// Write writes a page for ftl and one for each of its commands, as ftl-jump.1,
// and one for each topic, as ftl-hooks.7, into a directory that exists. The
// pages name the version. They are dated today or, where SOURCE_DATE_EPOCH is
// set, then.
func Write(dir, version string) error {
	if err := writeCommands(dir, version); err != nil {
		return err
	}
	date, err := today()
	if err != nil {
		return err
	}
	for _, topic := range topics.All() {
		page := render(topic, fmt.Sprintf(`"%s" "ftl %s" "FTL"`, date.Format("Jan 2006"), version))
		if err := os.WriteFile(filepath.Join(dir, "ftl-"+topic.Name+".7"), page, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func writeCommands(dir, version string) error {
	program := &cmd.Program{}
	root := program.Commands()
	root.DisableAutoGenTag = true
	prepare(root)
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "ftl " + version, Manual: "FTL"}, dir)
}

// today is the date of the pages.
func today() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// render returns a topic as a page of section 7, with what its title says
// beside the name.
func render(topic topics.Topic, title string) []byte {
	var page bytes.Buffer
	fmt.Fprintf(&page, ".TH \"FTL-%s\" \"7\" %s\n.SH NAME\nftl-%s \\- %s\n.SH DESCRIPTION\n",
		strings.ToUpper(topic.Name), title, topic.Name, topic.Short)
	document := topic.Document(func(name string) string { return "ftl-" + name + "(7)" })
	roff := md2man.NewRoffRenderer()
	roff.RenderHeader(&page, document)
	document.Walk(func(node *blackfriday.Node, entering bool) blackfriday.WalkStatus {
		return roff.RenderNode(&page, node, entering)
	})
	return page.Bytes()
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
