package host

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rhettg/ftl/ftl/host/tree"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// SyncOptions are the choices of Sync.
type SyncOptions struct {
	// Cron makes it no error when another sync is at work, unless that has
	// been for longer than two hours.
	Cron bool
	// Force removes what is not wanted any more, however much that is.
	Force bool
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
	var leftover error
	all := len(packages) == 0
	if all {
		var misnamed []string
		var err error
		if packages, misnamed, err = h.packages(); err != nil {
			return err
		}
		if !opts.Cron {
			h.sayMisnamed(misnamed)
		}
		if !h.DryRun {
			leftover = h.finishRemovals(ctx, opts.Cron)
		}
	}
	if len(packages) == 0 && !opts.Cron {
		h.warn("this host is subscribed to nothing; to subscribe: mkdir %s", quoted(filepath.Join(h.Root, "PACKAGE")))
	}
	if len(packages) == 0 {
		return leftover
	}
	if h.DryRun {
		opts.Splay = 0
	}
	if err := h.waitSplay(ctx, opts.Splay); err != nil {
		return err
	}
	h.recognize(ctx, !h.DryRun)
	bucket := sync.OnceValues(func() (*catalog.Catalog, error) { return h.Open(ctx) })
	open := h.openAll(packages)
	defer closeAll(open) // once more, as what is told in the end may open them again
	if h.DryRun {
		return syncEach(open, func(p *pkg) error { return p.rehearseSync(ctx, bucket, opts.Force) })
	}
	if !all {
		return ftl.Join(syncEach(open, func(p *pkg) error { return p.syncMeasured(ctx, bucket, opts) }), leftover)
	}
	r := h.readEpoch(ctx, open, bucket)
	var err error
	if r.idle && opts.Cron && !opts.Force {
		for _, p := range open {
			p.passIdle(ctx, opts)
		}
	} else {
		err = syncEach(open, func(p *pkg) error { return p.syncMeasured(ctx, bucket, opts) })
		r.looked(open, err)
	}
	h.reportSelf(ctx, open, &r.memory, opts.Splay, bucket)
	h.remember(r.memory)
	return ftl.Join(err, leftover)
}

// syncEach calls do for packages, several at once. The error joins what went wrong, in their order.
func syncEach(packages []*pkg, do func(*pkg) error) error {
	errs := make([]error, len(packages))
	var group errgroup.Group
	group.SetLimit(parallelPackages)
	for i, p := range packages {
		group.Go(func() error {
			defer p.Close()
			errs[i] = prefixed("sync "+p.Name.String(), do(p))
			return nil
		})
	}
	group.Wait()
	return ftl.Join(errs...)
}

// prefixed says of each error what it is about.
func prefixed(prefix string, err error) error {
	var errs []error
	for _, err := range ftl.Split(err) {
		errs = append(errs, fmt.Errorf("%s: %w", prefix, err))
	}
	return ftl.Join(errs...)
}

// waitSplay sleeps for this node's part of the splay.
func (h *Host) waitSplay(ctx context.Context, splay time.Duration) error {
	if splay <= 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(h.splayed(splay)):
		return nil
	}
}

// splayed is this node's part of the splay.
func (h *Host) splayed(splay time.Duration) time.Duration {
	hash := fnv.New64a()
	hash.Write([]byte(h.Node))
	return time.Duration(hash.Sum64() % uint64(splay))
}

