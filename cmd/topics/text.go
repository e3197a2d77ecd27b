package topics

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/russross/blackfriday/v2"
)

// termLimit is how wide a column of terms may be. Longer terms stand on a line
// of their own, above their definitions.
const termLimit = 24

// Text returns the page as lines of text, at most width characters wide but for
// code, which is never broken.
func (t Topic) Text(width int) string {
	out := &printer{width: width}
	out.lines("", t.Name+" - "+t.Short)
	out.blocks("", t.Document(func(topic string) string { return "ftl help " + topic }))
	return out.text.String()
}

// A printer lays a document out.
type printer struct {
	text  strings.Builder
	width int
}

// blocks prints what a node consists of, with an empty line before each block.
func (p *printer) blocks(indent string, parent *blackfriday.Node) {
	for _, node := range children(parent) {
		p.text.WriteByte('\n')
		switch node.Type {
		case blackfriday.Heading:
			p.lines(indent, strings.ToUpper(words(node)))
		case blackfriday.CodeBlock:
			for line := range bytes.Lines(node.Literal) {
				fmt.Fprintf(&p.text, "%s    %s", indent, line)
			}
		case blackfriday.List:
			p.list(indent, node)
		default:
			p.lines(indent, prose(node))
		}
	}
}

func (p *printer) list(indent string, list *blackfriday.Node) {
	if list.ListFlags&blackfriday.ListTypeDefinition != 0 {
		p.definitions(indent, children(list))
		return
	}
	for _, item := range children(list) {
		p.hanging(indent, "- ", prose(item))
	}
}

// definitions prints a list of terms and definitions in two columns, where they
// are short enough.
func (p *printer) definitions(indent string, items []*blackfriday.Node) {
	column, most := 0, 0
	for i := 0; i < len(items); i += 2 {
		column = max(column, utf8.RuneCountInString(words(items[i])))
		most = max(most, len(children(items[i+1])))
	}
	for i := 0; i < len(items); i += 2 {
		term, parts := words(items[i]), children(items[i+1])
		if column <= termLimit && most <= 1 {
			p.hanging(indent+"  ", fmt.Sprintf("%-*s  ", column, term), prose(items[i+1]))
			continue
		}
		p.lines(indent+"  ", term)
		for _, part := range parts {
			p.hanging(indent+"      ", "", prose(part))
		}
	}
}

// hanging prints text whose first line begins with a label, and whose others
// are indented as far.
func (p *printer) hanging(indent, label, text string) {
	rest := indent + strings.Repeat(" ", utf8.RuneCountInString(label))
	for i, line := range wrap(text, p.width-utf8.RuneCountInString(rest)) {
		line = strings.ReplaceAll(line, glue, " ")
		if i == 0 {
			p.text.WriteString(strings.TrimRight(indent+label+line, " ") + "\n")
			continue
		}
		p.text.WriteString(rest + line + "\n")
	}
}

func (p *printer) lines(indent, text string) { p.hanging(indent, "", text) }

// wrap breaks text into lines of at most width characters; a word that is
// longer has a line of its own. Even of no text there is one line.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// words returns the text of a node without its marks, for a title or a term.
func words(node *blackfriday.Node) string {
	return spoken(node, func(code string) string { return code })
}

// prose returns the text of a node without its marks. Code of several words is
// put between quotes, so that one sees where it ends, and stays on a line unless
// it is long.
func prose(node *blackfriday.Node) string {
	return spoken(node, func(code string) string {
		if strings.Contains(code, " ") && !strings.Contains(code, `"`) {
			code = `"` + code + `"`
		}
		if len(code) > 40 {
			return code
		}
		return strings.ReplaceAll(code, " ", glue)
	})
}

// glue is a space at which wrap does not break.
const glue = "\x00"

func spoken(node *blackfriday.Node, quote func(code string) string) string {
	var text strings.Builder
	node.Walk(func(node *blackfriday.Node, entering bool) blackfriday.WalkStatus {
		switch {
		case node.Type == blackfriday.Text:
			text.Write(node.Literal)
		case node.Type == blackfriday.Code:
			text.WriteString(quote(string(node.Literal)))
		case node.Type == blackfriday.Paragraph && !entering:
			text.WriteByte('\n')
		}
		return blackfriday.GoToNext
	})
	return strings.TrimSpace(text.String())
}
