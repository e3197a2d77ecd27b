package archive

import (
	"path"
	"strings"
)

// cleanName returns the one spelling of an entry's name: "a/b" for "./a//b/", "." for the top
// directory. It refuses a name that leaves the archive, takes a detour (a/../b), or that a file
// system or a terminal can't handle. Bytes that are not UTF-8, backslashes and colons are ordinary.
func cleanName(raw string) (string, error) {
	switch {
	case raw == "":
		return "", invalid("an entry has no name")
	case raw[0] == '/':
		return "", invalid("%q: the name is absolute", raw)
	case len(raw) > maxPath:
		return "", invalid("%q...: the name is longer than %d bytes", raw[:64], maxPath)
	case hasControl(raw):
		return "", invalid("%q: the name has a control character", raw)
	}
	depth := 0
	for part := range strings.SplitSeq(raw, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", invalid("%q: the name has a \"..\"", raw)
		case len(part) > maxComponent:
			return "", invalid("%q: a part of the name is longer than %d bytes", raw, maxComponent)
		}
		depth++
	}
	if depth > maxDepth {
		return "", invalid("%q: the name is more than %d directories deep", raw, maxDepth)
	}
	return path.Clean(raw), nil
}

// hasControl reports whether s has an ASCII control character.
func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// split cuts a clean name into its directory and its last component. The directory of a top entry,
// and of the top directory itself, is ".".
func split(name string) (dir, base string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return ".", name
	}
	return name[:i], name[i+1:]
}
