package catalog

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/store"
)

// spoiling is a bucket that changes the first digit of what it gives out, so
// many times.
type spoiling struct {
	store.Bucket
	key   string // of the objects that are spoiled
	times int
}

func (b *spoiling) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	body, object, err := b.Bucket.Get(ctx, key, opts)
	if err != nil || b.times == 0 || key != b.key {
		return body, object, err
	}
	b.times--
	defer body.Close()
	data, err := io.ReadAll(body)
	data[bytes.IndexAny(data, "0123456789")] ^= 1
	return io.NopCloser(bytes.NewReader(data)), object, err
}

// One wrong digit is enough to bless another revision, or to block all later
// blessings with a serial that none of them reaches.
func TestSpoiledBytesAreNotBelieved(t *testing.T) {
	bucket := openBucket(t)
	manifest := someManifest(t)
	r := manifest.Revision
	put(t, bucket, ManifestKey(r), string(manifest.Header()))
	put(t, bucket, MarkerKey(r.Package()), r.String()+" serial=7\n")
	for key, read := range map[string]func(store.Bucket) error{
		MarkerKey(r.Package()): func(b store.Bucket) error {
			_, err := (&Catalog{Bucket: b}).Marker(t.Context(), r.Package())
			return err
		},
		ManifestKey(r): func(b store.Bucket) error {
			_, err := (&Catalog{Bucket: b}).Manifest(t.Context(), r)
			return err
		},
	} {
		if err := read(&spoiling{bucket, key, len(rereads)}); err != nil {
			t.Errorf("%s, spoiled %d times: %v", key, len(rereads), err)
		}
		if err := read(&spoiling{bucket, key, len(rereads) + 1}); !isKind(err, ftl.Refused) {
			t.Errorf("%s, spoiled each time: got %v, want a refusal", key, err)
		}
	}
}

// What was written by hand has no digest, and is read.
func TestMarkerOfAnotherHand(t *testing.T) {
	bucket := openBucket(t)
	put(t, bucket, "tool.rev", "tool.1\n")
	if _, err := (&Catalog{Bucket: undigested{bucket}}).Marker(t.Context(), parsePackage(t, "tool")); err != nil {
		t.Error(err)
	}
}

// undigested is a bucket whose objects were written by other software.
type undigested struct{ store.Bucket }

func (b undigested) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	body, object, err := b.Bucket.Get(ctx, key, opts)
	object.Metadata = nil
	return body, object, err
}
