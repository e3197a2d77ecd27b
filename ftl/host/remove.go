package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl/host/tree"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/revision"
)

// RemoveOptions are the choices of Remove and RemovePackage.
type RemoveOptions struct {
	Force bool // also when pre-remove fails
	// Confirm is asked before a package is removed of which a revision is active. An error of it is
	// the command's. Nil: nobody is asked.
	Confirm func(ctx context.Context, active revision.Revision) error
}

// Remove removes a revision from the host. The active and the previous one are
// refused.
func (h *Host) Remove(ctx context.Context, r revision.Revision, opts RemoveOptions) error {
	p := h.open(r.Package())
	defer p.Close()
	if h.DryRun {
		return p.rehearseRemoval(func(d *rehearsal) error {
			if err := p.checkRemovable(d.state, d.cur, r); err != nil {
				return err
			}
			return d.remove(r)
		})
	}
	return p.change(ctx, func(l *locked) error {
		cur, err := l.Links()
		if err != nil {
			return err
		}
		if err := l.checkRemovable(l.State, cur, r); err != nil {
			return err
		}
		return l.remove(ctx, r, leaving{RemoveOptions: opts})
	})
}

// checkRemovable refuses a revision that is not here, or in use.
func (p *pkg) checkRemovable(st *tree.State, cur tree.Links, r revision.Revision) error {
	if _, err := p.Files.Lstat(p.RevisionDir(r)); errors.Is(err, fs.ErrNotExist) {
		return ftl.Errorf(ftl.NotFound, "ftl list "+p.Name.String()+" shows what there is", "this host has no %s", r)
	}
	return st.CheckUnused(cur, r)
}

// Clean removes all revisions of a package but the newest keep, the active and
// the previous one, oldest first.
func (h *Host) Clean(ctx context.Context, name revision.Package, keep int) error {
	p := h.open(name)
	defer p.Close()
	if h.DryRun {
		return p.rehearseRemoval(func(d *rehearsal) error {
			revisions, err := p.old(d.cur, keep)
			for _, r := range revisions {
				err = ftl.Join(err, d.remove(r))
			}
			return err
		})
	}
	return p.change(ctx, func(l *locked) error {
		cur, err := l.Links()
		if err != nil {
			return err
		}
		revisions, err := l.old(cur, keep)
		if err != nil {
			return err
		}
		var errs []error
		for _, r := range revisions {
			if err := context.Cause(ctx); err != nil {
				return ftl.Join(append(errs, err)...)
			}
			errs = append(errs, l.remove(ctx, r, leaving{}))
		}
		return ftl.Join(errs...)
	})
}

// old returns the revisions that are here and neither in use nor among the newest.
func (p *pkg) old(cur tree.Links, keep int) ([]revision.Revision, error) {
	local, err := p.Local()
	return slices.DeleteFunc(local[:max(0, len(local)-keep)], cur.Has), err
}

// rehearseRemoval shows a removal, after what becomes of a jump that was interrupted.
func (p *pkg) rehearseRemoval(show func(*rehearsal) error) error {
	d, err := p.rehearse(mendsLinks)
	if err != nil {
		return err
	}
	d.recover()
	return show(d)
}

// change calls f for a command that a person started, with both locks held and
// what was interrupted taken up.
func (p *pkg) change(ctx context.Context, f func(*locked) error) error {
	if err := p.begin(); err != nil {
		return err
	}
	wait := tree.Patience{Wait: p.host.lockWait()}
	if err := p.MendLinks(ctx, wait); err != nil {
		return err
	}
	held, err := p.lock(ctx, tree.SyncLock, wait)
	if err != nil {
		return err
	}
	err = p.withLock(ctx, wait, func(l *locked) error {
		if err := l.rollForward(ctx); err != nil {
			return err
		}
		return f(l)
	})
	return ftl.Join(err, p.sweepAndTell(ctx, false), held.Release())
}

// unwanted says how sync removes a revision that nobody wants any more.
type unwanted struct {
	force bool   // it is not counted
	to    string // where its tree goes; "" is the trash
	wait  tree.Patience
}

// removeUnwanted removes a revision for sync, which gives up the lock between
// two removals, and counts them unless it is forced to.
func (p *pkg) removeUnwanted(ctx context.Context, r revision.Revision, how unwanted) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return p.withLock(ctx, how.wait, func(l *locked) error {
		cur, err := l.Links()
		if err != nil || cur.Has(r) { // somebody has jumped meanwhile
			return err
		}
		if err := l.State.Waiting(r, ftl.PreRemove, time.Now()); err != nil {
			return err
		}
		count, err := l.countRemoval(how.force)
		if err != nil {
			return err
		}
		before := l.State.Removals
		l.State.Removals = count
		err = l.remove(ctx, r, leaving{to: how.to})
		if err != nil {
			l.State.Removals = before
		}
		if hookFailed(err) && !interrupted(err) {
			l.State.Fail(r, ftl.PreRemove, err, time.Now())
			err = ftl.Join(err, l.WriteState())
		}
		return err
	})
}

