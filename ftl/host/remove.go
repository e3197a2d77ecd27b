package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// RemoveOptions are the choices of Remove and RemovePackage.
type RemoveOptions struct {
	Force bool // also when pre-remove fails
}

// Remove removes a revision from the host. The active and the previous one are
// refused.
func (h *Host) Remove(ctx context.Context, r revision.Revision, opts RemoveOptions) error {
	p := h.open(r.Package())
	if h.DryRun {
		return p.dryRemove(func(st *state, _ links) ([]revision.Revision, error) {
			return []revision.Revision{r}, p.checkRemovable(st, r)
		})
	}
	return p.change(ctx, func(l *lock, st *state) error {
		if err := p.checkRemovable(st, r); err != nil {
			return err
		}
		return p.remove(ctx, l, st, r, opts)
	})
}

// checkRemovable refuses a revision that is not here, or in use.
func (p *pkg) checkRemovable(st *state, r revision.Revision) error {
	if _, err := os.Lstat(p.revisionDir(r)); errors.Is(err, fs.ErrNotExist) {
		return ftl.Errorf(ftl.NotFound, "ftl list "+p.name.String()+" shows what there is", "this host has no %s", r)
	}
	return p.checkUnused(st, r)
}

// Clean removes all revisions of a package but the newest keep, the active and
// the previous one, oldest first.
func (h *Host) Clean(ctx context.Context, name revision.Package, keep int) error {
	p := h.open(name)
	old := func(_ *state, links links) ([]revision.Revision, error) {
		local, err := p.local()
		return slices.DeleteFunc(local[:max(0, len(local)-keep)], links.has), err
	}
	if h.DryRun {
		return p.dryRemove(old)
	}
	return p.change(ctx, func(l *lock, st *state) error {
		links, err := p.links()
		if err != nil {
			return err
		}
		revisions, err := old(st, links)
		if err != nil {
			return err
		}
		var errs []error
		for _, r := range revisions {
			if err := ctx.Err(); err != nil {
				return errors.Join(append(errs, err)...)
			}
			errs = append(errs, p.remove(ctx, l, st, r, RemoveOptions{}))
		}
		return errors.Join(errs...)
	})
}

// change calls f for a command that a person started, with both locks held and
// what was interrupted taken up.
func (p *pkg) change(ctx context.Context, f func(*lock, *state) error) error {
	if err := p.begin(); err != nil {
		return err
	}
	patience := patience{wait: p.host.lockWait()}
	syncing, err := p.lock(ctx, syncLock, patience)
	if err != nil {
		return err
	}
	err = p.withLock(ctx, patience, func(l *lock) error {
		st, err := p.readState()
		if err != nil {
			return err
		}
		if err := p.rollForward(ctx, l, st); err != nil {
			return err
		}
		return f(l, st)
	})
	return errors.Join(err, p.empty(p.trash()), syncing.release())
}

// removeUnwanted removes a revision for sync, which gives up the lock between
// two removals.
func (p *pkg) removeUnwanted(ctx context.Context, r revision.Revision) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := p.withLock(ctx, patience{wait: p.host.lockWait()}, func(l *lock) error {
		st, err := p.readState()
		if err != nil {
			return err
		}
		links, err := p.links()
		if err != nil || links.has(r) { // somebody has jumped meanwhile
			return err
		}
		if err := st.waiting(r, hooks.PreRemove, time.Now()); err != nil {
			return err
		}
		err = p.remove(ctx, l, st, r, RemoveOptions{})
		if hookFailed(err) && !interrupted(err) {
			st.fail(r, hooks.PreRemove, err, time.Now())
			err = errors.Join(err, p.writeState(st))
		}
		return err
	})
	return errors.Join(err, p.empty(p.trash()))
}

// remove takes a revision out of revs, under the lock. Its files are deleted
// later. When pre-remove fails, the revision stays.
func (p *pkg) remove(ctx context.Context, l *lock, st *state, r revision.Revision, opts RemoveOptions) error {
	if err := p.checkUnused(st, r); err != nil {
		return err
	}
	if err := p.preRemove(ctx, l, st, r, opts); err != nil {
		return err
	}
	delete(st.Ready, r)
	delete(st.Rejected, r)
	for _, hook := range hooks.Names() {
		st.succeed(r, hook)
	}
	if err := p.writeState(st); err != nil {
		return err
	}
	// The tree goes last: without it, nobody would look for the rest again.
	p.removeLogs(r)
	p.removeIndex(r)
	if err := p.discard(r); err != nil {
		return err
	}
	p.report(ftl.Event{Revision: r, Step: ftl.Remove, State: ftl.Success})
	return nil
}

// checkUnused refuses a revision that the host could need.
func (p *pkg) checkUnused(st *state, r revision.Revision) error {
	links, err := p.links()
	switch {
	case err != nil:
		return err
	case r == links.current:
		return ftl.Errorf(ftl.Refused, "jump to another revision first", "%s is active on this host", r)
	case r == links.previous:
		return ftl.Errorf(ftl.Refused, "jump-back would need it", "%s is this host's previous revision", r)
	case st.Jump != nil && (r == st.Jump.To || r == st.Jump.From):
		return ftl.Errorf(ftl.Refused, "end the jump first: ftl jump "+st.Jump.To.String(), "%s is part of a jump that is not over", r)
	}
	return nil
}

