package hooks

import (
	"bytes"
	"io"
	"unicode/utf8"
)

const (
	maxLine  = 4096     // the length, in bytes, above which a line is shown in pieces
	maxStep  = 1 << 20  // the length above which a line is no longer offered as a step
	maxWrite = 64 << 10 // about how many bytes are written at a time
)

// An annotator writes text as whole lines, each behind a prefix and made
// harmless. A line without an end is kept back until flush. A line that may be a
// step is first offered to whoever wants steps, as it is: JSON that was made
// harmless says something else.
type annotator struct {
	out    io.Writer
	prefix string
	step   func(line []byte) bool // takes a step; nil takes none
	line   []byte                 // the beginning of a line, or what is left of one
	inside bool                   // the line began with a piece that was shown
	shown  []byte                 // lines that wait to be written, none between writes
}

func (a *annotator) write(text []byte) {
	for len(text) > 0 {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		a.line = append(a.line, line...)
		if len(a.line) > a.limit() {
			a.showPieces()
		}
		if ended {
			a.end()
		}
		text = rest
	}
	a.emit()
}

// limit is how long a line gets before pieces of it are shown.
func (a *annotator) limit() int {
	if a.mayBeStep() {
		return maxStep
	}
	return maxLine
}

func (a *annotator) mayBeStep() bool {
	return a.step != nil && !a.inside && bytes.HasPrefix(a.line, []byte("{"))
}

// end shows the line that has ended, unless it is a step. What was printed before
// is written first, so that everything stays in its order.
func (a *annotator) end() {
	if a.mayBeStep() {
		a.emit()
		if a.step(bytes.TrimRight(a.line, "\r")) {
			a.line = a.line[:0]
			return
		}
	}
	if len(a.line) > maxLine {
		a.showPieces()
	}
	a.show(a.line)
	a.line, a.inside = a.line[:0], false
}

// flush shows the beginning of a line as a line.
func (a *annotator) flush() {
	if len(a.line) > 0 {
		a.end()
		a.emit()
	}
}

// note shows a line of ftl's own.
func (a *annotator) note(text string) {
	a.flush()
	a.shown = append(append(append(a.shown, a.prefix...), text...), '\n')
	a.emit()
}

// showPieces shows the beginning of a line that is too long in pieces, and keeps
// the rest.
func (a *annotator) showPieces() {
	rest := a.line
	for len(rest) > maxLine {
		n := wholeRunes(rest, maxLine)
		a.show(rest[:n])
		rest = rest[n:]
	}
	a.line, a.inside = a.line[:copy(a.line, rest)], true
}

// show adds a line to those that wait. An empty line gets many times longer by
// its prefix, so a flood of them is written piece by piece.
func (a *annotator) show(line []byte) {
	a.shown = append(a.shown, a.prefix...)
	a.shown = appendHarmless(a.shown, bytes.TrimRight(line, "\r"))
	a.shown = append(a.shown, '\n')
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
