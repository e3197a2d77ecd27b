package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/rhettg/ftl/ftl"
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

// put writes an object.
func put(t *testing.T, bucket store.Bucket, key, text string) {
	t.Helper()
	opts := store.PutOptions{SHA256: sha256.Sum256([]byte(text))}
	if _, err := bucket.Put(t.Context(), key, bytes.NewReader([]byte(text)), opts); err != nil {
		t.Fatal(err)
	}
}

func parsePackage(t testing.TB, name string) revision.Package {
	t.Helper()
	pkg, err := revision.ParsePackage(name)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

func parse(t testing.TB, name string) revision.Revision {
	t.Helper()
	r, err := revision.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// isKind reports whether an error is a failure of this kind.
func isKind(err error, kind ftl.Kind) bool {
	failure, ok := errors.AsType[*ftl.Error](err)
	return ok && failure.Kind == kind
}

// countingPuts counts the writes to a bucket, and makes them fail while it is denied.
type countingPuts struct {
	store.Bucket
	puts   atomic.Int64 // several at once
	denied error
}

func (b *countingPuts) Put(ctx context.Context, key string, body io.ReadSeeker, opts store.PutOptions) (store.Object, error) {
	b.puts.Add(1)
	if b.denied != nil {
		return store.Object{}, b.denied
	}
	return b.Bucket.Put(ctx, key, body, opts)
}