// preRemove runs the hook of a revision that was ready.
func (p *pkg) preRemove(ctx context.Context, l *lock, st *state, r revision.Revision, opts RemoveOptions) error {
	if !st.isReady(r) {
		return nil
	}
	err := p.runHook(ctx, l, st, hookRun{name: hooks.PreRemove, of: r, reason: reasonRemove, attempt: 1})
	if err == nil || interrupted(err) {
		return err
	}
	if opts.Force {
		p.host.warn("%v; removed all the same", err)
		return nil
	}
	return fmt.Errorf("%s stays; --force of remove removes it all the same: %w", r, err)
}

// discard moves the tree of a revision into the trash, if there is one.
func (p *pkg) discard(r revision.Revision) error {
	return p.moveTree(r, filepath.Join(p.trash(), r.ID()+"."+rand.Text()))
}

// moveTree moves the tree of a revision out of revs. Absence is no error.
func (p *pkg) moveTree(r revision.Revision, to string) error {
	from := p.revisionDir(r)
	err := os.Rename(from, to)
	if info, serr := os.Lstat(from); errors.Is(err, fs.ErrPermission) && serr == nil && info.IsDir() {
		// A hook has made it read-only, and a directory has to be changed to move.
		err = errors.Join(os.Chmod(from, info.Mode().Perm()|0o700), os.Rename(from, to))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(p.revs())
}

// RemovePackage ends the host's subscription: un-jump of the active revision,
// pre-remove of each, then everything goes but the shared directory, if there is
// anything in it.
func (h *Host) RemovePackage(ctx context.Context, name revision.Package, opts RemoveOptions) error {
	p := h.open(name)
	if h.DryRun {
		return p.dryRemovePackage()
	}
	return p.change(ctx, func(l *lock, st *state) error {
		unJumpFailed := p.unJumpForGood(ctx, l, st)
		if unJumpFailed != nil && (!hookFailed(unJumpFailed) || interrupted(unJumpFailed)) {
			return unJumpFailed // it did not run to its end
		}
		for _, r := range st.readyRevisions() {
			if err := p.preRemove(ctx, l, st, r, opts); err != nil {
				return errors.Join(unJumpFailed, err, p.startAgain(ctx, l, st))
			}
		}
		*st = state{Format: stateFormat, Seen: st.Seen, Looked: st.Looked, Removed: true}
		if err := p.writeState(st); err != nil {
			return errors.Join(unJumpFailed, err)
		}
		return errors.Join(unJumpFailed, p.removeDir())
	})
}

// unJumpForGood stops the active revision. As in a jump, one whose un-jump
// fails does not stay for that. Should the removal break off, the state has it
// that the revision's post-jump has to start it again.
func (p *pkg) unJumpForGood(ctx context.Context, l *lock, st *state) error {
	links, err := p.links()
	if err != nil || links.current == (revision.Revision{}) {
		return err
	}
	st.Jump = &flight{To: links.current, Previous: links.previous, Reason: reasonRemove, Started: time.Now()}
	if err := p.enter(st, phasePostJump); err != nil {
		return err
	}
	return p.runHook(ctx, l, st, hookRun{
		name: hooks.UnJump, of: links.current, old: links.current, reason: reasonRemove, attempt: 1,
	})
}

// startAgain undoes unJumpForGood for a package that stays.
func (p *pkg) startAgain(ctx context.Context, l *lock, st *state) error {
	if st.Jump == nil || ctx.Err() != nil {
		return nil
	}
	return p.fly(ctx, l, st, false)
}

// removeDir deletes everything of the package but what is shared. When nothing
// is, the directory goes too: it is renamed first, so that it is never there in
// part. Otherwise the state stays, which says that the package was removed.
func (p *pkg) removeDir() error {
	err := syscall.Rmdir(p.shared())
	if errors.Is(err, syscall.ENOTDIR) {
		err = os.Remove(p.shared()) // a link to where the files really are
	}
	kept := errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission) // something is in it, or it is somebody else's
	if err != nil && !kept && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", p.shared(), err)
	}
	if _, err := os.Lstat(p.shared()); errors.Is(err, fs.ErrNotExist) {
		gone := filepath.Join(p.host.Root, removedName(p.name))
		err := os.Rename(p.dir, gone)
		if err == nil {
			p.host.report(ftl.Event{Package: p.name, Step: ftl.Remove, State: ftl.Success})
			return errors.Join(durable.SyncDir(p.host.Root), removeAll(gone))
		}
		if !errors.Is(err, fs.ErrPermission) { // who owns the package need not own the root
			return err
		}
	}

	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(p.dir, entry.Name())
		if path == p.shared() || path == p.meta() || entry.Name() == changeLock.file {
			continue
		}
		if err := removeAll(path); err != nil {
			return err
		}
	}
	p.report(ftl.Event{Step: ftl.Remove, State: ftl.Success, Message: "its shared directory is kept; ftl sync " + p.name.String() + " would bring it back"})
	return durable.SyncDir(p.dir)
}
