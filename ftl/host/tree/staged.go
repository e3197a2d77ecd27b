package tree

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/revision"
)

// Staged is where a revision is made, before it gets its place: a tree, or an archive that is
// fetched as a whole. What an interrupted fetch leaves there, the next one of that revision goes on
// with.
//
//	revs/.stage/ID.RANDOM.SECONDS         the tree
//	revs/.stage/ID.RANDOM.SECONDS.part    the archive
type Staged struct {
	Revision revision.Revision
	Since    time.Time
	Path     string
	IsPart   bool
}

// stagedLimit is how long it is kept.
const stagedLimit = 7 * 24 * time.Hour

const partSuffix = ".part"

// NewStaged returns where a tree of a revision can be made. Nothing is there.
func (t *Place) NewStaged(r revision.Revision) Staged {
	now := time.Now()
	name := r.ID() + "." + rand.Text() + "." + strconv.FormatInt(now.Unix(), 10)
	return Staged{Revision: r, Since: now, Path: filepath.Join(t.Stage(), name)}
}

// Part returns where the archive of that tree is fetched to.
func (s Staged) Part() Staged {
	s.Path, s.IsPart = s.Path+partSuffix, true
	return s
}

// isFresh reports whether it is to be kept. By a clock that was set back, it is not.
func (s Staged) isFresh() bool { return IsWithin(s.Since, stagedLimit) }

func (t *Place) parseStaged(name string) (s Staged, ok bool) {
	tree, isPart := strings.CutSuffix(name, partSuffix)
	parts := strings.Split(tree, ".")
	if len(parts) != 3 || len(parts[1]) != len(rand.Text()) || strings.Trim(parts[1], base32) != "" {
		return s, false
	}
	r, err := t.Name.Revision(parts[0])
	if err != nil {
		return s, false
	}
	seconds, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return s, false
	}
	return Staged{r, time.Unix(seconds, 0), filepath.Join(t.Stage(), name), isPart}, true
}

// Staged returns what interrupted fetches have left, the newest first.
func (t *Place) Staged() ([]Staged, error) {
	entries, err := t.Files.ReadDir(t.Stage())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []Staged
	for _, entry := range entries {
		if s, ok := t.parseStaged(entry.Name()); ok && s.isFresh() && entry.IsDir() != s.IsPart {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Staged) int { return b.Since.Compare(a.Since) })
	return all, nil
}

// DropStaged deletes what interrupted fetches of other revisions have left. What can't be deleted,
// the next sweep tells.
func (t *Place) DropStaged(ctx context.Context, wanted []revision.Revision) error {
	all, err := t.Staged()
	if err != nil {
		return err
	}
	for _, s := range all {
		if slices.Contains(wanted, s.Revision) {
			continue
		}
		if err := t.Files.RemoveAll(ctx, s.Path); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}
