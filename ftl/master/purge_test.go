package master

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// afterDelete runs something between the deletion of the first manifest and
// what follows it.
func afterDelete(bucket store.Bucket, run func()) store.Bucket {
	ran := false
	return &tap{Bucket: bucket, delete: func(key string, remove func() error) error {
		err := remove()
		if !ran && strings.HasSuffix(key, ".ftl") {
			ran = true
			run()
		}
		return err
	}}
}

// spoolTwo spools two revisions and blesses the second one.
func spoolTwo(t *testing.T, bucket store.Bucket) (one, two revision.Revision) {
	t.Helper()
	m := newMaster(t, bucket)
	one, two = spool(t, m, "tool.txt", "1"), spool(t, m, "tool.txt", "2")
	if err := m.Jump(t.Context(), two, JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	return one, two
}

// whole fails the test unless a revision has its manifest and its archive.
func whole(t *testing.T, bucket store.Bucket, r revision.Revision) {
	t.Helper()
	if _, _, err := newMaster(t, bucket).complete(t.Context(), r); err != nil {
		t.Errorf("%s is not complete: %v", r, err)
	}
}

// The blessing read the manifest before it was deleted, and writes the marker
// before purge looks at it again.
func TestPurgeOfWhatIsBlessedMeanwhile(t *testing.T) {
	bucket := openBucket(t)
	one, _ := spoolTwo(t, bucket)
	before := readMarker(t, bucket, "tool")
	blesser := newMaster(t, bucket)
	err := newMaster(t, afterDelete(bucket, func() {
		entry := catalog.Entry{Revision: one, Op: newOp(), At: time.Now(), By: "me", Kind: catalog.KindJump}
		if err := blesser.writeMarker(t.Context(), before, &entry); err != nil {
			t.Error(err)
		}
	})).Purge(t.Context(), one, PurgeOptions{})
	if !isKind(err, ftl.Refused) || !strings.Contains(err.Error(), "active") {
		t.Errorf("Purge: %v, want a refusal, as it is active", err)
	}
	whole(t, bucket, one)
}

// spoilingLater is a bucket that changes a digit in every manifest that it gives out, but for the
// first.
type spoilingLater struct {
	store.Bucket
	reads int
}

func (b *spoilingLater) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	body, object, err := b.Bucket.Get(ctx, key, opts)
	if err != nil || !strings.HasSuffix(key, ".ftl") {
		return body, object, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if b.reads++; b.reads > 1 {
		data[bytes.IndexAny(data, "0123456789")] ^= 1
	}
	return io.NopCloser(bytes.NewReader(data)), object, err
}

// What purge puts back is what it has checked.
func TestPurgePutsBackWhatWasSpooled(t *testing.T) {
	bucket := openBucket(t)
	one, _ := spoolTwo(t, bucket)
	before, blesser := readMarker(t, bucket, "tool"), newMaster(t, bucket)
	err := newMaster(t, &spoilingLater{Bucket: afterDelete(bucket, func() {
		entry := catalog.Entry{Revision: one, Op: newOp(), At: time.Now(), By: "me", Kind: catalog.KindJump}
		if err := blesser.writeMarker(t.Context(), before, &entry); err != nil {
			t.Error(err)
		}
	})}).Purge(t.Context(), one, PurgeOptions{})
	if !isKind(err, ftl.Refused) {
		t.Errorf("Purge: %v, want a refusal, as it is active", err)
	}
	whole(t, bucket, one)
}

// The same with a whole Jump, which waits for the manifest to come back.
func TestJumpToWhatIsBeingPurged(t *testing.T) {
	bucket := openBucket(t)
	one, _ := spoolTwo(t, bucket)
	written, jumped := make(chan struct{}), make(chan error, 1)
	var purged error
	jumper := newMaster(t, &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		if !strings.HasSuffix(key, ".rev") {
			return put()
		}
		// The manifest has been read. Now it goes, and comes back.
		purged = newMaster(t, afterDelete(bucket, func() {
			if _, err := put(); err != nil {
				t.Error(err)
			}
			close(written)
		})).Purge(t.Context(), one, PurgeOptions{})
		<-written
		return store.Object{}, store.ErrPrecondition // as its answer was lost
	}})
	go func() { jumped <- jumper.Jump(t.Context(), one, JumpOptions{}) }()
	if err := <-jumped; err != nil {
		t.Errorf("Jump: %v", err)
	}
	if !isKind(purged, ftl.Refused) {
		t.Errorf("Purge: %v, want a refusal", purged)
	}
	whole(t, bucket, one)
}

// Purge looked at the marker for the last time before the blessing was there.
// The blessing finds that out, and takes itself back.
func TestJumpToWhatWasPurged(t *testing.T) {
	shrinkPurgeInterval(t)
	for _, blessed := range []bool{true, false} {
		bucket := openBucket(t)
		one, two := spoolTwo(t, bucket)
		if !blessed {
			if err := bucket.Delete(t.Context(), "tool.rev"); err != nil {
				t.Fatal(err)
			}
		}
		m := newMaster(t, bucket)
		purged := false
		err := newMaster(t, &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
			if strings.HasSuffix(key, ".rev") && !purged {
				purged = true
				if err := m.Purge(t.Context(), one, PurgeOptions{}); err != nil {
					t.Error(err)
				}
			}
			return put()
		}}).Jump(t.Context(), one, JumpOptions{})
		if !isKind(err, ftl.Refused) || !strings.Contains(err.Error(), one.String()+" was purged at the same time") {
			t.Errorf("Jump: %v, want a refusal, as it was purged", err)
		}
		if active, _ := readMarker(t, bucket, "tool").Active(); blessed && active.Revision != two {
			t.Errorf("active is %s, want %s as before", active.Revision, two)
		}
	}
}

