package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"

	"github.com/rhettg/ftl/hooks"
)

// Whatever ftl prints goes through here. Names of files, errors of servers, notes
// in the bucket, reasons and steps of hooks were written by others, and end on a
// terminal: none of them may act on it, nor begin a line that passes for ftl's own.

// print writes a line of data.
func (p *Program) print(format string, args ...any) {
	writeLine(p.Stdout, fmt.Sprintf(format, args...))
}

// say writes a line for a person.
func (p *Program) say(format string, args ...any) { p.sayIn("", format, args...) }

// sayIn writes a line whose first word has a colour, "" for none.
func (p *Program) sayIn(colour, format string, args ...any) {
	first := "ftl:"
	if colour != "" {
		first = p.coloured(colour, first)
	}
	fmt.Fprintf(p.Stderr, "%s %s\n", first, hooks.Harmless(fmt.Sprintf(format, args...)))
}

func (p *Program) warn(format string, args ...any) {
	p.sayIn(yellow, "warning: "+format, args...)
}

// sayHint writes what to do about a failure, which may take several lines.
func (p *Program) sayHint(hint string) {
	for line := range strings.SplitSeq(hint, "\n") {
		p.say("  %s", line)
	}
}

// prompt writes the beginning of a line, which is for a person to end; endPrompt ends it otherwise.
func (p *Program) prompt(format string, args ...any) {
	fmt.Fprint(p.Stderr, hooks.Harmless(fmt.Sprintf(format, args...)))
}

func (p *Program) endPrompt() { fmt.Fprintln(p.Stderr) }

func writeLine(w io.Writer, line string) { fmt.Fprintln(w, hooks.Harmless(line)) }

// columns returns the lines of a table.
func columns(rows [][]string) []string {
	if len(rows) == 0 {
		return nil
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, strings.ReplaceAll(hooks.Harmless(cell), "\t", " "))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return strings.Split(strings.TrimSuffix(table.String(), "\n"), "\n")
}

// writeJSON prints a value on a line of its own. That it could not be written is
// known to the data writer.
func (p *Program) writeJSON(value any) error { return encodeJSON(p.Stdout, value) }

// sayJSON writes a value for whoever reads stderr.
func (p *Program) sayJSON(value any) error { return encodeJSON(p.Stderr, value) }

func encodeJSON(w io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = w.Write(append(escapeJSON(text), '\n'))
	return err
}

// escapeJSON spells the characters of a JSON text that could act on a terminal by
// letters. It means the same.
func escapeJSON(text []byte) []byte {
	escaped := make([]byte, 0, len(text)+1)
	for _, r := range string(text) {
		switch {
		case unicode.IsGraphic(r):
			escaped = append(escaped, string(r)...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
	}
	return escaped
}