func (p *pkg) sync(ctx context.Context, open func() (*catalog.Catalog, error), opts SyncOptions) (err error) {
	if err := p.begin(); err != nil {
		return err
	}
	held, err := p.lockForSync(ctx, opts)
	if err != nil || held == nil {
		p.stoodBack = err == nil
		return err
	}
	defer func() { err = ftl.Join(err, held.Release()) }()
	s := &syncing{holding: holding{p, held}}
	defer func() { err = ftl.Join(err, p.sweepAndTell(ctx, opts.Cron)) }()
	recovered := s.tidy(ctx)
	if recovered != nil && (!hookFailed(recovered) || ctx.Err() != nil) {
		return recovered
	}
	defer func() { err = ftl.Join(recovered, err) }() // a broken hook must not block what is new
	from, to, todo, err := p.look(ctx, open)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		p.note(ftl.Event{Step: ftl.Sync, State: ftl.Failure, Message: err.Error()}, tree.Details{Reason: tree.ReasonSync})
		// What a jump has left to do needs no bucket, and how a revision does here no list of
		// votes.
		return ftl.Join(err, p.follow(ctx, tree.Mark{}, nil), p.takePart(ctx))
	}
	if !opts.Cron {
		p.sayHeld()
		if from.Catalog != nil { // which a retired package is not looked for in
			p.sayUnknown(ctx, from.Catalog)
		}
	}
	return ftl.Join(s.carryOut(ctx, from, to, todo, opts.Force), p.takePart(ctx), p.CheckCurrent())
}

func (p *pkg) rehearseSync(ctx context.Context, open func() (*catalog.Catalog, error), force bool) error {
	d, err := p.rehearse(mendsNothing)
	if err != nil {
		return err
	}
	return d.sync(ctx, open, force)
}

// lockForSync returns no lock when there is nothing to do but to let another
// sync go on.
func (p *pkg) lockForSync(ctx context.Context, opts SyncOptions) (*tree.Lock, error) {
	if !opts.Cron {
		return p.lock(ctx, tree.SyncLock, tree.Patience{Wait: p.host.lockWait()})
	}
	l, err := p.lock(ctx, tree.SyncLock, tree.Patience{})
	if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Kind == ftl.Busy {
		if held, ok := p.ReadHolder(tree.SyncLock); !ok || tree.Age(held.Since, held.Process) < cronPatience {
			return nil, nil
		}
	}
	return l, err
}

// tidy takes up what an earlier command left when it was interrupted. While
// somebody holds the other lock, nothing was: that is then their jump.
func (s *syncing) tidy(ctx context.Context) error {
	p := s.pkg
	p.KeepReserve()
	if _, err := p.sweep(ctx); err != nil {
		return err
	}
	st, err := p.ReadState()
	if err != nil {
		return err
	}
	if !st.Jump.Interrupted() && !st.Removed && !st.HasOutput {
		return nil
	}
	err = p.withLock(ctx, tree.Patience{}, func(l *locked) error {
		// Somebody named it, so it is wanted again.
		return ftl.Join(l.endRemoval(), l.takeUp(ctx), l.WriteState())
	})
	if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Kind == ftl.Busy {
		return nil
	}
	return err
}

// carryOut fetches the active revision and jumps to it before it fetches the
// rest, so that a deploy does not wait for what may be blessed one day. What is
// to go goes in the end, unless a revision that is fetched can use its tree.
func (s *syncing) carryOut(ctx context.Context, from source, to course, todo plan, force bool) error {
	var errs []error
	first, rest := todo.firstOf(to.newest)
	s.spares = &spares{left: slices.Clone(todo.remove), force: force}
	if len(todo.fetch) > 0 {
		errs = append(errs, s.DropStaged(ctx, todo.fetch))
	}
	if to.base != (revision.Revision{}) {
		errs = append(errs, s.goBase(ctx, from, to))
		rest = slices.DeleteFunc(rest, func(r revision.Revision) bool { return r == to.base })
	}
	for _, r := range first {
		errs = append(errs, s.obtainWhenDue(ctx, from, r))
	}
	errs = append(errs, s.follow(ctx, to.newest, from.marker.Params(to.newest.Revision)))

	fetched := make([]error, len(rest))
	var group errgroup.Group
	group.SetLimit(parallelFetches)
	for i, r := range rest {
		group.Go(func() error {
			fetched[i] = s.obtainWhenDue(ctx, from, r)
			return nil
		})
	}
	group.Wait()
	errs = append(errs, fetched...)
	errs = append(errs, s.spares.errs...)
	how := unwanted{force: force, wait: tree.Patience{Wait: s.host.lockWait()}}
	for _, r := range s.spares.left {
		errs = append(errs, s.removeUnwanted(ctx, r, how))
	}
	if force {
		for _, r := range todo.exceed {
			errs = append(errs, s.removeUnwanted(ctx, r, how))
		}
		return ftl.Join(errs...)
	}
	return ftl.Join(append(errs, s.leaveExceeding(ctx, todo.exceed))...)
}

