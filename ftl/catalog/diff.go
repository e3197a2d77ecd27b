package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/internal/spill"
	"github.com/rhettg/ftl/revision"
)

// Tree is what a revision consists of, as far as its index tells.
type Tree struct {
	Entries []archive.IndexEntry // in the order of the tar; a directory may come twice
}

// TreeOf reads a whole index.
func TreeOf(index *archive.Index) (t Tree, err error) {
	err = index.Each(func(_ int, e *archive.IndexEntry) error {
		t.Entries = append(t.Entries, *e)
		return nil
	})
	return t, err
}

// Tree reads the index of r. A revision that was spooled as it is, or is one file, has none, which
// is ftl.Refused; one that the bucket does not have is ftl.NotFound.
func (c *Catalog) Tree(ctx context.Context, r revision.Revision) (Tree, error) {
	_, seekable, err := c.Seekable(ctx, r, spill.Temporary)
	defer seekable.Close()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Tree{}, ftl.Errorf(ftl.NotFound, "what there is: ftl list --master "+r.Package().String(), "the bucket has no revision %s", r)
	case err != nil:
		return Tree{}, err
	case seekable == nil:
		return Tree{}, ftl.Errorf(ftl.Refused, "spool a directory, or a tarball without --as-is", "%s has no index: it is one file, or was spooled as it is", r)
	}
	return TreeOf(seekable.Index)
}

// Change is what became of one name between two trees. As JSON it is a line of ftl diff.
type Change struct {
	Name string     `json:"name"`
	Kind ChangeKind `json:"change"`
	Old  *Version   `json:"old"` // nil of what is added
	New  *Version   `json:"new"` // nil of what is removed
	// Content is set where both are files and their content differs.
	Content bool `json:"content"`
}

// ChangeKind says whether a name is in the old tree, the new one, or both.
type ChangeKind string

// The kinds of change.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
)

// Version is what a name is in one tree.
type Version struct {
	Type string `json:"type"`           // file, directory or symlink
	Mode string `json:"mode"`           // permission bits, in octal digits
	Size int64  `json:"size"`           // bytes of a file
	Link string `json:"link,omitempty"` // a symlink's target

	digest archive.Digest // of a file with content
}

// Since returns what has changed from an older tree, by name, as far as the indexes tell: a name, a
// type, a mode, the content of a file, the target of a symlink. Times don't count. A hard link
// counts as a file with the same content.
func (t Tree) Since(older Tree) []Change {
	return diff(older.versions(), t.versions())
}

func diff(older, newer map[string]Version) []Change {
	names := slices.AppendSeq(slices.Collect(maps.Keys(older)), maps.Keys(newer))
	slices.Sort(names)
	var changes []Change
	for _, name := range slices.Compact(names) {
		was, had := older[name]
		is, has := newer[name]
		switch {
		case !had:
			changes = append(changes, Change{Name: name, Kind: Added, New: &is})
		case !has:
			changes = append(changes, Change{Name: name, Kind: Removed, Old: &was})
		case was != is:
			content := was.Type == is.Type && was.digest != is.digest
			changes = append(changes, Change{Name: name, Kind: Changed, Old: &was, New: &is, Content: content})
		}
	}
	return changes
}

// versions are what a tree has under each name. Of a directory that comes twice the last counts.
func (t Tree) versions() map[string]Version {
	found := make(map[string]Version, len(t.Entries))
	for i := range t.Entries {
		e := &t.Entries[i]
		if e.HardLink() {
			found[e.Name] = found[e.Link]
			continue
		}
		v := Version{Type: "file", Mode: fmt.Sprintf("%04o", e.Mode.Perm()), Size: e.Size, digest: e.Digest}
		switch {
		case e.Mode.IsDir():
			v.Type = "directory"
		case e.Mode&fs.ModeSymlink != 0:
			v.Type, v.Mode, v.Link = "symlink", "", e.Link
		}
		found[e.Name] = v
	}
	return found
}

// NewBytes returns how many bytes of content the tree has that an older one has not.
func (t Tree) NewBytes(older Tree) int64 {
	have := make(map[archive.Digest]bool, len(older.Entries))
	for i := range older.Entries {
		have[older.Entries[i].Digest] = true
	}
	bytes := int64(0)
	for i := range t.Entries {
		if e := &t.Entries[i]; e.Digest != (archive.Digest{}) && !have[e.Digest] {
			have[e.Digest] = true
			bytes += e.Size
		}
	}
	return bytes
}

// String is how a change is shown to people.
func (c Change) String() string {
	switch c.Kind {
	case Added:
		return fmt.Sprintf("+ %s  %s", c.New.name(c.Name), c.New)
	case Removed:
		return fmt.Sprintf("- %s  %s", c.Old.name(c.Name), c.Old)
	}
	text := "~ " + c.New.name(c.Name)
	if c.Old.Type != c.New.Type {
		return fmt.Sprintf("%s  %s %s -> %s %s", text, c.Old.Type, c.Old, c.New.Type, c.New)
	}
	if c.Old.Mode != c.New.Mode {
		text += fmt.Sprintf("  mode %s -> %s", c.Old.Mode, c.New.Mode)
	}
	if c.Content {
		text += fmt.Sprintf("  %d -> %d bytes", c.Old.Size, c.New.Size)
	}
	if c.Old.Link != c.New.Link {
		text += fmt.Sprintf("  -> %s (was %s)", c.New.Link, c.Old.Link)
	}
	return text
}

func (v *Version) name(name string) string {
	if v.Type == "directory" {
		return name + "/"
	}
	return name
}

// String says what a version is, but for its type.
func (v *Version) String() string {
	switch v.Type {
	case "file":
		return fmt.Sprintf("%s  %d bytes", v.Mode, v.Size)
	case "symlink":
		return "-> " + v.Link
	}
	return v.Mode
}
