package tree

import (
	"path/filepath"
	"strings"

	"github.com/rhettg/ftl/revision"
)

// Adopt makes the state of a package that has none. The targets of the links are ready, so that an
// upgraded or restored host keeps running. Nothing tells whether another tree is complete, unless
// the FTL of 2014 made it.
func (t *Tree) Adopt() (*State, error) {
	st := &State{Format: StateFormat, Ready: make(map[revision.Revision]Ready)}
	cur, err := t.Links()
	if err != nil {
		return nil, err
	}
	found := []revision.Revision{cur.Current, cur.Previous}
	if t.isOf2014() {
		local, err := t.Local()
		if err != nil {
			return nil, err
		}
		for _, r := range local {
			if t.isWholeOf2014(r) {
				found = append(found, r)
			}
		}
	}
	for _, r := range found {
		info, err := t.Files.Lstat(t.RevisionDir(r))
		if r != (revision.Revision{}) && err == nil && info.IsDir() {
			st.Ready[r] = Ready{Since: info.ModTime()}
		}
	}
	return st, nil
}

// isOf2014 reports whether the FTL of 2014 made the links: it wrote whole paths.
func (t *Tree) isOf2014() bool {
	target, err := t.Files.Readlink(t.CurrentLink())
	return err == nil && filepath.IsAbs(target)
}

// isWholeOf2014 reports whether the FTL of 2014 has unpacked a revision. It unpacked an archive in
// the revision's own directory, and deleted it when it was done.
func (t *Tree) isWholeOf2014(r revision.Revision) bool {
	entries, err := t.Files.ReadDir(t.RevisionDir(r))
	if err != nil || len(entries) == 0 {
		return false
	}
	for _, entry := range entries {
		extension, packed := strings.CutPrefix(entry.Name(), r.String()+".")
		if packed && (strings.HasSuffix(extension, "tar") || strings.HasSuffix(extension, "tgz") || strings.HasSuffix(extension, "gz")) {
			return false
		}
	}
	return true
}