// leaving says how a revision is removed.
type leaving struct {
	RemoveOptions
	to string // where its tree goes; "" is the trash
}

// remove takes a revision out of revs. Its files are deleted
// later. When pre-remove fails, the revision stays.
func (l *locked) remove(ctx context.Context, r revision.Revision, how leaving) error {
	cur, err := l.Links()
	if err != nil {
		return err
	}
	if err := l.State.CheckUnused(cur, r); err != nil {
		return err
	}
	task := l.begins(r, ftl.Remove)
	stuck, err := l.removeUnused(ctx, r, how)
	if stuck {
		task.End("", errors.New("its files can't be deleted"))
		return nil
	}
	task.End("", err)
	return err
}

// removeUnused reports whether the revision is gone but for files that can't be deleted.
func (l *locked) removeUnused(ctx context.Context, r revision.Revision, how leaving) (stuck bool, err error) {
	st := l.State
	if err := l.preRemove(ctx, r, how.RemoveOptions); err != nil {
		return false, err
	}
	delete(st.Ready, r)
	delete(st.Unverified, r)
	delete(st.Rejected, r)
	for _, hook := range ftl.Hooks() {
		st.Succeed(r, hook)
	}
	if err := l.WriteState(); err != nil {
		return false, err
	}
	// The tree goes last: without it, nobody would look for the rest again.
	l.RemoveLogs(r)
	l.removeIndex(r)
	l.removeManifest(r)
	if how.to == "" {
		how.to = filepath.Join(l.Trash(), r.ID()+"."+rand.Text())
	}
	err = l.moveTree(ctx, r, how.to)
	if _, stuck = errors.AsType[*directory.StuckError](err); stuck {
		l.inPlace = append(l.inPlace, l.NewLeftover(l.RevisionDir(r), err))
		return true, nil
	}
	return false, err
}

// preRemove runs the hook of a revision that was ready, and is still there.
func (l *locked) preRemove(ctx context.Context, r revision.Revision, opts RemoveOptions) error {
	if !l.State.IsReady(r) || errors.Is(l.CheckTree(r), fs.ErrNotExist) {
		return nil
	}
	err := l.runHook(ctx, hookRun{name: ftl.PreRemove, of: r, reason: tree.ReasonRemove, attempt: 1})
	if err == nil || interrupted(err) {
		return err
	}
	if opts.Force {
		l.host.warn("%v; removed all the same", err)
		return nil
	}
	return fmt.Errorf("%s stays; --force of remove removes it all the same: %w", r, err)
}

