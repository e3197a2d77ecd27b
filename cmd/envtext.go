package cmd

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// An assignment is a variable of a file, without quotes and escapes.
type assignment struct{ name, value string }

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parseEnv reads lines of the form NAME=VALUE as systemd's EnvironmentFile does, see
// systemd.exec(5): lines that begin with # or ; are comments, white space around a value is
// dropped, a backslash keeps the next character, '…' keeps everything and "…" all but the escapes
// \" \\ \` \$ and that of a newline. Nothing is expanded. What systemd would pass over with a line
// in its log is an error here.
func parseEnv(text string) ([]assignment, error) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, errors.New("it is not a text in UTF-8")
	}
	s := &envScanner{rest: text, line: 1}
	var all []assignment
	for s.skipToName() {
		line := s.line
		a, err := s.assignment()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		all = append(all, a)
	}
	return all, nil
}

// envScanner reads a file from its begin to its end.
type envScanner struct {
	rest string
	line int
}

const (
	envNewline = "\n\r"
	envSpace   = " \t" + envNewline
)

// next takes a character.
func (s *envScanner) next() (c byte, ok bool) {
	if s.rest == "" {
		return 0, false
	}
	c, s.rest = s.rest[0], s.rest[1:]
	if c == '\n' {
		s.line++
	}
	return c, true
}

// skipToName skips empty lines and comments, and reports whether something follows them.
func (s *envScanner) skipToName() bool {
	for s.rest != "" {
		c := s.rest[0]
		switch {
		case strings.IndexByte(envSpace, c) >= 0:
			s.next()
		case c == '#' || c == ';':
			for c, ok := s.next(); ok && strings.IndexByte(envNewline, c) < 0; {
				c, ok = s.next()
			}
		default:
			return true
		}
	}
	return false
}

func (s *envScanner) assignment() (assignment, error) {
	end := strings.IndexAny(s.rest, "="+envNewline)
	if end < 0 || s.rest[end] != '=' {
		return assignment{}, errors.New("it is not of the form NAME=VALUE")
	}
	name := strings.TrimRight(s.rest[:end], envSpace)
	if word, rest, _ := strings.Cut(name, " "); word == "export" {
		return assignment{}, fmt.Errorf(`write %s= without "export"`, strings.TrimSpace(rest))
	}
	if !variableName.MatchString(name) {
		return assignment{}, fmt.Errorf("%q is not the name of a variable", name)
	}
	s.rest = s.rest[end+1:]
	value, err := s.value()
	return assignment{name, value}, err
}

// value reads to the end of the line on which the value ends. Quotes count only at its begin and
// after other quotes.
func (s *envScanner) value() (string, error) {
	var value []byte
	begun, end := false, 0 // end is that of the value without the white space that follows
	for {
		c, ok := s.next()
		switch {
		case !ok || strings.IndexByte(envNewline, c) >= 0:
			return string(value[:end]), nil
		case !begun && (c == '\'' || c == '"'):
			quoted, err := s.quoted(c)
			if err != nil {
				return "", err
			}
			value = append(value, quoted...)
			end = len(value)
		case c == '\\':
			begun = true
			if c, ok := s.next(); ok && strings.IndexByte(envNewline, c) < 0 {
				value = append(value, c)
				end = len(value)
			}
		case strings.IndexByte(envSpace, c) >= 0:
			if begun {
				value = append(value, c)
			}
		default:
			begun = true
			value = append(value, c)
			end = len(value)
		}
	}
}

// quoted reads to the closing quote.
func (s *envScanner) quoted(quote byte) ([]byte, error) {
	var value []byte
	for {
		c, ok := s.next()
		switch {
		case !ok:
			return nil, fmt.Errorf("the quote %c is not closed", quote)
		case c == quote:
			return value, nil
		case c == '\\' && quote == '"':
			c, ok := s.next()
			if ok && strings.IndexByte("\"\\`$\n", c) < 0 {
				value = append(value, '\\')
			}
			if ok && c != '\n' {
				value = append(value, c)
			}
		default:
			value = append(value, c)
		}
	}
}
