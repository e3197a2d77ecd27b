package host

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Result is what a sync of one package came to.
type Result struct {
	Package revision.Package
	Current revision.Revision // that "current" points to afterwards; zero where there is none
	Ended   time.Time
	Took    time.Duration // without the splay
	Bytes   int64         // that the bucket delivered: archives, manifests and the marker
	Err     error
}

// syncMeasured is sync, and tells what it came to, unless it left the work to
// another sync that was at it already.
func (p *pkg) syncMeasured(ctx context.Context, open func() (store.Bucket, error), opts SyncOptions) error {
	var delivered atomic.Int64
	began := time.Now()
	err := p.sync(ctx, func() (store.Bucket, error) {
		bucket, err := open()
		return countingBucket{bucket, &delivered}, err
	}, opts)
	if opts.Done == nil || p.stoodBack {
		return err
	}
	result := Result{Package: p.name, Ended: time.Now(), Took: time.Since(began), Bytes: delivered.Load(), Err: err}
	if links, err := p.links(); err == nil { // the sync has met what is wrong with them
		result.Current = links.current
	}
	opts.Done(result)
	return err
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
	return countingBody{body, b.delivered}, object, nil
}

type countingBody struct {
	io.ReadCloser
	delivered *atomic.Int64
}

func (b countingBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	b.delivered.Add(int64(n))
	return n, err
}
