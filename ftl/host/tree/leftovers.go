package tree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/revision"
)

// A tree that ftl deletes may hold what it can't delete: files of another user, immutable ones, a
// mount. That never keeps a host from deploying. The rest of such a tree goes; what stays is told,
// by sync at most once a day where it runs from cron, and each sync tries again.

// Leftovers are the trees in stage and trash, on their way in or out, and what can't be deleted of
// them.
type Leftovers struct{ *Place }

// Leftover is a tree of which something can't be deleted.
type Leftover struct {
	Tree   string    `json:"tree"`             // below the package's directory
	Path   string    `json:"path"`             // the first entry that stays
	Reason string    `json:"reason"`           // why
	Others int       `json:"others,omitempty"` // how many more there are
	Hint   string    `json:"hint,omitempty"`
	Since  time.Time `json:"since"`
}

// leftoverFile is a file beside the state, which who holds the sync lock writes.
type leftoverFile struct {
	Told  time.Time  `json:"told"` // when a command failed because of them
	Trees []Leftover `json:"trees"`
}

// TellAgain is how long a sync from cron says nothing about leftovers.
const TellAgain = 24 * time.Hour

func (t Leftovers) LeftoversPath() string { return filepath.Join(t.Meta(), "leftovers.json") }

// NewLeftover describes what stays of a tree.
func (t Leftovers) NewLeftover(tree string, err error) Leftover {
	left := Leftover{Tree: t.Below(tree), Path: tree, Reason: err.Error(), Since: time.Now()}
	if stuck, ok := errors.AsType[*directory.StuckError](err); ok {
		left.Path, left.Reason, left.Others, left.Hint = stuck.Path, stuck.Err.Error(), stuck.Others, HintToDelete(tree, stuck)
	}
	return left
}

// Below returns a path in the package as one below its directory.
func (t *Place) Below(path string) string { return strings.TrimPrefix(path, t.Dir+"/") }

// String says what can't be deleted and why.
func (l Leftover) String() string {
	text := fmt.Sprintf("%s can't be deleted: %s", l.Path, l.Reason)
	if l.Others > 0 {
		text += fmt.Sprintf(" (and %d more below %s)", l.Others, l.Tree)
	}
	return text
}

// Err tells a person of a leftover.
func (l Leftover) Err() error { return &ftl.Error{Hint: l.Hint, Err: LeftoverError{l.String()}} }

// LeftoverError is the cause of an error that says only that something can't be deleted.
type LeftoverError struct{ text string }

func (e LeftoverError) Error() string { return e.text }

// HintToDelete says what helps against the reason for which something stays.
func HintToDelete(tree string, stuck *directory.StuckError) string {
	switch {
	case errors.Is(stuck, unix.EBUSY):
		return "umount " + ftl.Quoted(stuck.Path) + "; the next sync deletes it"
	case errors.Is(stuck, unix.EROFS):
		return "the file system is read-only: " + stuck.Path
	case errors.Is(stuck, fs.ErrPermission) && os.Geteuid() != 0:
		return "it belongs to another user: sudo rm -r --one-file-system " + ftl.Quoted(tree)
	case errors.Is(stuck, unix.EPERM):
		return "if it is immutable: chattr -R -i " + ftl.Quoted(tree) + "; the next sync deletes it"
	}
	return ""
}

// ToldAtOnce gives the error of a removal that a person asked for its hint.
func ToldAtOnce(tree string, err error) error {
	if stuck, ok := errors.AsType[*directory.StuckError](err); ok {
		return &ftl.Error{Hint: HintToDelete(tree, stuck), Err: err}
	}
	return err
}

// Sweep deletes what is on its way in or out, and returns what stays of it. The caller holds the
// sync lock. The error is that of ctx.
//
// Of revisions that were removed and stay in their own places, those that needed reports are left
// alone: they may have come back. So is what an interrupted fetch has left in the stage, for a
// week, of revisions of which unfetched reports that they are not here.
func (t Leftovers) Sweep(ctx context.Context, needed, unfetched func(revision.Revision) bool) ([]Leftover, error) {
	left, err := t.sweepPlaces(ctx, needed)
	if err != nil {
		return nil, err
	}
	for _, in := range []struct {
		dir     string
		garbage func(name string) bool
	}{
		{t.Stage(), func(name string) bool {
			s, ok := t.parseStaged(name)
			return !ok || !s.isFresh() || !unfetched(s.Revision)
		}},
		{t.Trash(), everything},
		{t.Revs(), t.isAside},
	} {
		stuck, err := t.sweepDir(ctx, in.dir, in.garbage)
		if err != nil {
			return nil, err
		}
		left = append(left, stuck...)
	}
	return left, nil
}

