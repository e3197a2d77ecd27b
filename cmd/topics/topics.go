// Package topics is the reference of ftl: one page for each idea, such as hooks
// or permissions. Each page is a Markdown file, from which a terminal gets lines
// of text, a web site a page, and man(1) a page of section 7.
package topics

import (
	"bytes"
	"embed"
	"strings"

	"github.com/russross/blackfriday/v2"
)

//go:embed *.md
var pages embed.FS

// A Topic is one page of the reference.
type Topic struct {
	Name  string // "hooks", what is typed after ftl help
	Short string // the rest of its title: "scripts that a revision brings along"
	body  string // Markdown, without the title
}

// All returns every topic, by name.
func All() []Topic {
	entries, err := pages.ReadDir(".")
	if err != nil {
		panic(err) // the program is not what the compiler made
	}
	var all []Topic
	for _, entry := range entries {
		text, err := pages.ReadFile(entry.Name())
		if err != nil {
			panic(err)
		}
		all = append(all, parse(strings.TrimSuffix(entry.Name(), ".md"), string(text)))
	}
	return all
}

// parse takes a page apart, whose title is "# NAME - SHORT".
func parse(name, text string) Topic {
	title, body, _ := strings.Cut(text, "\n")
	_, short, _ := strings.Cut(title, " - ")
	return Topic{Name: name, Short: short, body: strings.TrimLeft(body, "\n")}
}

// Document returns the page without its title, as a tree that is fit for every
// medium without wide tables and links: a table has become a list of
// definitions, and the name of another topic is followed by how to reach it,
// which refer says.
func (t Topic) Document(refer func(topic string) string) *blackfriday.Node {
	extensions := blackfriday.NoIntraEmphasis | blackfriday.Tables | blackfriday.FencedCode | blackfriday.SpaceHeadings
	document := blackfriday.New(blackfriday.WithExtensions(extensions)).Parse([]byte(t.body))
	for _, link := range nodes(document, blackfriday.Link) {
		spellOut(link, refer)
	}
	for _, table := range nodes(document, blackfriday.Table) {
		table.InsertBefore(definitions(table))
		table.Unlink()
	}
	return document
}

// nodes returns all nodes of a type, in their order.
func nodes(document *blackfriday.Node, kind blackfriday.NodeType) []*blackfriday.Node {
	var found []*blackfriday.Node
	document.Walk(func(node *blackfriday.Node, entering bool) blackfriday.WalkStatus {
		if entering && node.Type == kind {
			found = append(found, node)
		}
		return blackfriday.GoToNext
	})
	return found
}

// spellOut replaces a link by its text, and by what it takes to follow it: the
// address, or refer's words for another topic. A file of the checkout is not
// everywhere, so a link to one is its text alone.
func spellOut(link *blackfriday.Node, refer func(topic string) string) {
	target := string(link.Destination)
	for child := link.FirstChild; child != nil; child = link.FirstChild {
		link.InsertBefore(child)
	}
	switch name, isTopic := strings.CutSuffix(target, ".md"); {
	case isTopic && !strings.Contains(name, "/"):
		link.InsertBefore(text(" (" + refer(name) + ")"))
	case strings.Contains(target, "://"):
		link.InsertBefore(text(" <" + target + ">"))
	}
	link.Unlink()
}

// definitions returns a table as a list: the first cell of a row is the term,
// the second its definition. Further cells are named by the head of their
// column.
func definitions(table *blackfriday.Node) *blackfriday.Node {
	list := blackfriday.NewNode(blackfriday.List)
	list.ListFlags = blackfriday.ListTypeDefinition
	var heads []*blackfriday.Node
	for _, row := range nodes(table, blackfriday.TableRow) {
		cells := children(row)
		if row.Parent.Type == blackfriday.TableHead {
			heads = cells
			continue
		}
		list.AppendChild(item(blackfriday.ListTypeTerm, paragraph(cells[0])))
		definition := item(blackfriday.ListTypeDefinition)
		for i, cell := range cells[1:] {
			if cell.FirstChild == nil {
				continue
			}
			p := paragraph(cell)
			if len(cells) > 2 {
				p.FirstChild.InsertBefore(text(words(heads[i+1]) + ": "))
			}
			definition.AppendChild(p)
		}
		list.AppendChild(definition)
	}
	return list
}

// item returns an element of a list of definitions.
func item(flags blackfriday.ListType, content ...*blackfriday.Node) *blackfriday.Node {
	node := blackfriday.NewNode(blackfriday.Item)
	node.ListFlags = flags
	for _, child := range content {
		node.AppendChild(child)
	}
	return node
}

// paragraph returns a paragraph with the content of a cell, which is empty then.
func paragraph(cell *blackfriday.Node) *blackfriday.Node {
	node := blackfriday.NewNode(blackfriday.Paragraph)
	for child := cell.FirstChild; child != nil; child = cell.FirstChild {
		// In a table a bar is written \|, in code too, and the parser keeps that.
		child.Literal = bytes.ReplaceAll(child.Literal, []byte(`\|`), []byte("|"))
		node.AppendChild(child)
	}
	return node
}

func text(literal string) *blackfriday.Node {
	node := blackfriday.NewNode(blackfriday.Text)
	node.Literal = []byte(literal)
	return node
}

func children(node *blackfriday.Node) []*blackfriday.Node {
	var all []*blackfriday.Node
	for child := node.FirstChild; child != nil; child = child.Next {
		all = append(all, child)
	}
	return all
}
