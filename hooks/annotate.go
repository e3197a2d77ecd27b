package hooks

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// maxLine is the length, in bytes, above which a line is shown in pieces.
const maxLine = 4096

// An annotator writes text as whole lines, each behind a prefix and made
// harmless. A line without an end is kept back until flush.
type annotator struct {
	out    io.Writer
	prefix string
	line   []byte // the beginning of a line, at most maxLine bytes between writes
}

func (a *annotator) write(text []byte) {
	var shown []byte
	for len(text) > 0 {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		a.line = append(a.line, line...)
		for len(a.line) > maxLine {
			shown = a.appendLine(shown, wholeRunes(a.line, maxLine))
		}
		if ended {
			shown = a.appendLine(shown, len(a.line))
		}
		text = rest
	}
	a.emit(shown)
}

// flush shows the beginning of a line as a line.
func (a *annotator) flush() {
	if len(a.line) > 0 {
		a.emit(a.appendLine(nil, len(a.line)))
	}
}

// note shows a line of ftl's own.
func (a *annotator) note(text string) {
	a.flush()
	a.emit([]byte(a.prefix + text + "\n"))
}

// appendLine moves the first n bytes of the line to shown.
func (a *annotator) appendLine(shown []byte, n int) []byte {
	shown = append(shown, a.prefix...)
	shown = appendHarmless(shown, bytes.TrimRight(a.line[:n], "\r"))
	a.line = a.line[:copy(a.line, a.line[n:])]
	return append(shown, '\n')
}

// emit writes, and gives up an output that fails: nobody reads it any more, and
// the hook must not suffer from that.
func (a *annotator) emit(shown []byte) {
	if len(shown) == 0 {
		return
	}
	if _, err := a.out.Write(shown); err != nil {
		a.out = io.Discard
	}
}

// wholeRunes returns how many of the first n bytes of line, which has more, are
// not the beginning of a character that goes on behind them.
func wholeRunes(line []byte, n int) int {
	for back := range utf8.UTFMax {
		if utf8.RuneStart(line[n-back]) {
			return n - back
		}
	}
	return n // not UTF-8 at all
}

// appendHarmless appends a line so that it can't act on a terminal: what isn't
// visible, a space or a tab is shown as \x1b or \u202e. NUL is left out, since
// a file that was cut under a careless writer has long runs of it.
func appendHarmless(shown, line []byte) []byte {
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		switch {
		case r == 0:
		case r == utf8.RuneError && size == 1, r < utf8.RuneSelf && r != '\t' && !unicode.IsGraphic(r):
			shown = fmt.Appendf(shown, `\x%02x`, line[0])
		case r != '\t' && !unicode.IsGraphic(r):
			shown = fmt.Appendf(shown, `\u%04x`, r)
		default:
			shown = append(shown, line[:size]...)
		}
		line = line[size:]
	}
	return shown
}
