package master

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Of those who bless at the same instant exactly one wins; the others are told
// who. The serials of all rounds rise.
func TestBlessRace(t *testing.T) {
	bucket := openBucket(t)
	const rounds, people = 40, 3
	var revisions []revision.Revision
	for i := range people {
		revisions = append(revisions, spool(t, newMaster(t, bucket), "tool", fmt.Sprint(i)))
	}
	last := int64(0)
	for round := range rounds {
		errs := make([]error, people)
		meet := meeting(people)
		var done sync.WaitGroup
		for i := range people {
			m := newMaster(t, &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
				if strings.HasSuffix(key, ".rev") {
					meet() // all have read the marker now
				}
				return put()
			}})
			m.By = fmt.Sprintf("user%d@box", i)
			done.Go(func() { errs[i] = m.Jump(t.Context(), revisions[i], JumpOptions{Again: true}) })
		}
		done.Wait()

		active, _ := readMarker(t, bucket, "tool").Active()
		if active.Serial <= last {
			t.Fatalf("round %d: serial %d after %d", round, active.Serial, last)
		}
		last = active.Serial
		wins := 0
		for i, err := range errs {
			switch {
			case err == nil:
				wins++
				if active.Revision != revisions[i] {
					t.Errorf("round %d: %s won, but %s is active", round, revisions[i], active.Revision)
				}
			case !isKind(err, ftl.Refused) || !strings.Contains(err.Error(), active.Revision.String()+" was blessed by "+active.By):
				t.Errorf("round %d: the loser is told %v; want that %s blessed %s", round, err, active.By, active.Revision)
			}
		}
		if wins != 1 {
			t.Fatalf("round %d: %d won, want 1", round, wins)
		}
	}
	if entries := readMarker(t, bucket, "tool").Entries; len(entries) != rounds {
		t.Errorf("%d entries after %d rounds", len(entries), rounds)
	}
}

// meeting returns a function that returns once it was called n times.
func meeting(n int) func() {
	var group sync.WaitGroup
	group.Add(n)
	return func() {
		group.Done()
		group.Wait()
	}
}

// A retried PUT whose first answer was lost finds its own entry.
func TestBlessKnowsItsOwnEntry(t *testing.T) {
	bucket := openBucket(t)
	r := spool(t, newMaster(t, bucket), "tool", "x")
	lost := &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		object, err := put()
		if strings.HasSuffix(key, ".rev") {
			return store.Object{}, errors.Join(err, store.ErrPrecondition)
		}
		return object, err
	}}
	for want := 1; want <= 2; want++ { // the marker is made, then replaced
		if err := newMaster(t, lost).Jump(t.Context(), r, JumpOptions{Again: true}); err != nil {
			t.Errorf("the answer to its own write was lost: %v", err)
		}
		if got := len(readMarker(t, bucket, "tool").Entries); got != want {
			t.Errorf("%d entries, want %d", got, want)
		}
	}
}

// The entry of somebody who came right after is no reason to think that one's
// own was not written.
func TestBlessKnowsItsOwnEntryBelowAnother(t *testing.T) {
	bucket := openBucket(t)
	one, two := spool(t, newMaster(t, bucket), "tool", "1"), spool(t, newMaster(t, bucket), "tool", "2")
	m := newMaster(t, &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		object, err := put()
		if !strings.HasSuffix(key, ".rev") || err != nil {
			return object, err
		}
		if err := newMaster(t, bucket).Jump(t.Context(), two, JumpOptions{}); err != nil {
			t.Error(err)
		}
		return store.Object{}, store.ErrPrecondition
	}})
	if err := m.Jump(t.Context(), one, JumpOptions{}); err != nil {
		t.Errorf("its entry was written, and then one above it: %v", err)
	}
}

// Older buckets' lines don't tell who wrote them, and a deleted marker tells
// nothing at all.
func TestLoserIsToldWhatIsKnown(t *testing.T) {
	for _, test := range []struct{ marker, want string }{
		{"tool.9\n", "tool.9 was blessed"},
		{"", "deleted"},
	} {
		bucket := openBucket(t)
		r := spool(t, newMaster(t, bucket), "tool", "x")
		m := newMaster(t, &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
			if !strings.HasSuffix(key, ".rev") {
				return put()
			}
			if test.marker != "" {
				if err := newMaster(t, bucket).put(t.Context(), key, []byte(test.marker), store.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
			return store.Object{}, store.ErrPrecondition
		}})
		err := m.Jump(t.Context(), r, JumpOptions{})
		if !isKind(err, ftl.Refused) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "0001-") || strings.Contains(err.Error(), "by ") {
			t.Errorf("told %q, want %q and no more", err, test.want)
		}
	}
}

// A bucket that ignores conditions is refused before the marker is written.
func TestBlessNeedsConditions(t *testing.T) {
	bucket := openBucket(t)
	r := spool(t, newMaster(t, bucket), "tool", "x")
	m := newMaster(t, unconditional{bucket})
	if err := m.Jump(t.Context(), r, JumpOptions{}); !errors.Is(err, store.ErrNoConditions) {
		t.Errorf("got %v, want %v", err, store.ErrNoConditions)
	}
	if marker := readMarker(t, bucket, "tool"); len(marker.Entries) > 0 {
		t.Errorf("the marker was written: %v", marker.Entries)
	}
}

// A list, and whatever else only reads, does not write; a host often may not.
func TestReadsDoNotWrite(t *testing.T) {
	bucket := openBucket(t)
	m := newMaster(t, bucket)
	r := spool(t, m, "tool", "x")
	if err := m.Jump(t.Context(), r, JumpOptions{}); err != nil {
		t.Fatal(err)
	}

	reader := newMaster(t, &tap{Bucket: bucket,
		put: func(key string, _ store.PutOptions, _ func() (store.Object, error)) (store.Object, error) {
			t.Errorf("%s was written", key)
			return store.Object{}, errors.New("read only")
		},
		delete: func(key string, _ func() error) error {
			t.Errorf("%s was deleted", key)
			return errors.New("read only")
		},
	})
	revisions, marker, err := reader.Bucket.Revisions(t.Context(), r.Package())
	if active, _ := marker.Active(); err != nil || len(revisions) != 1 || active.Revision != r {
		t.Errorf("read %v, %v, %v", revisions, marker.Entries, err)
	}
	if packages, err := reader.Bucket.Packages(t.Context()); err != nil || len(packages) != 1 {
		t.Errorf("read %v, %v", packages, err)
	}
	if _, err := reader.Bucket.Manifest(t.Context(), r); err != nil {
		t.Error(err)
	}
}

// What is written can be read again, however long the names in it are.
func TestLongNamesCanBeRead(t *testing.T) {
	m := newMaster(t, openBucket(t))
	m.By = strings.Repeat("\xff", 100_000)
	r, err := m.Spool(t.Context(), writeFile(t, "tool", "x"), SpoolOptions{Note: strings.Repeat("\xff", catalog.MaxNote)})
	if err != nil {
		t.Fatal(err)
	}
	for range catalog.MaxEntries {
		if err := m.Jump(t.Context(), r, JumpOptions{Again: true, Note: strings.Repeat("\x00", catalog.MaxNote)}); err != nil {
			t.Fatal(err)
		}
	}
	readMarker(t, m.Bucket, "tool")
}
