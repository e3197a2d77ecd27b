package archive

import (
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Ignore is a list of patterns that says what of a directory is not packed. The patterns are those
// of git: see gitignore(5). Nil leaves nothing out.
type Ignore struct{ rules []ignoreRule }

type ignoreRule struct {
	pattern string // of doublestar, for the whole name
	keep    bool   // what it matches is packed after all
	dirs    bool   // it matches directories only
}

// ParseIgnore reads patterns, one a line. A line that is empty or begins with # has none.
func ParseIgnore(text string) (*Ignore, error) {
	list := new(Ignore)
	for i, line := range strings.Split(text, "\n") {
		line = trimBlanks(strings.TrimSuffix(line, "\r"))
		if line == "" || line[0] == '#' {
			continue
		}
		rule := newIgnoreRule(line)
		if !doublestar.ValidatePattern(rule.pattern) {
			return nil, fmt.Errorf("line %d: the pattern %q is malformed", i+1, line)
		}
		list.rules = append(list.rules, rule)
	}
	return list, nil
}

// trimBlanks takes blanks off the end, unless a backslash keeps them.
func trimBlanks(line string) string {
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	return line
}

// newIgnoreRule makes the pattern one of doublestar: one without a slash before its end matches in
// every directory, and /** at the end what is below a directory, but not that itself.
func newIgnoreRule(line string) ignoreRule {
	var rule ignoreRule
	line, rule.keep = strings.CutPrefix(line, "!")
	line, rule.dirs = strings.CutSuffix(line, "/")
	if strings.Contains(line, "/") {
		line = strings.TrimPrefix(line, "/")
	} else {
		line = "**/" + line
	}
	if below, found := strings.CutSuffix(line, "/**"); found {
		line = below + "/**/*"
	}
	rule.pattern = adapted.Replace(line)
	return rule
}

// adapted keeps doublestar from what git does not do: braces are no alternatives, and no class of
// characters has the slash.
var adapted = strings.NewReplacer(`\\`, `\\`, `\[`, `\[`, "{", `\{`, "}", `\}`, "[!", "[!/", "[^", "[^/")

// Match reports whether a file or a directory is left out, with all that is below it. The last
// pattern that matches decides.
func (l *Ignore) Match(name string, isDir bool) bool {
	if l == nil {
		return false
	}
	for i := len(l.rules) - 1; i >= 0; i-- {
		rule := &l.rules[i]
		if rule.dirs && !isDir {
			continue
		}
		if doublestar.MatchUnvalidated(rule.pattern, name) {
			return !rule.keep
		}
	}
	return false
}
