package master

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// lint collects what spool has to say about the entries of an archive before a host meets them.
type lint struct {
	candidates map[string]archive.Entry // those where a hook is looked up
	heads      map[string][]byte        // their beginnings
	misspelt   warned                   // names that look like a hook's and are not
	special    warned                   // files with bits that no host keeps
	deep       warned                   // hooks that are one directory too deep
	escaping   warned                   // links that lead out of the revision
	clashes    warned                   // names that differ only in case
	linked     bool                     // the hooks' directory is a symlink
	says       bool                     // the package says something of itself
}

// maxWarned bounds how many names of a kind a warning lists.
const maxWarned = 3

// warned are the first names of a kind, and how many there are.
type warned struct {
	names []string
	count int
}

func (w *warned) add(name string) {
	if w.count++; w.count <= maxWarned {
		w.names = append(w.names, name)
	}
}

func (l *lint) visit(entry archive.Visited) (archive.Head, error) {
	if l.candidates == nil {
		l.candidates = make(map[string]archive.Entry)
		l.heads = make(map[string][]byte)
	}
	switch entry.Mode.Type() {
	case fs.ModeSymlink:
		l.linked = l.linked || entry.Name == "ftl"
		if escapes(entry.Entry) {
			l.escaping.add(entry.Name)
		}
	case 0:
		l.visitFile(entry)
	}
	size := 0
	switch {
	case isCandidate(entry.Name):
		l.candidates[entry.Name] = entry.Entry
		size = lineSize
	case entry.Name == catalog.AboutFile && entry.Mode.IsRegular() && !entry.HardLink():
		l.says = true
		size = catalog.MaxAboutFile + 1
	default:
		return archive.Head{}, nil
	}
	return archive.Head{Size: size, Take: func(head []byte) error {
		l.heads[entry.Name] = bytes.Clone(head)
		return nil
	}}, nil
}

// compare notes what is odd about the names of a tree as a whole.
func (l *lint) compare(index *archive.Index) error {
	return index.EachClash(l.clashes.add)
}

// lineSize is as much of a script as Linux reads to tell how it is run.
const lineSize = 256

// about returns what the package says of itself.
func (l *lint) about() (catalog.About, error) {
	if !l.says {
		return catalog.About{}, nil
	}
	about, err := catalog.ParseAbout(l.heads[catalog.AboutFile])
	if err != nil {
		return about, fmt.Errorf("%s: %w", catalog.AboutFile, err)
	}
	return about, nil
}

// complete writes what was found into a manifest, and warns of what a host will not do as the
// author of the package may think.
func (l *lint) complete(manifest *catalog.Manifest, warn func(format string, args ...any)) (err error) {
	if manifest.Hooks, err = l.hooks(warn); err == nil {
		manifest.About, err = l.about()
	}
	if err != nil {
		return refused(err)
	}
	return nil
}

// visitFile notes what is odd about a file.
func (l *lint) visitFile(entry archive.Visited) {
	if entry.Special&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		l.special.add(entry.Name)
	}
	switch {
	case isCandidate(entry.Name):
	case isCandidate(withoutFirst(entry.Name)) && strings.Count(entry.Name, "/") == 2:
		l.deep.add(entry.Name)
	default:
		if meant, ok := looksLikeHook(entry.Name); ok {
			l.misspelt.add(fmt.Sprintf("%s (%s?)", entry.Name, meant))
		}
	}
}

// looksLikeHook returns the hook that a file may be meant to be which is none by its name: with
// another sign between the words or another extension, or with a typo.
func looksLikeHook(name string) (meant string, ok bool) {
	dir, base := path.Split(name)
	if dir != "" && dir != "ftl/" {
		return "", false
	}
	stem, extension, _ := strings.Cut(strings.ToLower(base), ".")
	stem = strings.ReplaceAll(stem, "_", "-")
	var names []string
	for _, hook := range hooks.Names() {
		if dir == "" && len(hooks.Candidates(hook)) < 3 { // at the top they mean something else
			continue
		}
		if stem == string(hook) {
			return "ftl/" + stem, true
		}
		names = append(names, string(hook))
	}
	if dir == "" && extension != "sh" {
		return "", false
	}
	meant, ok = revision.NearestName(stem, names)
	return "ftl/" + meant, ok
}

// hooks returns the names of the hooks that the archive brings along, and warns of what a host will
// not do as its author may think.
func (l *lint) hooks(warn func(format string, args ...any)) ([]string, error) {
	if l.linked { // a host would not look for hooks behind it, nor go on without
		return nil, errors.New("ftl is a symbolic link: make it a directory and spool again")
	}
	var present []string
	for _, hook := range hooks.Names() {
		var found []string
		for _, name := range hooks.Candidates(hook) {
			if _, ok := l.candidates[name]; ok {
				found = append(found, name)
			}
		}
		if len(found) == 0 {
			continue
		}
		if err := l.runnable(l.candidates[found[0]]); err != nil {
			return nil, err
		}
		if len(found) > 1 {
			warn("%s will run as %s, and not %s", found[0], hook, strings.Join(found[1:], " or "))
		}
		present = append(present, string(hook))
	}
	l.warn(warn)
	return present, nil
}

func (l *lint) warn(warn func(format string, args ...any)) {
	for _, about := range []struct {
		found  warned
		format string
	}{
		{l.deep, "hooks are found in ftl/ at the top only, so these will not run: %s"},
		{l.misspelt, "these look like hooks by their names, and will not run: %s"},
		{l.special, "these lose their setuid or setgid bit on every host: %s"},
		{l.escaping, "these links lead out of the revision: %s"},
		{l.clashes, "these names differ from others only in case: %s"},
	} {
		names := about.found.names
		if more := about.found.count - len(names); more > 0 {
			names = append(names, fmt.Sprintf("%d more", more))
		}
		if len(names) > 0 {
			warn(about.format, strings.Join(names, ", "))
		}
	}
}

// runnable says why a host could not run a hook, if so.
func (l *lint) runnable(entry archive.Entry) error {
	switch {
	case !entry.Mode.IsRegular():
		return fmt.Errorf("the hook %s is not a regular file", entry.Name)
	case entry.Mode&0o100 == 0:
		return fmt.Errorf("the hook %s is not executable: chmod +x it and spool again", entry.Name)
	}
	head, known := l.heads[entry.Name]
	if entry.HardLink() {
		head, known = l.heads[entry.Link]
	}
	if !known { // a link to a file that is no hook
		return nil
	}
	if fault := scriptFault(head); fault != "" {
		return fmt.Errorf("the hook %s %s", entry.Name, fault)
	}
	return nil
}

// scriptFault says why no system can run a file that begins so, "" where one can.
func scriptFault(head []byte) string {
	if bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
		return ""
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	interpreter, isScript := bytes.CutPrefix(line, []byte("#!"))
	switch {
	case !isScript:
		return "is neither a program nor a script: begin it with a line like #!/bin/sh"
	case bytes.HasSuffix(line, []byte("\r")):
		return "has lines that end in CR LF, so its interpreter would not be found: save it with Unix line ends"
	case len(bytes.TrimSpace(interpreter)) == 0:
		return "names no interpreter in its first line: begin it with a line like #!/bin/sh"
	}
	return ""
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
