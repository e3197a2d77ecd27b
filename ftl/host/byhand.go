package host

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// RunHook runs one hook of a revision, for a person who wants to see what it does: with the
// environment that it would have, under the lock, and with its output in the log. It changes no
// state, so what comes of it has no effect on what ftl does next. The failed hook is not run after
// it.
//
// A revision that is not ready, as its post-sync fails, has that hook only.
func (h *Host) RunHook(ctx context.Context, r revision.Revision, hook ftl.Step) error {
	p := h.open(r.Package())
	defer p.Close()
	if err := p.begin(); err != nil {
		return err
	}
	st, err := p.ReadState()
	if err != nil {
		return err
	}
	patience := tree.Patience{Wait: h.lockWait()}
	if st.IsReady(r) || hook != ftl.PostSync {
		return p.withLock(ctx, patience, func(l *locked) error {
			if err := l.checkByHand(l.State, r, hook); err != nil {
				return err
			}
			run, err := l.byHand(r, hook)
			if err != nil {
				return err
			}
			return l.runHook(ctx, run)
		})
	}
	held, err := p.lock(ctx, tree.SyncLock, patience) // which owns what is not ready
	if err != nil {
		return err
	}
	return ftl.Join(p.runPostSyncByHand(ctx, held, r), held.Release())
}

// runPostSyncByHand is RunHook for a revision that is not ready.
func (p *pkg) runPostSyncByHand(ctx context.Context, held *tree.Lock, r revision.Revision) error {
	st, err := p.ReadState() // as somebody may have made it ready meanwhile
	if err != nil {
		return err
	}
	if err := p.checkByHand(st, r, ftl.PostSync); err != nil {
		return err
	}
	run, err := p.byHand(r, ftl.PostSync)
	if err != nil {
		return err
	}
	return holding{p, held}.runHook(ctx, run)
}

// checkByHand returns why a hook can't be run by hand.
func (p *pkg) checkByHand(st *tree.State, r revision.Revision, hook ftl.Step) error {
	missing := p.CheckTree(r)
	switch {
	case errors.Is(missing, fs.ErrNotExist):
		return ftl.Errorf(ftl.NotFound, "ftl list "+p.Name.String()+" shows what there is; to fetch it: ftl sync "+p.Name.String(), "this host has no %s", r)
	case missing != nil:
		return missing
	case st.Ready[r].File:
		return ftl.Errorf(ftl.NotFound, "spool a directory, or an archive of one", "%s is one file, and has no hooks", r)
	case !st.IsReady(r) && hook != ftl.PostSync:
		return ftl.Errorf(ftl.Refused, "its post-sync comes first: ftl hook run "+r.String()+" "+string(ftl.PostSync), "%s is not ready", r)
	case p.shipsHere(r, hook):
		return nil
	}
	var has []string
	for _, other := range ftl.Hooks() {
		if p.shipsHere(r, other) {
			has = append(has, string(other))
		}
	}
	hint := "it has no hooks at all"
	if len(has) > 0 {
		hint = "it has: " + strings.Join(has, ", ")
	}
	return ftl.Errorf(ftl.NotFound, hint, "%s has no %s", r, hook)
}

// byHand is how a hook is run by hand: as it would be if r were jumped to, left or removed now.
func (p *pkg) byHand(r revision.Revision, hook ftl.Step) (hookRun, error) {
	cur, err := p.Links()
	run := hookRun{name: hook, of: r, new: r, reason: tree.ReasonJump, attempt: 1, byHand: true}
	switch hook {
	case ftl.PostSync:
		run.reason = tree.ReasonSync
	case ftl.UnJump:
		run.old, run.new = r, revision.Revision{}
		if r != cur.Current {
			run.new = cur.Current
		}
	case ftl.PreRemove:
		run.new, run.reason = revision.Revision{}, tree.ReasonRemove
	default:
		run.old = cur.Current
		if r == cur.Current {
			run.old = cur.Previous
		}
	}
	switch hook {
	case ftl.Check:
		run.timeout = p.host.checkTimeout()
		run.extra = []string{"FTL_CHECK_TIMEOUT=" + run.timeout.String()}
	case ftl.OnFailure:
		run.extra = failedHook(ftl.PostJump, 1)
	}
	return run, err
}
