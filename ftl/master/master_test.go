package master

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// openBucket returns a new bucket in a directory.
func openBucket(t *testing.T) store.Bucket {
	t.Helper()
	bucket, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

func newMaster(t *testing.T, bucket store.Bucket) *Master {
	return &Master{Bucket: &catalog.Catalog{Bucket: bucket}, By: "ops@build1", Warn: t.Logf}
}

// tap is a bucket whose answers a test may change.
type tap struct {
	store.Bucket
	put    func(key string, opts store.PutOptions, put func() (store.Object, error)) (store.Object, error)
	delete func(key string, remove func() error) error
	list   func(*store.Listing)
	stat   func(*store.Object)
}

func (b *tap) Put(ctx context.Context, key string, body io.ReadSeeker, opts store.PutOptions) (store.Object, error) {
	put := func() (store.Object, error) { return b.Bucket.Put(ctx, key, body, opts) }
	if b.put == nil {
		return put()
	}
	return b.put(key, opts, put)
}

func (b *tap) Delete(ctx context.Context, key string) error {
	remove := func() error { return b.Bucket.Delete(ctx, key) }
	if b.delete == nil {
		return remove()
	}
	return b.delete(key, remove)
}

func (b *tap) List(ctx context.Context, opts store.ListOptions) (store.Listing, error) {
	listing, err := b.Bucket.List(ctx, opts)
	if b.list != nil {
		b.list(&listing)
	}
	return listing, err
}

func (b *tap) Stat(ctx context.Context, key string) (store.Object, error) {
	object, err := b.Bucket.Stat(ctx, key)
	if b.stat != nil {
		b.stat(&object)
	}
	return object, err
}

// at makes the bucket's clock show another time; the zero time is none.
func at(bucket store.Bucket, now time.Time) store.Bucket {
	return &tap{Bucket: bucket, list: func(l *store.Listing) { l.Date = now }, stat: func(o *store.Object) { o.Date = now }}
}

func parsePackage(t *testing.T, name string) revision.Package {
	t.Helper()
	pkg, err := revision.ParsePackage(name)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

func parse(t *testing.T, name string) revision.Revision {
	t.Helper()
	r, err := revision.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// spool spools a file of this name and content.
func spool(t *testing.T, m *Master, name, content string) revision.Revision {
	t.Helper()
	r, err := m.Spool(t.Context(), writeFile(t, name, content), SpoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func keys(t *testing.T, bucket store.Bucket, prefix string) []string {
	t.Helper()
	listing, err := bucket.List(t.Context(), store.ListOptions{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, object := range listing.Objects {
		keys = append(keys, object.Key)
	}
	return keys
}

func readMarker(t *testing.T, bucket store.Bucket, name string) catalog.Marker {
	t.Helper()
	marker, err := (&catalog.Catalog{Bucket: bucket}).Marker(t.Context(), parsePackage(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return marker
}

// isKind reports whether an error is a failure of this kind.
func isKind(err error, kind ftl.Kind) bool {
	failure, ok := errors.AsType[*ftl.Error](err)
	return ok && failure.Kind == kind
}

// unreadable is a bucket that answers every Get with an error.
type unreadable struct {
	store.Bucket
	err error
}

func (b unreadable) Get(context.Context, string, store.GetOptions) (io.ReadCloser, store.Object, error) {
	return nil, store.Object{}, b.err
}

// unconditional is a bucket that ignores the conditions of a write.
type unconditional struct{ store.Bucket }

func (b unconditional) Put(ctx context.Context, key string, body io.ReadSeeker, opts store.PutOptions) (store.Object, error) {
	opts.IfAbsent, opts.IfMatch = false, ""
	return b.Bucket.Put(ctx, key, body, opts)
}
