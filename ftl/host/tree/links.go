package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// Links are the targets of current and previous, zero where there is no link.
type Links struct{ Current, Previous revision.Revision }

// Has reports whether one of the links points to r.
func (l Links) Has(r revision.Revision) bool { return r == l.Current || r == l.Previous }

// strayLink says that something else is in the place of a link, or that it points
// to anything but a revision. No command of ftl makes that.
type strayLink struct{ path, found string }

func (e *strayLink) Error() string { return e.path + " " + e.found }

// Links reads the links. Absence is no error; what is astray is.
func (t *Place) Links() (Links, error) {
	current, err := t.ReadLink(t.CurrentLink())
	if err == nil {
		previous, err := t.ReadLink(t.PreviousLink())
		return Links{current, previous}, t.strayHint(err)
	}
	return Links{}, t.strayHint(err)
}

// ReadLink returns the revision that a link points to.
func (t *Place) ReadLink(path string) (revision.Revision, error) {
	target, err := t.Files.Readlink(path)
	if errors.Is(err, fs.ErrNotExist) {
		return revision.Revision{}, nil
	}
	if errors.Is(err, syscall.EINVAL) {
		return revision.Revision{}, &strayLink{path, "is not a symbolic link"}
	}
	if err != nil {
		return revision.Revision{}, err
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(t.Dir, target)
	}
	id, inside := strings.CutPrefix(filepath.Clean(target), t.Revs()+"/")
	r, err := t.Name.Revision(id)
	if !inside || err != nil {
		return revision.Revision{}, &strayLink{path, fmt.Sprintf("points to %s, which is not a revision of %s", target, t.Name)}
	}
	return r, nil
}

// strayHint adds to the error of a stray link what helps.
func (t *Place) strayHint(err error) error {
	if !IsStray(err) {
		return err
	}
	hint := "ftl jump " + t.Name.String() + ".ID"
	if previous, err := t.ReadLink(t.PreviousLink()); err == nil && previous != (revision.Revision{}) {
		hint = "ftl jump-back " + t.Name.String() + ", which goes to " + previous.String()
	}
	return &ftl.Error{Hint: "to mend it: " + hint, Err: err}
}

// IsStray reports whether an error is that of something else in the place of a link, or of a link
// that points to anything but a revision.
func IsStray(err error) bool {
	_, stray := errors.AsType[*strayLink](err)
	return stray
}

// Present returns the links without a current whose revision is gone, as a person
// has deleted it: nothing is active then.
func (t *Tree) Present() (Links, error) {
	cur, err := t.Links()
	if err != nil || cur.Current == (revision.Revision{}) {
		return cur, err
	}
	if err := t.CheckTree(cur.Current); !errors.Is(err, fs.ErrNotExist) {
		return cur, err
	}
	t.Warn("%v", t.dangling(cur.Current))
	cur.Current = revision.Revision{}
	return cur, nil
}

// dangling is the error of a current whose revision is gone.
func (t *Tree) dangling(r revision.Revision) error {
	return &ftl.Error{
		Hint: "to fetch it again: ftl jump " + r.String(),
		Err:  fmt.Errorf("%s points to %s, which is not there", t.CurrentLink(), r),
	}
}

// CheckCurrent makes sure that current doesn't dangle.
func (t *Tree) CheckCurrent() error {
	cur, err := t.Links()
	if err != nil || cur.Current == (revision.Revision{}) {
		return err
	}
	if errors.Is(t.CheckTree(cur.Current), fs.ErrNotExist) {
		return t.dangling(cur.Current)
	}
	return nil
}

// MendLinks takes stray links away, for a command that knows where to they should
// point, or needs none. What is not a link may be somebody's: it is renamed.
func (t *Tree) MendLinks(ctx context.Context, patience Patience) error {
	if _, err := t.Links(); !IsStray(err) {
		return err
	}
	return t.withLock(ctx, patience, (*Locked).mendLinks, nil)
}

func (l *Locked) mendLinks() error {
	t := l.Tree
	for _, path := range []string{t.CurrentLink(), t.PreviousLink()} {
		_, err := t.ReadLink(path)
		if err == nil {
			continue
		}
		if !IsStray(err) {
			return err
		}
		if mended := t.takeAway(path, err); mended != nil {
			return mended
		}
	}
	return t.Files.SyncDir(t.Dir)
}

// takeAway removes a stray link, and renames what is no link.
func (t *Tree) takeAway(path string, found error) error {
	if _, err := t.Files.Readlink(path); err == nil {
		t.Warn("%s: %v; it is removed", t.Name, found)
		return t.Files.Remove(path)
	}
	aside, err := t.freeName(path + ".aside")
	if err != nil {
		return err
	}
	t.Warn("%s: %v; it is now %s", t.Name, found, aside)
	return t.Files.Rename(path, aside)
}

// freeName returns the path, or that with a number behind, whichever nothing is
// there.
func (t *Tree) freeName(path string) (string, error) {
	for n, free := 2, path; ; n++ {
		if _, err := t.Files.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return free, nil
		} else if err != nil {
			return "", err
		}
		free = fmt.Sprintf("%s.%d", path, n)
	}
}

// Flip makes the links point to these revisions, previous first, so that there
// is no moment without a way back. To do it twice does no harm.
func (l *Locked) Flip(to Links) error {
	for _, link := range []struct {
		path string
		to   revision.Revision
	}{
		{l.Tree.PreviousLink(), to.Previous}, {l.Tree.CurrentLink(), to.Current},
	} {
		if err := l.pointLink(link.path, link.to); err != nil {
			return err
		}
	}
	return l.Tree.Files.SyncDir(l.Tree.Dir)
}

// pointLink makes a link point to r, or be absent where r is zero.
func (l *Locked) pointLink(path string, r revision.Revision) error {
	if r == (revision.Revision{}) {
		return l.Tree.Files.RemoveLink(path)
	}
	return l.Tree.WithReserve(func() error { return l.Tree.Files.ReplaceLink(filepath.Join("revs", r.ID()), path) })
}
