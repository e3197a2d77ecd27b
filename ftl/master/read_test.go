package master

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
	times int
}

func (b *spoiling) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	body, object, err := b.Bucket.Get(ctx, key, opts)
	if err != nil || b.times == 0 {
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
	r := spool(t, newMaster(t, bucket), "tool.txt", "x")
	if err := newMaster(t, bucket).Jump(t.Context(), r, JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	for what, read := range map[string]func(store.Bucket) error{
		"marker": func(b store.Bucket) error {
			_, err := ReadMarker(t.Context(), b, r.Package())
			return err
		},
		"manifest": func(b store.Bucket) error {
			_, err := ReadManifest(t.Context(), b, r)
			return err
		},
	} {
		if err := read(&spoiling{bucket, 1}); err != nil {
			t.Errorf("%s, spoiled once: %v", what, err)
		}
		if err := read(&spoiling{bucket, 2}); !isKind(err, ftl.Refused) {
			t.Errorf("%s, spoiled twice: got %v, want a refusal", what, err)
		}
	}
}

// What was written by hand has no digest, and is read.
func TestMarkerOfAnotherHand(t *testing.T) {
	bucket := &tap{Bucket: openBucket(t)}
	m := newMaster(t, bucket)
	if err := m.put(t.Context(), "tool.rev", []byte("tool.1\n"), store.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMarker(t.Context(), undigested{bucket}, parsePackage(t, "tool")); err != nil {
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
