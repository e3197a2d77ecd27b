package ftl

import "strings"

// Quoted makes one word of a text, for a command that is shown to be typed into a shell.
func Quoted(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\n'\"$`\\*?[]{}()<>|&;#~!") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