// moveTree moves the tree of a revision out of its place. What can't be moved elsewhere may get
// another name where it is: that takes no right to the directory itself. What can't be moved at
// all, such as a mount point, or a directory of a lower layer of an overlay, is deleted in its
// place; if something of it stays, the error is a [*directory.StuckError]. Absence is no error.
func (p *pkg) moveTree(ctx context.Context, r revision.Revision, to string) error {
	from := p.RevisionDir(r)
	err := p.Files.Rename(from, to)
	if info, serr := p.Files.Lstat(from); errors.Is(err, fs.ErrPermission) && serr == nil && info.IsDir() {
		// A hook has made it read-only, and a directory has to be changed to move.
		if err = p.Files.Chmod(from, info.Mode().Perm()|0o700); err == nil {
			err = p.Files.Rename(from, to)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !tree.IsFull(err) {
		err = p.Files.Rename(from, filepath.Join(p.Revs(), tree.GoneName(r.ID())))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil && !tree.IsFull(err) {
		err = p.Files.RemoveAll(ctx, from)
	}
	if err != nil {
		return err
	}
	return p.Files.SyncDir(p.Revs())
}

// RemovePackage ends the host's subscription: un-jump of the active revision,
// pre-remove of each, then everything goes but the shared directory, if there is
// anything in it.
func (h *Host) RemovePackage(ctx context.Context, name revision.Package, opts RemoveOptions) error {
	p := h.open(name)
	defer p.Close()
	if h.DryRun {
		return p.rehearseRemoval(func(d *rehearsal) error {
			d.removeAll()
			return nil
		})
	}
	if cur, err := p.Links(); opts.Confirm != nil && err == nil && cur.Current != (revision.Revision{}) {
		if err := opts.Confirm(ctx, cur.Current); err != nil {
			return err
		}
	}
	return p.change(ctx, func(l *locked) error {
		task := l.begins(revision.Revision{}, ftl.Remove)
		done, err := l.removePackage(ctx, opts)
		if done.removed { // an un-jump that failed keeps nothing
			task.End(done.message, nil)
		} else {
			task.End("", err)
		}
		return err
	})
}

// A removal is what came of removing a package.
type removal struct {
	removed bool
	message string
}

func (l *locked) removePackage(ctx context.Context, opts RemoveOptions) (removal, error) {
	unJumpFailed := l.unJumpForGood(ctx)
	if unJumpFailed != nil && (!hookFailed(unJumpFailed) || interrupted(unJumpFailed)) {
		return removal{}, unJumpFailed // it did not run to its end
	}
	for _, r := range l.State.ReadyRevisions() {
		if err := l.preRemove(ctx, r, opts); err != nil {
			return removal{}, ftl.Join(unJumpFailed, err, l.startAgain(ctx))
		}
	}
	l.State = &tree.State{Format: tree.StateFormat, Seen: l.State.Seen, Looked: l.State.Looked, Removed: true}
	if err := l.WriteState(); err != nil {
		return removal{}, ftl.Join(unJumpFailed, err)
	}
	done, err := l.removeDir(ctx)
	return done, ftl.Join(unJumpFailed, err)
}

// unJumpForGood stops the active revision. As in a jump, one whose un-jump
// fails does not stay for that. Should the removal break off, the state has it
// that the revision's post-jump has to start it again.
func (l *locked) unJumpForGood(ctx context.Context) error {
	cur, err := l.Present()
	if err != nil || cur.Current == (revision.Revision{}) {
		return err
	}
	l.State.Jump = &tree.Transition{To: cur.Current, Previous: cur.Previous, Reason: tree.ReasonRemove, Started: time.Now()}
	if err := l.enter(tree.PhasePostJump); err != nil {
		return err
	}
	return l.runHook(ctx, hookRun{
		name: ftl.UnJump, of: cur.Current, old: cur.Current, reason: tree.ReasonRemove, attempt: 1,
	})
}

// startAgain undoes unJumpForGood for a package that stays.
func (l *locked) startAgain(ctx context.Context) error {
	if l.State.Jump == nil || ctx.Err() != nil {
		return nil
	}
	return l.advanceAndNote(ctx, false)
}

// removeDir deletes everything of the package but what is shared. When nothing
// is, the directory goes too: it is renamed first, so that it is never there in
// part. Otherwise the state stays, which says that the package was removed.
func (l *locked) removeDir(ctx context.Context) (removal, error) {
	err := l.Files.Remove(l.Shared())                                       // also a link to where the files really are
	kept := errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission) // something is in it, or it is somebody else's
	if err != nil && !kept && !errors.Is(err, fs.ErrNotExist) {
		return removal{}, fmt.Errorf("remove %s: %w", l.Shared(), err)
	}
	if !kept {
		gone, err := l.removeWhole(ctx)
		if gone || err != nil {
			return removal{removed: gone}, err
		}
	}

	entries, err := l.Files.ReadDir(l.Dir)
	if err != nil {
		return removal{}, err
	}
	var stuck []error
	for _, entry := range entries {
		path := filepath.Join(l.Dir, entry.Name())
		if path == l.Shared() || path == l.Meta() || entry.Name() == tree.ChangeLock.File {
			continue
		}
		stuck = append(stuck, tree.ToldAtOnce(path, l.Files.RemoveAll(ctx, path)))
	}
	if err := ftl.Join(stuck...); err != nil {
		return removal{}, err
	}
	return removal{true, "its shared directory is kept; ftl sync " + l.Name.String() + " would bring it back"}, l.Files.SyncDir(l.Dir)
}

// removeWhole deletes the package's directory, and reports whether it is gone from its place. Who
// owns it need not own the root, and it may be where nothing can be renamed.
func (l *locked) removeWhole(ctx context.Context) (bool, error) {
	root, err := directory.OpenSafeTree(l.host.Root)
	if err != nil {
		return false, l.RefuseUnsafe(err)
	}
	defer root.Close()
	gone := filepath.Join(l.host.Root, tree.GoneName(l.Name.String()))
	err = root.Rename(l.Dir, gone)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EBUSY) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, ftl.Join(root.SyncDir(l.host.Root), tree.ToldAtOnce(gone, root.RemoveAll(ctx, gone)))
}

// endRemoval makes a removed package one that nothing was ever active of. Its
// removal may have been stopped before the links were gone, and what they point
// to does not run any more.
func (l *locked) endRemoval() error {
	if !l.State.Removed {
		return nil
	}
	if err := l.Flip(tree.Links{}); err != nil {
		return err
	}
	l.State.Removed = false
	return nil
}
