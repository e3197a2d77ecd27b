package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/revision"
)

// sweepAndTell is sweep at the end of a command. One that was interrupted leaves it to the next.
func (p *pkg) sweepAndTell(ctx context.Context, cron bool) error {
	left, err := p.sweep(ctx)
	if err != nil {
		return nil
	}
	return p.TellLeftovers(append(left, p.inPlace...), cron)
}

// sweep deletes what is on its way in or out, and returns what stays of it. The caller holds the
// sync lock. The error is that of ctx.
func (p *pkg) sweep(ctx context.Context) ([]tree.Leftover, error) {
	st, err := p.ReadState()
	cur, linked := p.Links()
	return p.Sweep(ctx, func(r revision.Revision) bool {
		unknown := err != nil || linked != nil // whoever asked meets that error too
		return unknown || st.IsReady(r) || cur.Has(r)
	}, func(r revision.Revision) bool { return err != nil || !st.IsReady(r) })
}

// finishRemovals deletes what is left of packages whose removal was interrupted, and nothing that
// is not named and owned just so. What can't be deleted stays, and is told by a sync from cron at
// most once a day. In a root that somebody else may write to, nothing is done: what is named so may
// be anything.
func (h *Host) finishRemovals(ctx context.Context, cron bool) error {
	root, err := directory.OpenSafeTree(h.Root)
	if err != nil {
		return nil // each package tells why
	}
	defer root.Close()
	entries, err := root.ReadDir(h.Root)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || !tree.IsGone(entry.Name(), tree.IsPackage) {
			continue
		}
		if owner, ok := tree.OwnerOf(info); !ok || owner != os.Geteuid() {
			continue
		}
		errs = append(errs, finishRemoval(ctx, root, filepath.Join(h.Root, entry.Name()), cron))
	}
	return ftl.Join(errs...)
}

// finishRemoval deletes the rest of a package. When it was told that this can't be done is the time
// of a file in it.
func finishRemoval(ctx context.Context, root *directory.Tree, gone string, cron bool) error {
	told := filepath.Join(gone, ".told")
	info, unknown := root.Lstat(told)
	err := root.RemoveAll(ctx, gone)
	stuck, ok := errors.AsType[*directory.StuckError](err)
	if !ok {
		return err
	}
	quiet := cron && unknown == nil && tree.IsWithin(info.ModTime(), tree.TellAgain)
	noted := root.ReplaceFile(told, nil, 0o600)
	if quiet {
		return ftl.Join(noted, root.Chtimes(told, info.ModTime()))
	}
	return &ftl.Error{Hint: tree.HintToDelete(gone, stuck), Err: stuck}
}

// discardStaged deletes a tree that this command has made or moved into the stage, also when it is
// interrupted. What can't be deleted is no reason to fail: the next sync finds it there and tells.
func (s *syncing) discardStaged(ctx context.Context, path string) error {
	interrupted := ctx.Err() != nil
	if interrupted {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), tree.DiscardLimit)
		defer cancel()
		ctx = limited
	}
	err := s.Files.RemoveAll(ctx, path)
	if _, stuck := errors.AsType[*directory.StuckError](err); stuck || interrupted && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
