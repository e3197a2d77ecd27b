package host

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// A host that keeps some revisions removes one for each that comes. To make all files of a tree,
// and then to delete as many, is most of the work. So the tree that is to go is turned into the new
// one. It is removed first, as any other: its pre-remove has run, the removal counts, and the state
// has forgotten it on disk. Then its tree is renamed, not into the trash but into the stage, where
// it is no revision, but what an interrupted fetch could have left. See staging.go for what becomes
// of that.

// spares are the revisions that a sync is to remove.
type spares struct {
	mu    sync.Mutex // held while one is removed
	left  []revision.Revision
	force bool
	errs  []error // of removals
}

// wantsSpare reports whether a revision can use a tree that is to go.
func wantsSpare(manifest catalog.Manifest, at *staging) bool { return manifest.InParts() && !at.used }

// choose returns the revision whose tree is to become a new one. The newest has most in common with
// it.
func (s *spares) choose(st *tree.State, cur tree.Links) (revision.Revision, bool) {
	for _, r := range slices.Backward(s.left) {
		usable := st.IsReady(r) && !st.Ready[r].File && st.Waiting(r, ftl.PreRemove, time.Now()) == nil
		if usable && st.CheckUnused(cur, r) == nil {
			return r, true
		}
	}
	return revision.Revision{}, false
}

func (s *spares) took(r revision.Revision) {
	s.left = slices.DeleteFunc(s.left, func(left revision.Revision) bool { return left == r })
}

// takeSpare makes sure that there is room for a revision, and moves a tree to its place in the
// stage if there is one to spare. That there is none, or that it stays, is not an error of the
// fetch.
func (s *syncing) takeSpare(ctx context.Context, manifest catalog.Manifest, at *staging) error {
	spare, ok, err := s.chooseSpare(manifest, at)
	if err != nil || !ok {
		return ftl.Join(err, s.checkSpace(manifest, at))
	}
	defer s.spares.mu.Unlock()
	if err := s.checkSpace(manifest, at, s.RevisionDir(spare)); err != nil {
		return err
	}
	err = s.removeUnwanted(ctx, spare, unwanted{force: s.spares.force, to: at.tree.Path})
	if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Kind == ftl.Busy { // that can wait, and this not
		return s.checkSpace(manifest, at)
	}
	s.spares.took(spare)
	if err != nil {
		s.spares.errs = append(s.spares.errs, err)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	_, err = s.Files.Lstat(at.tree.Path)
	if at.used = err == nil; err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.checkSpace(manifest, at)
}

// chooseSpare leaves the spares locked where there is one.
func (s *syncing) chooseSpare(manifest catalog.Manifest, at *staging) (spare revision.Revision, ok bool, err error) {
	if s.spares == nil || !wantsSpare(manifest, at) {
		return spare, false, nil
	}
	st, err := s.ReadState()
	if err != nil {
		return spare, false, err
	}
	cur, err := s.Links()
	if err != nil {
		return spare, false, err
	}
	s.spares.mu.Lock()
	if spare, ok = s.spares.choose(st, cur); !ok {
		s.spares.mu.Unlock()
	}
	return spare, ok, nil
}
