package host

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// SyncOptions are the choices of Sync.
type SyncOptions struct {
	// Cron makes it no error when another sync is at work, unless that has
	// been for longer than two hours.
	Cron bool
	// Splay delays the sync by a time below it, which is always the same on a
	// node, so that a fleet does not come all at once.
	Splay time.Duration
	// Done is called at the end of each package's sync, also of one that
	// failed, by several goroutines at once. Nil: nobody listens.
	Done func(Result)
}

const (
	parallelPackages = 8
	parallelFetches  = 4
	cronPatience     = 2 * time.Hour
	// postJumpRetries is how often sync tries a failed post-jump again before
	// it waits for a person or a newer blessing.
	postJumpRetries = 3
)

// Sync brings the host up to date with the bucket: it fetches new revisions,
// follows the marker, and removes what neither wants any more. No packages are
// all of them. They are synced in parallel, and one that fails stops no other:
// the error joins what went wrong in the order of the packages.
func (h *Host) Sync(ctx context.Context, packages []revision.Package, opts SyncOptions) error {
	if len(packages) == 0 {
		var err error
		if packages, err = h.Packages(); err != nil {
			return err
		}
		if !h.DryRun {
			h.finishRemovals()
		}
	}
	if len(packages) == 0 && !opts.Cron {
		h.warn("this host is subscribed to nothing; to subscribe: mkdir %s", quoted(filepath.Join(h.Root, "PACKAGE")))
	}
	if len(packages) == 0 {
		return nil
	}
	if h.DryRun {
		opts.Splay = 0
	}
	if err := h.waitSplay(ctx, opts.Splay); err != nil {
		return err
	}
	bucket := sync.OnceValues(func() (store.Bucket, error) { return h.Open(ctx) })
	errs := make([]error, len(packages))
	var group errgroup.Group
	group.SetLimit(parallelPackages)
	for i, name := range packages {
		group.Go(func() error {
			p := h.open(name)
			if h.DryRun {
				errs[i] = prefixed("sync "+name.String(), p.drySync(ctx, bucket))
			} else {
				errs[i] = prefixed("sync "+name.String(), p.syncMeasured(ctx, bucket, opts))
			}
			return nil
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// prefixed says of each of the joined errors what it is about.
func prefixed(prefix string, err error) error {
	if err == nil {
		return nil
	}
	errs := ftl.Split(err)
	for i := range errs {
		errs[i] = fmt.Errorf("%s: %w", prefix, errs[i])
	}
	return errors.Join(errs...)
}

// waitSplay sleeps for this node's part of the splay.
func (h *Host) waitSplay(ctx context.Context, splay time.Duration) error {
	if splay <= 0 {
		return nil
	}
	hash := fnv.New64a()
	hash.Write([]byte(h.Node))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(hash.Sum64() % uint64(splay))):
		return nil
	}
}

func (p *pkg) sync(ctx context.Context, open func() (store.Bucket, error), opts SyncOptions) (err error) {
	if err := p.begin(); err != nil {
		return err
	}
	l, err := p.lockForSync(ctx, opts)
	if err != nil || l == nil {
		p.stoodBack = err == nil
		return err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	recovered := p.tidy(ctx)
	if recovered != nil && (!hookFailed(recovered) || ctx.Err() != nil) {
		return recovered
	}
	defer func() { err = errors.Join(recovered, err) }() // a broken hook must not block what is new
	bucket, newest, todo, err := p.look(ctx, open)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		p.note(ftl.Event{Step: stepSync, State: ftl.Failure, Message: err.Error()}, details{reason: reasonSync})
		// What a jump has left to do needs no bucket.
		return errors.Join(err, p.follow(ctx, mark{}))
	}
	if !opts.Cron {
		p.sayHeld()
	}
	return p.carryOut(ctx, l, bucket, newest, todo)
}

// lockForSync returns no lock when there is nothing to do but to let another
// sync go on.
func (p *pkg) lockForSync(ctx context.Context, opts SyncOptions) (*lock, error) {
	if !opts.Cron {
		return p.lock(ctx, syncLock, patience{wait: p.host.lockWait()})
	}
	l, err := p.lock(ctx, syncLock, patience{})
	if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Kind == ftl.Busy {
		if held, ok := p.readHolder(syncLock); !ok || time.Since(held.Since) < cronPatience {
			return nil, nil
		}
	}
	return l, err
}

// tidy takes up what an earlier command left when it was interrupted. While
// somebody holds the other lock, nothing was: that is then their jump.
func (p *pkg) tidy(ctx context.Context) error {
	p.keepReserve()
	if err := p.empty(p.stage()); err != nil {
		return err
	}
	st, err := p.readState()
	if err != nil {
		return err
	}
	inFlight := st.Jump != nil && !st.Jump.flipped()
	if !inFlight && !st.Removed && isEmptyDir(p.trash()) {
		return nil
	}
	err = p.withLock(ctx, patience{}, func(l *lock) error {
		st, err := p.readState()
		if err != nil {
			return err
		}
		st.Removed = false // somebody named it, so it is wanted again
		return errors.Join(p.empty(p.trash()), p.takeUp(ctx, l, st), p.writeState(st))
	})
	if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Kind == ftl.Busy {
		return nil
	}
	return err
}

// carryOut fetches the active revision and jumps to it before it fetches the
// rest, so that a deploy does not wait for what may be blessed one day.
func (p *pkg) carryOut(ctx context.Context, l *lock, bucket store.Bucket, newest mark, todo plan) error {
	var errs []error
	rest := todo.fetch
	if len(rest) > 0 && rest[0] == newest.Revision {
		errs = append(errs, p.obtainWhenDue(ctx, l, bucket, rest[0]))
		rest = rest[1:]
	}
	errs = append(errs, p.follow(ctx, newest))

	fetched := make([]error, len(rest))
	var group errgroup.Group
	group.SetLimit(parallelFetches)
	for i, r := range rest {
		group.Go(func() error {
			fetched[i] = p.obtainWhenDue(ctx, l, bucket, r)
			return nil
		})
	}
	group.Wait()
	errs = append(errs, fetched...)
	for _, r := range todo.remove {
		errs = append(errs, p.removeUnwanted(ctx, r))
	}
	return errors.Join(errs...)
}

// obtainWhenDue is obtain, unless the revision's post-sync has failed and it is
// too early to try it again.
func (p *pkg) obtainWhenDue(ctx context.Context, l *lock, bucket store.Bucket, r revision.Revision) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	st, err := p.readState()
	if err != nil {
		return err
	}
	for _, step := range []hooks.Name{hooks.PostSync, wrongContent} {
		if err := st.waiting(r, step, time.Now()); err != nil {
			return err
		}
	}
	err = p.obtain(ctx, l, bucket, r)
	if errors.Is(err, archive.ErrInvalid) { // and will be when it is fetched again
		return errors.Join(err, p.update(ctx, p.host.lockWait(), func(st *state) { st.fail(r, wrongContent, err, time.Now()) }))
	}
	if errors.Is(err, errNotInBucket) {
		return ftl.Errorf(ftl.NotFound, "it was purged just now; the next sync does without it", "%w", err)
	}
	return err
}

// follow jumps to the revision that the marker's newest entry names, if that
// entry is not done with and the revision is ready, and otherwise tries a failed
// post-jump again. Where nothing is to be followed, the entry is zero. A package
// that is held stays as it is.
func (p *pkg) follow(ctx context.Context, newest mark) error {
	st, err := p.readState()
	if err != nil {
		return err
	}
	if st.Hold != nil || st.Jump == nil && st.Inconsistent == "" && !(newest.after(st.Acted) && st.isReady(newest.Revision)) {
		return nil
	}
	return p.withLock(ctx, patience{wait: p.host.lockWait()}, func(l *lock) error {
		return p.followLocked(ctx, l, newest)
	})
}

func (p *pkg) followLocked(ctx context.Context, l *lock, newest mark) error {
	st, err := p.readState() // as somebody may have jumped meanwhile
	if err != nil || st.Hold != nil {
		return err
	}
	links, err := p.links()
	if err != nil {
		return err
	}
	isNew := newest.after(st.Acted) && st.isReady(newest.Revision)
	switch {
	case isNew && newest.Revision == links.current:
		st.Acted = newest
		if st.Jump != nil || st.Inconsistent != "" { // a new blessing is a new chance
			return p.startAnew(ctx, l, st, links, reasonSync)
		}
		return p.writeState(st)
	case isNew:
		if err := st.waiting(newest.Revision, hooks.PreJump, time.Now()); err != nil {
			return err
		}
		return p.deferred(st, newest, p.jump(ctx, l, st, links, flight{To: newest.Revision, Reason: reasonSync, Mark: newest}))
	case st.Jump == nil && st.Inconsistent != "":
		err := st.inconsistent(p.name)
		err.Waiting = true
		return err
	case st.Jump == nil:
		return nil
	case st.Jump.Tries > postJumpRetries:
		err := ftl.Errorf(ftl.HookFailed, "mend it, then: ftl jump "+st.Jump.To.String()+"; or ftl jump-back "+p.name.String(),
			"%s; sync has tried %d times and waits for you", st.Jump.Failed, st.Jump.Tries)
		err.Waiting = true
		return err
	}
	return p.retryPostJump(ctx, l, st)
}

// deferred makes it no error that a pre-jump wants to be asked again later. It
// is told once for an entry of the marker, and not at every sync.
func (p *pkg) deferred(st *state, newest mark, err error) error {
	if !notNow(err) {
		return err
	}
	if st.Deferred == newest {
		return nil
	}
	p.report(ftl.Event{Revision: newest.Revision, Step: ftl.Defer, State: ftl.Success, Message: "pre-jump says not now"})
	st.Deferred = newest
	return p.writeState(st)
}
