package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// How a revision becomes ready. The order is what makes a crash at any point
// harmless: a tree is complete and on disk before it gets its name in revs, and
// it counts only once the state says so, after its post-sync.
//
//	stage → verify → unpack → sync to disk → rename into revs → post-sync → sync to disk → ready

// obtainByName is obtain for a revision that may not be in the bucket, or that
// somebody has made ready since it was looked for.
func (s *syncing) obtainByName(ctx context.Context, r revision.Revision, params catalog.Params) error {
	p := s.pkg
	st, err := p.ReadState()
	if err != nil || p.isUsable(st, r) {
		return err
	}
	bucket, err := p.openBucket(ctx)
	if err != nil {
		return err
	}
	// What was blessed before is overruled by the jump, what is blessed later is
	// not: so look now, while the bucket is at hand.
	marker, err := p.markerByHand(ctx, bucket, r)
	if err != nil {
		return err
	}
	if err := p.accept(ctx, st, marker); err != nil {
		return err
	}
	if err := p.noteNewest(ctx, st, marker); err != nil {
		return err
	}
	if params == nil {
		params = marker.Params(r)
	}
	if err := s.DropStaged(ctx, []revision.Revision{r}); err != nil {
		return err
	}
	err = s.obtain(ctx, source{Catalog: bucket, marker: marker, unblessed: true}, r, params)
	if errors.Is(err, errNotInBucket) {
		return p.nowhere(r)
	}
	return err
}

// markerByHand reads the marker for a person who has chosen a revision. One that does not count is
// passed over, with a warning: what the person asks for needs only the revision's own signature.
func (p *pkg) markerByHand(ctx context.Context, bucket *catalog.Catalog, r revision.Revision) (catalog.Marker, error) {
	marker, err := bucket.Marker(ctx, p.Name, r)
	if err == nil {
		err = p.judge(marker)
	}
	if _, distrusted := errors.AsType[*catalog.TrustError](err); distrusted {
		p.host.warn("%s: %v", p.Name, err)
		return catalog.Marker{Package: p.Name}, nil
	}
	return marker, err
}

// nowhere is the error of a revision that is neither here nor in the bucket.
func (p *pkg) nowhere(r revision.Revision) error {
	return ftl.Errorf(ftl.NotFound, "what there is: ftl list --master "+p.Name.String(), "neither this host nor the bucket has %s", r)
}

// errNotInBucket says that the bucket has no manifest of a revision.
var errNotInBucket = errors.New("it is not in the bucket")

// obtain makes r ready, under the sync lock.
func (s *syncing) obtain(ctx context.Context, from source, r revision.Revision, params catalog.Params) error {
	var manifest catalog.Manifest
	if err := s.forgetUnverified(ctx, r); err != nil {
		return err
	}
	err := s.step(r, ftl.Fetch, func() (err error) {
		manifest, err = s.fetch(ctx, from, r)
		return err
	})
	if err != nil {
		return fmt.Errorf("fetch %s: %w", r, err)
	}
	return s.step(r, ftl.Ready, func() error {
		return s.makeReady(ctx, r, tree.Ready{File: !manifest.Form.Tree(), Manifest: manifest.Digest, Signer: manifest.Signer.Fingerprint, Params: params})
	})
}

// forgetUnverified forgets what was here under a name before it is fetched anew.
func (s *syncing) forgetUnverified(ctx context.Context, r revision.Revision) error {
	st, err := s.ReadState()
	if err != nil {
		return err
	}
	if _, apart := st.Unverified[r]; !apart {
		return nil
	}
	return s.update(ctx, s.host.lockWait(), func(st *tree.State) { delete(st.Unverified, r) })
}

// step tells of a step when it begins and when it has ended.
func (p *teller) step(r revision.Revision, step ftl.Step, do func() error) error {
	task := p.begins(r, step)
	err := do()
	task.End("", err)
	return err
}

// makeReady runs post-sync in the place where the revision will stay, since
// what it makes may hold its own path.
func (s *syncing) makeReady(ctx context.Context, r revision.Revision, how tree.Ready) error {
	p := s.pkg
	p.postSync.Lock() // of several revisions that are fetched at once, one at a time
	defer p.postSync.Unlock()
	st, err := p.ReadState()
	if err != nil {
		return err
	}
	run := hookRun{name: ftl.PostSync, of: r, new: r, reason: tree.ReasonSync, attempt: 1, params: how.Params}
	if last := st.Failures.Of(r, ftl.PostSync); last != nil {
		run.attempt += last.Count
	}
	if err := s.runPostSync(ctx, run, how); err != nil {
		if interrupted(err) || diskFailed(err) {
			return err
		}
		return ftl.Join(err, p.update(ctx, p.patiently(), func(st *tree.State) { st.Fail(r, ftl.PostSync, err, time.Now()) }))
	}
	// What the hook wrote has to be on disk before the mark is.
	if err := p.Files.SyncTree(p.RevisionDir(r)); err != nil {
		return err
	}
	return p.update(ctx, p.patiently(), func(st *tree.State) {
		how.Since = time.Now()
		st.Ready[r] = how
		st.Succeed(r, ftl.PostSync)
		st.Succeed(r, ftl.Fetch)
		st.Removals.NoteCame()
	})
}

func (s *syncing) runPostSync(ctx context.Context, run hookRun, how tree.Ready) error {
	if how.File { // one file has no hooks
		return nil
	}
	if err := s.runHook(ctx, run); err != nil {
		return err
	}
	if err := s.CheckTree(run.of); errors.Is(err, fs.ErrNotExist) {
		return ftl.Errorf(ftl.HookFailed, "its output: "+s.HookLog(run.of, run.name), "%s of %s has deleted the revision", run.name, run.of)
	}
	return nil
}

// patiently is how long to wait for the lock with something that took long to
// get: as long as a hook may take, so that it is not lost to a jump that is
// going on.
func (p *pkg) patiently() time.Duration { return p.host.hookTimeout() + p.host.lockWait() }