// sweepPlaces deletes what stayed of revisions in their own places.
func (t Leftovers) sweepPlaces(ctx context.Context, needed func(revision.Revision) bool) ([]Leftover, error) {
	var left []Leftover
	for _, known := range t.ReadLeftovers().Trees {
		r, err := t.Name.Revision(strings.TrimPrefix(known.Tree, "revs/"))
		if err != nil || needed(r) {
			continue
		}
		err = t.Files.RemoveAll(ctx, t.RevisionDir(r))
		if ctx.Err() != nil {
			return nil, err
		}
		if err != nil {
			left = append(left, t.NewLeftover(t.RevisionDir(r), err))
		}
	}
	return left, nil
}

func everything(string) bool { return true }

// sweepDir deletes the garbage in a directory. One that is not there has none.
func (t Leftovers) sweepDir(ctx context.Context, path string, garbage func(string) bool) ([]Leftover, error) {
	entries, err := t.Files.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return []Leftover{t.NewLeftover(path, err)}, nil
	}
	var left []Leftover
	for _, entry := range entries {
		if !garbage(entry.Name()) {
			continue
		}
		tree := filepath.Join(path, entry.Name())
		err := t.Files.RemoveAll(ctx, tree)
		if ctx.Err() != nil {
			return nil, err
		}
		if err != nil {
			left = append(left, t.NewLeftover(tree, err))
		}
	}
	return left, nil
}

// isAside reports whether a name in revs is that of a tree that could not be moved into the trash.
func (t Leftovers) isAside(name string) bool {
	return IsGone(name, func(id string) bool { _, err := t.Name.Revision(id); return err == nil })
}

// TellLeftovers writes down what stays, and returns it as errors. A sync from cron gets them at
// most once a day.
func (t Leftovers) TellLeftovers(left []Leftover, cron bool) error {
	last := t.ReadLeftovers()
	if len(left) == 0 && len(last.Trees) == 0 {
		return nil
	}
	now := leftoverFile{Told: last.Told}
	for _, l := range left {
		if l.Since = last.since(l); !now.hasTree(l.Tree) {
			now.Trees = append(now.Trees, l)
		}
	}
	quiet := cron && IsWithin(last.Told, TellAgain)
	if !quiet {
		now.Told = time.Now()
	}
	var errs []error
	if err := t.writeLeftovers(now); err != nil && !quiet {
		errs = append(errs, err)
	}
	for _, l := range now.Trees {
		if !quiet {
			errs = append(errs, l.Err())
		}
	}
	return ftl.Join(errs...)
}

// IsWithin reports whether a time is at most so long ago. The clock may have been set back.
func IsWithin(then time.Time, limit time.Duration) bool {
	ago := time.Since(then)
	return ago >= 0 && ago < limit
}

// since returns when the leftover was first met.
func (l leftoverFile) since(left Leftover) time.Time {
	for _, known := range l.Trees {
		if known.Tree == left.Tree {
			return known.Since
		}
	}
	return left.Since
}

func (l leftoverFile) hasTree(tree string) bool {
	return slices.ContainsFunc(l.Trees, func(known Leftover) bool { return known.Tree == tree })
}

// ReadLeftovers returns what the last command could not delete. It is only shown, and made anew, so
// one that can't be read is none.
func (t Leftovers) ReadLeftovers() leftoverFile {
	var last leftoverFile
	data, err := t.Files.ReadFile(t.LeftoversPath(), maxState)
	if err != nil || json.Unmarshal(data, &last) != nil {
		return leftoverFile{}
	}
	return last
}

func (t Leftovers) writeLeftovers(now leftoverFile) error {
	if len(now.Trees) == 0 {
		return t.Files.Remove(t.LeftoversPath())
	}
	data, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return err
	}
	return t.Files.ReplaceFile(t.LeftoversPath(), append(data, '\n'), 0o644)
}