// obtainWhenDue is obtain, unless the revision's post-sync has failed and it is
// too early to try it again.
func (s *syncing) obtainWhenDue(ctx context.Context, from source, r revision.Revision) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	st, err := s.ReadState()
	if err != nil {
		return err
	}
	if err := st.FetchDue(r, time.Now()); err != nil {
		return err
	}
	err = s.obtain(ctx, from, r, from.marker.Params(r))
	if errors.Is(err, archive.ErrInvalid) { // and will be when it is fetched again
		return ftl.Join(err, s.update(ctx, s.host.lockWait(), func(st *tree.State) { st.Fail(r, ftl.Fetch, err, time.Now()) }))
	}
	if isNewer(err) {
		failed := s.update(ctx, s.host.lockWait(), func(st *tree.State) { st.Fail(r, ftl.Fetch, err, time.Now()) })
		return ftl.Join(s.tellNewer(ctx, r, err), failed)
	}
	if _, distrusted := errors.AsType[*catalog.TrustError](err); distrusted {
		return s.tellUnfetched(ctx, r, err)
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
func (p *pkg) follow(ctx context.Context, newest tree.Mark, params catalog.Params) error {
	st, err := p.ReadState()
	if err != nil {
		return err
	}
	if st.Hold != nil || st.Jump == nil && st.Inconsistent == "" && !(newest.After(st.Acted) && st.IsReady(newest.Revision)) {
		return nil
	}
	return p.withLock(ctx, tree.Patience{Wait: p.host.lockWait()}, func(l *locked) error {
		return l.followNewest(ctx, newest, params)
	})
}

// unlessNotYet makes it no error that a rollout does not let the host go on.
func unlessNotYet(err error) error {
	var errs []error
	for _, err := range ftl.Split(err) {
		if !errors.Is(err, errNotYet) {
			errs = append(errs, err)
		}
	}
	return ftl.Join(errs...)
}

// followNewest decides again, as somebody may have jumped meanwhile.
func (l *locked) followNewest(ctx context.Context, newest tree.Mark, params catalog.Params) error {
	st := l.State
	if st.Hold != nil {
		return nil
	}
	cur, err := l.Present()
	if err != nil {
		return err
	}
	next, err := moveOfSync(st, cur, newest, st.IsNews(newest.Revision, params), time.Now())
	if err != nil {
		return err
	}
	if next == startActive || next == beginJump {
		if err := l.checkStart(newest.Revision); err != nil {
			return err
		}
	}
	switch next {
	case startActive:
		st.Acted = newest
		st.Tell(newest.Revision, params)
		return l.startAnew(ctx, cur, tree.ReasonSync)
	case confirmActive:
		st.Acted = newest
		return l.WriteState()
	case beginJump:
		if err := l.takeSlot(ctx); err != nil {
			return unlessNotYet(err)
		}
		return unlessNotYet(l.deferred(newest, l.jump(ctx, cur, tree.Transition{To: newest.Revision, Reason: tree.ReasonSync, Mark: newest}, params)))
	case retryActive:
		return l.retryPostJump(ctx)
	}
	return nil
}

// deferred makes it no error that a pre-jump wants to be asked again later. It
// is told once for an entry of the marker, and not at every sync.
func (l *locked) deferred(newest tree.Mark, err error) error {
	errs := ftl.Split(err)
	if len(errs) == 0 || !notNow(errs[0]) {
		return err
	}
	if l.State.Deferred.Count == 1 {
		l.tellAtOnce(newest.Revision, ftl.Defer, "pre-jump says not now")
	}
	return ftl.Join(errs[1:]...)
}
