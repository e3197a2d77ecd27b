package hooks

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Harmless returns text that somebody else wrote as one line that can't act on a
// terminal, nor pass for a line of ftl's own: what isn't visible, a space or a
// tab is shown as \x1b or \u202e, and a newline as a semicolon. Text that is
// harmless already stays as it is.
func Harmless(text string) string {
	text = strings.NewReplacer("\r\n", "; ", "\n", "; ").Replace(strings.TrimRight(text, "\r\n"))
	return string(appendHarmless(nil, []byte(text)))
}

// appendHarmless appends a line so that it can't act on a terminal. NUL is left
// out, since a file that was cut under a careless writer has long runs of it.
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
