package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// How a revision becomes ready. The order is what makes a crash at any point
// harmless: a tree is complete and on disk before it gets its name in revs, and
// it counts only once the state says so, after its post-sync.
//
//	stage → verify → unpack → sync to disk → rename into revs → post-sync → sync to disk → ready

// obtainByName is obtain for a revision that may not be in the bucket, or that
// somebody has made ready since it was looked for.
func (p *pkg) obtainByName(ctx context.Context, l *lock, r revision.Revision) error {
	st, err := p.readState()
	if err != nil || st.isReady(r) && p.checkTree(r) == nil {
		return err
	}
	bucket, err := p.host.Open(ctx)
	if err != nil {
		return err
	}
	// What was blessed before is overruled by the jump, what is blessed later is
	// not: so look now, while the bucket is at hand.
	marker, err := master.ReadMarker(ctx, bucket, p.name)
	if err != nil {
		return err
	}
	if _, err := p.see(ctx, marker); err != nil {
		return err
	}
	err = p.obtain(ctx, l, bucket, r)
	if errors.Is(err, errNotInBucket) {
		return p.nowhere(r)
	}
	return err
}

// nowhere is the error of a revision that is neither here nor in the bucket.
func (p *pkg) nowhere(r revision.Revision) error {
	return ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master "+p.name.String(), "neither this host nor the bucket has %s", r)
}

// errNotInBucket says that the bucket has no manifest of a revision.
var errNotInBucket = errors.New("it is not in the bucket")

// obtain makes r ready, under the sync lock.
func (p *pkg) obtain(ctx context.Context, l *lock, bucket store.Bucket, r revision.Revision) error {
	var manifest master.Manifest
	err := p.step(r, ftl.Fetch, func() (err error) {
		manifest, err = p.fetch(ctx, bucket, r)
		return err
	})
	if err != nil {
		return fmt.Errorf("fetch %s: %w", r, err)
	}
	return p.makeReady(ctx, l, r, ready{File: !manifest.Form.Tree()})
}

// step tells of a step when it begins and when it has ended.
func (p *pkg) step(r revision.Revision, step ftl.Step, do func() error) error {
	p.report(ftl.Event{Revision: r, Step: step, State: ftl.Running})
	began := time.Now()
	err := do()
	event := ftl.Event{Revision: r, Step: step, State: ftl.Success}
	if err != nil {
		event.State, event.Message = ftl.Failure, err.Error()
	}
	p.reportAs(event, details{took: time.Since(began)})
	return err
}

// makeReady runs post-sync in the place where the revision will stay, since
// what it makes may hold its own path.
func (p *pkg) makeReady(ctx context.Context, l *lock, r revision.Revision, how ready) error {
	p.postSync.Lock() // of several revisions that are fetched at once, one at a time
	defer p.postSync.Unlock()
	st, err := p.readState()
	if err != nil {
		return err
	}
	run := hookRun{name: hooks.PostSync, of: r, new: r, reason: reasonSync, attempt: 1}
	if last := st.failure(r, hooks.PostSync); last != nil {
		run.attempt += last.Count
	}
	st.Ready[r] = how // for the hook's sake, in memory only
	if err := p.runHook(ctx, l, st, run); err != nil {
		if interrupted(err) || diskFailed(err) {
			return err
		}
		return errors.Join(err, p.update(ctx, p.patiently(), func(st *state) { st.fail(r, hooks.PostSync, err, time.Now()) }))
	}
	// What the hook wrote has to be on disk before the mark is.
	if err := durable.SyncTree(p.revisionDir(r)); err != nil {
		return err
	}
	err = p.update(ctx, p.patiently(), func(st *state) {
		how.Since = time.Now()
		st.Ready[r] = how
		st.succeed(r, hooks.PostSync)
		st.succeed(r, wrongContent)
	})
	if err == nil {
		p.report(ftl.Event{Revision: r, Step: ftl.Ready, State: ftl.Success})
	}
	return err
}

// update changes the state under its lock.
func (p *pkg) update(ctx context.Context, wait time.Duration, change func(*state)) error {
	return p.withLock(ctx, patience{wait: wait}, func(*lock) error {
		st, err := p.readState()
		if err != nil {
			return err
		}
		change(st)
		return p.writeState(st)
	})
}

// patiently is how long to wait for the lock with something that took long to
// get: as long as a hook may take, so that it is not lost to a jump that is
// going on.
func (p *pkg) patiently() time.Duration { return p.host.hookTimeout() + p.host.lockWait() }
