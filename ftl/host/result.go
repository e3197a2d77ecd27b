package host

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/internal/counting"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Result is what a sync of one package came to.
type Result struct {
	Package revision.Package
	Status  ftl.Status    // of the package afterwards, by what the sync has read
	Ended   time.Time     // in whole milliseconds, rounded up
	Took    time.Duration // without the splay
	Bytes   int64         // that the bucket delivered: archives, manifests and the marker
	Err     error

	log []tree.LogLine
}

// JumpsSince counts the jumps that have ended since a time and before this sync did, as far as the
// log goes back: those that went well and those that failed, of which some were rejections.
func (r Result) JumpsSince(since time.Time) (well, failed, rejected int) {
	for _, line := range r.log {
		switch {
		case !line.Time.After(since), line.Time.After(r.Ended):
		case line.Name == ftl.Revert && line.State == ftl.Running:
			rejected++
		case line.Name == ftl.Jump && line.State == ftl.Success:
			well++
		case line.Name == ftl.Jump && line.State == ftl.Failure:
			failed++
		}
	}
	return well, failed, rejected
}

// syncMeasured is sync, and tells what it came to, unless it left the work to
// another sync that was at it already.
func (p *pkg) syncMeasured(ctx context.Context, open func() (*catalog.Catalog, error), opts SyncOptions) error {
	var delivered atomic.Int64
	began := time.Now()
	err := p.sync(ctx, func() (*catalog.Catalog, error) {
		bucket, err := open()
		if err != nil {
			return nil, err
		}
		return &catalog.Catalog{Bucket: countingBucket{bucket, &delivered}, Trust: bucket.Trust}, nil
	}, opts)
	p.noteFailure(ctx, err)
	if opts.Done == nil || p.stoodBack {
		return err
	}
	// Metrics have milliseconds, and each jump is to be counted once.
	ended := time.Now().Add(time.Millisecond - 1).Truncate(time.Millisecond)
	opts.Done(p.result(ctx, Result{Package: p.Name, Ended: ended, Took: time.Since(began), Bytes: delivered.Load(), Err: err}))
	return err
}

// result completes the result of a sync with how the package is now. What can't be read of it was
// met by the sync.
func (p *pkg) result(ctx context.Context, r Result) Result {
	f, err := p.facts(ctx, nil)
	if err != nil {
		return r
	}
	f.asked, f.distrust = true, p.distrust
	f.unfetchable = p.unfetchable
	if _, unread := errors.AsType[*store.Error](r.Err); unread {
		f.bucketErr = r.Err
	} else if p.read != nil {
		f.marker, f.revisions, f.listed = p.read.marker, p.read.contents.Revisions, true
		if p.rolling != nil && p.rolling.looked != nil && !f.state.IsDone(p.rolling.entry) {
			p.explain(&f, p.rolling.entry, p.rolling.looked)
		}
	} else {
		f.asked = false
	}
	r.Status, r.log = f.status(), f.log
	return r
}

// noteFailure writes into the log that a sync has failed, where no step has said so: why shows it.
// A tree of somebody else is left alone.
func (p *pkg) noteFailure(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	if p.Refused() != nil {
		return
	}
	for _, failure := range ftl.Split(err) {
		known, ok := errors.AsType[*ftl.Error](failure)
		_, leftover := errors.AsType[tree.LeftoverError](failure) // after all else was done
		if p.failures.Load() > 0 || leftover || ok && (known.Waiting || known.Kind == ftl.Busy) {
			continue
		}
		p.note(ftl.Event{Step: ftl.Sync, State: ftl.Failure, Message: failure.Error()}, tree.Details{Reason: tree.ReasonSync})
	}
}

// countingBucket counts the bytes that are read from a bucket.
type countingBucket struct {
	store.Bucket
	delivered *atomic.Int64
}

func (b countingBucket) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	body, object, err := b.Bucket.Get(ctx, key, opts)
	if err != nil {
		return body, object, err
	}
	return counting.ReadCloser(body, func(n int64) { b.delivered.Add(n) }), object, nil
}
