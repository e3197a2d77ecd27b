package host

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// What lies in the stage is a tree like any other: nothing in it is believed. What turns out to be
// right stays, so that a fetch that was interrupted goes on where it was. In any doubt, the tree is
// made anew.

// staging is where a revision is made.
type staging struct {
	tree tree.Staged
	used bool        // the tree is there, with whatever is in it
	part tree.Staged // an archive that has no index
}

// stagingOf returns where a revision is to be made: where it was begun, if it was.
func (p *pkg) stagingOf(r revision.Revision) (*staging, error) {
	all, err := p.Staged()
	if err != nil {
		return nil, err
	}
	at := &staging{tree: p.NewStaged(r)}
	at.part = at.tree.Part()
	for i := len(all) - 1; i >= 0; i-- { // the newest counts
		switch have := all[i]; {
		case have.Revision != r:
		case have.IsPart:
			at.part = have
		default:
			at.tree, at.used = have, true
		}
	}
	return at, nil
}

// shownStaging is stagingOf for whoever only looks, and may not be allowed to.
func (p *pkg) shownStaging(r revision.Revision) *staging {
	at, err := p.stagingOf(r)
	if err != nil {
		return &staging{tree: p.NewStaged(r)}
	}
	return at
}

// clear makes the tree an empty directory. What was there is deleted in the end, and now only where
// its room is needed.
func (s *syncing) clear(ctx context.Context, manifest catalog.Manifest, at *staging) error {
	if at.used {
		old := at.tree.Path
		at.tree, at.used = s.NewStaged(at.tree.Revision), false
		err := s.checkSpace(manifest, at)
		if err == nil {
			err = s.Files.Rename(old, filepath.Join(s.Trash(), filepath.Base(old)))
		}
		if err != nil {
			err = s.discardStaged(ctx, old)
		}
		if err != nil {
			return err
		}
	}
	return s.Files.Mkdir(at.tree.Path, 0o700)
}

// recycle makes sure that the tree is there, and returns what of it belongs to the index.
func (s *syncing) recycle(ctx context.Context, manifest catalog.Manifest, index *archive.Index, at *staging) (*archive.Kept, error) {
	if at.used {
		kept, err := s.keepOf(ctx, index, at.tree.Path)
		if err == nil || ctx.Err() != nil {
			return kept, err
		}
	}
	return nil, s.clear(ctx, manifest, at)
}

func (s *syncing) keepOf(ctx context.Context, index *archive.Index, path string) (_ *archive.Kept, err error) {
	if user, err := s.UserOf(path); err != nil || user != 0 { // who could make something in it at any time
		return nil, ftl.Join(err, fmt.Errorf("process %d works in %s", user, path))
	}
	fresh := path + ".fresh"
	if err := s.Files.Mkdir(fresh, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = ftl.Join(err, s.discardStaged(ctx, fresh)) }()
	like, err := s.openStage(fresh)
	if err != nil {
		return nil, err
	}
	defer like.Close()
	root, err := s.openStage(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return archive.Recycle(ctx, root, archive.Recycling{Index: index, Fresh: like, Remove: func(ctx context.Context, name string) error {
		return s.Files.RemoveAll(ctx, filepath.Join(path, name))
	}})
}