func shrinkPurgeInterval(t *testing.T) {
	was := purgeInterval
	purgeInterval = time.Millisecond
	t.Cleanup(func() { purgeInterval = was })
}

// Many of both at once: whatever is active at the end is complete.
func TestPurgeRacesJump(t *testing.T) {
	shrinkPurgeInterval(t)
	bucket := openBucket(t)
	for range 25 {
		one, two := spoolTwo(t, bucket)
		m := newMaster(t, bucket)
		purged := make(chan error, 1)
		go func() { purged <- m.Purge(t.Context(), one, PurgeOptions{Force: true}) }()
		jumped := m.Jump(t.Context(), one, JumpOptions{})
		err := <-purged
		active, _ := readMarker(t, bucket, "tool").Active()
		switch {
		case jumped == nil && active.Revision == one && isKind(err, ftl.Refused):
		case (isKind(jumped, ftl.NotFound) || isKind(jumped, ftl.Refused)) && active.Revision == two && err == nil:
		default:
			t.Fatalf("jump: %v; purge: %v; active is %s", jumped, err, active.Revision)
		}
		whole(t, bucket, active.Revision)
	}
}

// Whoever is interrupted in the middle leaves the revision as it was.
func TestPurgeInterrupted(t *testing.T) {
	bucket := openBucket(t)
	one, _ := spoolTwo(t, bucket)
	ctx, cancel := context.WithCancel(t.Context())
	err := newMaster(t, afterDelete(bucket, cancel)).Purge(ctx, one, PurgeOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Purge: %v, want %v", err, context.Canceled)
	}
	whole(t, bucket, one)
}

func TestCleanGoesOnWhenOthersPurgeToo(t *testing.T) {
	bucket := openBucket(t)
	m := newMaster(t, bucket)
	var all []revision.Revision
	for range 4 {
		all = append(all, spool(t, m, "tool", "x"))
	}
	err := newMaster(t, afterDelete(bucket, func() {
		if err := m.Purge(t.Context(), all[1], PurgeOptions{}); err != nil {
			t.Error(err)
		}
	})).Clean(t.Context(), parsePackage(t, "tool"), 1)
	if err != nil {
		t.Errorf("Clean: %v", err)
	}
	if got, _, err := m.Bucket.Revisions(t.Context(), all[3].Package()); err != nil || !slices.Equal(got, all[3:]) {
		t.Errorf("left are %v, %v; want %v", got, err, all[3:])
	}
}

// An archive without a manifest is left over a day after it was written, by the
// bucket's clock, if ftl has written it.
func TestCleanLeftovers(t *testing.T) {
	for _, test := range []struct {
		name    string
		age     time.Duration
		foreign bool
		gone    bool
	}{
		{"young", 23 * time.Hour, false, false},
		{"old", 25 * time.Hour, false, true},
		{"old and foreign", 1000 * time.Hour, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			bucket := openBucket(t)
			r := spool(t, newMaster(t, bucket), "tool.txt", "x")
			archive := r.String() + ".txt"
			if err := bucket.Delete(t.Context(), catalog.ManifestKey(r)); err != nil {
				t.Fatal(err)
			}
			if test.foreign {
				if err := newMaster(t, bucket).put(t.Context(), archive, []byte("x"), store.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			m := newMaster(t, at(bucket, time.Now().Add(test.age)))
			m.Now = func() time.Time { return time.Unix(0, 0) } // the clock here is of no matter
			if err := m.Clean(t.Context(), r.Package(), 0); err != nil {
				t.Fatal(err)
			}
			if left := keys(t, bucket, "tool."); (len(left) == 0) != test.gone {
				t.Errorf("left are %q, want gone: %v", left, test.gone)
			}
		})
	}
}

// While a revision is being purged its archive looks like a leftover. It is
// none: the revision was blessed, so the manifest will come back.
func TestCleanLeavesWhatIsBeingPutBack(t *testing.T) {
	bucket := openBucket(t)
	one, _ := spoolTwo(t, bucket)
	before := readMarker(t, bucket, "tool")
	err := newMaster(t, afterDelete(bucket, func() {
		m := newMaster(t, bucket)
		entry := catalog.Entry{Revision: one, Op: newOp(), At: time.Now(), By: "me", Kind: catalog.KindJump}
		if err := m.writeMarker(t.Context(), before, &entry); err != nil {
			t.Error(err)
		}
		if err := newMaster(t, at(bucket, time.Now().Add(25*time.Hour))).Clean(t.Context(), one.Package(), 5); err != nil {
			t.Error(err)
		}
	})).Purge(t.Context(), one, PurgeOptions{})
	if !isKind(err, ftl.Refused) {
		t.Errorf("Purge: %v, want a refusal", err)
	}
	whole(t, bucket, one)
}
