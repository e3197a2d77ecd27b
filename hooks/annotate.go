package hooks

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

const (
	maxLine  = 4096     // the length, in bytes, above which a line is shown in pieces
	maxWrite = 64 << 10 // about how many bytes are written at a time
)

// An annotator writes text as whole lines, each behind a prefix and made
// harmless. A line without an end is kept back until flush.
type annotator struct {
	out    io.Writer
	prefix string
	line   []byte // the beginning of a line, at most maxLine bytes between writes
	shown  []byte // lines that wait to be written, none between writes
}

func (a *annotator) write(text []byte) {
	for len(text) > 0 {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		a.line = append(a.line, line...)
		for len(a.line) > maxLine {
			a.show(wholeRunes(a.line, maxLine))
		}
		if ended {
			a.show(len(a.line))
		}
		text = rest
	}
	a.emit()
}

// flush shows the beginning of a line as a line.
func (a *annotator) flush() {
	if len(a.line) > 0 {
		a.show(len(a.line))
		a.emit()
	}
}

// note shows a line of ftl's own.
func (a *annotator) note(text string) {
	a.flush()
	a.shown = append(append(append(a.shown, a.prefix...), text...), '\n')
	a.emit()
}

// show moves the first n bytes of the line to shown, as a line. An empty line
// gets many times longer by its prefix, so a flood of them is written piece by
// piece.
func (a *annotator) show(n int) {
	a.shown = append(a.shown, a.prefix...)
	a.shown = appendHarmless(a.shown, bytes.TrimRight(a.line[:n], "\r"))
	a.shown = append(a.shown, '\n')
	a.line = a.line[:copy(a.line, a.line[n:])]
	if len(a.shown) >= maxWrite {
		a.emit()
	}
}

// emit writes, and gives up an output that fails: nobody reads it any more, and
// the hook must not suffer from that.
func (a *annotator) emit() {
	if len(a.shown) == 0 {
		return
	}
	if _, err := a.out.Write(a.shown); err != nil {
		a.out = io.Discard
	}
	a.shown = a.shown[:0]
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
