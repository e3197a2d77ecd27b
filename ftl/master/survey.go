package master

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/hooks"
)

// survey collects what spool has to say about the entries of an archive before
// a host meets them.
type survey struct {
	candidates map[string]archive.Entry // those where a hook is looked up
	deep       []string                 // hooks that are one directory too deep
	escaping   []string                 // links that lead out of the revision
	folded     map[string]string        // names in lower case
	clashes    []string                 // names that differ only in case
	linked     bool                     // the hooks' directory is a symlink
}

// maxWarned bounds how many names of a kind a warning lists.
const maxWarned = 3

func (s *survey) visit(entry archive.Entry) error {
	if s.candidates == nil {
		s.candidates, s.folded = make(map[string]archive.Entry), make(map[string]string)
	}
	switch {
	case isCandidate(entry.Name):
		s.candidates[entry.Name] = entry
	case entry.Mode.IsRegular() && isCandidate(withoutFirst(entry.Name)) && strings.Count(entry.Name, "/") == 2:
		s.deep = append(s.deep, entry.Name)
	}
	if entry.Mode.Type() == fs.ModeSymlink {
		s.linked = s.linked || entry.Name == "ftl"
		if escapes(entry) {
			s.escaping = append(s.escaping, entry.Name)
		}
	}
	lower := strings.ToLower(entry.Name)
	if other, ok := s.folded[lower]; ok && other != entry.Name {
		s.clashes = append(s.clashes, entry.Name)
	}
	s.folded[lower] = entry.Name
	return nil
}

// hooks returns the names of the hooks that the archive brings along, and
// warns of what a host will not do as its author may think.
func (s *survey) hooks(warn func(format string, args ...any)) ([]string, error) {
	if s.linked { // a host would not look for hooks behind it, nor go on without
		return nil, errors.New("ftl is a symbolic link: make it a directory and spool again")
	}
	var present []string
	for _, hook := range hooks.Names() {
		var found []string
		for _, name := range hooks.Candidates(hook) {
			if _, ok := s.candidates[name]; ok {
				found = append(found, name)
			}
		}
		if len(found) == 0 {
			continue
		}
		if err := runnable(s.candidates[found[0]]); err != nil {
			return nil, err
		}
		if len(found) > 1 {
			warn("%s will run as %s, and not %s", found[0], hook, strings.Join(found[1:], " or "))
		}
		present = append(present, string(hook))
	}
	warnOf := func(names []string, format string) {
		if len(names) > maxWarned {
			names = append(names[:maxWarned:maxWarned], fmt.Sprintf("%d more", len(names)-maxWarned))
		}
		if len(names) > 0 {
			warn(format, strings.Join(names, ", "))
		}
	}
	warnOf(s.deep, "hooks are found in ftl/ at the top only, so these will not run: %s")
	warnOf(s.escaping, "these links lead out of the revision: %s")
	warnOf(s.clashes, "these names differ from others only in case: %s")
	return present, nil
}

// runnable says why a host could not run a hook, if so.
func runnable(entry archive.Entry) error {
	switch {
	case !entry.Mode.IsRegular():
		return fmt.Errorf("the hook %s is not a regular file", entry.Name)
	case entry.Mode&0o100 == 0:
		return fmt.Errorf("the hook %s is not executable: chmod +x it and spool again", entry.Name)
	}
	return nil
}

func isCandidate(name string) bool {
	for _, hook := range hooks.Names() {
		for _, candidate := range hooks.Candidates(hook) {
			if candidate == name {
				return true
			}
		}
	}
	return false
}

// withoutFirst takes the first directory off a name.
func withoutFirst(name string) string {
	_, rest, _ := strings.Cut(name, "/")
	return rest
}

func escapes(link archive.Entry) bool {
	target := link.Link
	if path.IsAbs(target) {
		return true
	}
	target = path.Join(path.Dir(link.Name), target)
	return target == ".." || strings.HasPrefix(target, "../")
}
