// Package storetest checks that a bucket keeps the contract of [store.Bucket].
// A new kind of bucket gets its test in three lines:
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Bucket { return open(t) })
//	}
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhettg/ftl/store"
	"golang.org/x/sync/errgroup"
)

// Run checks every promise of the contract, each on a bucket of its own: open
// returns an empty one.
func Run(t *testing.T, open func(t *testing.T) store.Bucket) {
	for name, test := range map[string]func(*testing.T, store.Bucket){
		"Lists":                  testLists,
		"ListsByPrefix":          testListsByPrefix,
		"ListsPart":              testListsPart,
		"ReadsRanges":            testReadsRanges,
		"ReadsOneObjectOnly":     testReadsOneObjectOnly,
		"ReadsUntilClosed":       testReadsUntilClosed,
		"ReadsWhatHasChanged":    testReadsWhatHasChanged,
		"RoundTrip":              testRoundTrip,
		"Absent":                 testAbsent,
		"Deletes":                testDeletes,
		"RefusesKeys":            testRefusesKeys,
		"RefusesMetadata":        testRefusesMetadata,
		"RefusesOtherBytes":      testRefusesOtherBytes,
		"CreatesOnce":            testCreatesOnce,
		"ReplacesTheOneMatched":  testReplacesTheOneMatched,
		"OneCreatorWins":         testOneCreatorWins,
		"OneReplacerWins":        testOneReplacerWins,
		"ReadersSeeWholeObjects": testReadersSeeWholeObjects,
		"Conditions":             testConditions,
		"Cancelled":              testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Put stores a body and returns what the bucket says of it.
func Put(t *testing.T, b store.Bucket, key, body string) store.Object {
	t.Helper()
	o, err := put(t.Context(), b, key, body, store.PutOptions{})
	if err != nil {
		t.Fatalf("Put %s: %v", key, err)
	}
	return o
}

// Get returns the body of an object.
func Get(t *testing.T, b store.Bucket, key string, opts store.GetOptions) (string, store.Object) {
	t.Helper()
	r, o, err := b.Get(t.Context(), key, opts)
	if err != nil {
		t.Fatalf("Get %s: %v", key, err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return string(body), o
}

func put(ctx context.Context, b store.Bucket, key, body string, opts store.PutOptions) (store.Object, error) {
	opts.SHA256 = sha256.Sum256([]byte(body))
	return b.Put(ctx, key, strings.NewReader(body), opts)
}

func list(t *testing.T, b store.Bucket, opts store.ListOptions) store.Listing {
	t.Helper()
	l, err := b.List(t.Context(), opts)
	if err != nil {
		t.Fatalf("List %+v: %v", opts, err)
	}
	return l
}

func keys(l store.Listing) []string {
	out := []string{}
	for _, o := range l.Objects {
		out = append(out, o.Key)
	}
	return out
}

func wantKeys(t *testing.T, got store.Listing, want ...string) {
	t.Helper()
	if k := keys(got); !slices.Equal(k, want) {
		t.Errorf("listing has %q, want %q", k, want)
	}
}

func wantDate(t *testing.T, date time.Time) {
	t.Helper()
	if since := time.Since(date).Abs(); since > time.Hour {
		t.Errorf("Date is %v, %v from now", date, since)
	}
}

func testReadsUntilClosed(t *testing.T, b store.Bucket) {
	Put(t, b, "k", "0123456789")
	r, _, err := b.Get(t.Context(), "k", store.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if n, err := r.Read(make([]byte, 3)); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close: %d bytes, %v, want none and fs.ErrClosed", n, err)
	}
}

// testLists grows a bucket over the sizes at which pages end.
func testLists(t *testing.T, b store.Bucket) {
	var want []string
	for _, n := range []int{0, 1, 999, 1000, 1001, 2500} {
		var g errgroup.Group
		g.SetLimit(16)
		for i := len(want); i < n; i++ {
			key := fmt.Sprintf("web.%05d.tgz", i)
			want = append(want, key)
			g.Go(func() error {
				_, err := put(t.Context(), b, key, key, store.PutOptions{})
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		l := list(t, b, store.ListOptions{Prefix: "web."})
		if got := keys(l); !slices.Equal(got, want) {
			t.Fatalf("listing has %d keys, want %d in order, each once", len(got), n)
		}
		// A good split, none, and one that makes no sense.
		for _, split := range [][]string{{"web.01400.tgz", "web.01800", "web.02200"}, nil, {"web.02000", "web.01999.tgz", "a", "web.02000", "x"}} {
			l := list(t, b, store.ListOptions{Prefix: "web.", Split: func(_, _ string) []string { return split }})
			if got := keys(l); !slices.Equal(got, want) {
				t.Fatalf("split by %q, the listing has %d keys, want %d in order, each once", split, len(got), n)
			}
			wantDate(t, l.Date)
		}
		wantDate(t, l.Date)
	}
	l := list(t, b, store.ListOptions{Prefix: "web.00042"})
	wantKeys(t, l, "web.00042.tgz")
	o, err := b.Stat(t.Context(), "web.00042.tgz")
	if err != nil {
		t.Fatal(err)
	}
	got := l.Objects[0]
	if got.ETag != o.ETag || got.Size != o.Size || got.Modified.Unix() != o.Modified.Unix() {
		t.Errorf("listing has %+v, Stat %+v", got, o)
	}
}

func testListsByPrefix(t *testing.T, b store.Bucket) {
	for _, key := range []string{"web", "web.x", "web2", "web2.x", "web.d/a", "we", "_ftl/a/b", "Web.x"} {
		Put(t, b, key, key)
	}
	for prefix, want := range map[string][]string{
		"web":      {"web", "web.d/a", "web.x", "web2", "web2.x"},
		"web.":     {"web.d/a", "web.x"},
		"web.x":    {"web.x"},
		"web2":     {"web2", "web2.x"},
		"web.d/":   {"web.d/a"},
		"web.d":    {"web.d/a"},
		"_ftl/a/b": {"_ftl/a/b"},
		"_ftl/a":   {"_ftl/a/b"},
		"_f":       {"_ftl/a/b"},
		"nothing":  nil,
		"no/thing": nil,
		"../":      nil,
		"/":        nil,
		"web/":     nil,
	} {
		wantKeys(t, list(t, b, store.ListOptions{Prefix: prefix}), want...)
	}
}

func testListsPart(t *testing.T, b store.Bucket) {
	for _, key := range []string{"a", "b-x", "b/1", "b/2/3", "b/4", "b0", "c"} {
		Put(t, b, key, key)
	}
	for _, test := range []struct {
		opts store.ListOptions
		keys []string
		more bool
	}{
		{store.ListOptions{After: "b/1"}, []string{"b/2/3", "b/4", "b0", "c"}, false},
		{store.ListOptions{After: "b/2"}, []string{"b/2/3", "b/4", "b0", "c"}, false},
		{store.ListOptions{After: "b/2/4"}, []string{"b/4", "b0", "c"}, false},
		{store.ListOptions{After: "c"}, nil, false},
		{store.ListOptions{After: "a", Prefix: "b/"}, []string{"b/1", "b/2/3", "b/4"}, false},
		{store.ListOptions{After: "z", Prefix: "b/"}, nil, false},
		{store.ListOptions{Limit: 1}, []string{"a"}, true},
		{store.ListOptions{Limit: 2, After: "a", Prefix: "b/"}, []string{"b/1", "b/2/3"}, true},
		{store.ListOptions{Limit: 3, Prefix: "b/"}, []string{"b/1", "b/2/3", "b/4"}, false},
		{store.ListOptions{Limit: 4, Prefix: "b/"}, []string{"b/1", "b/2/3", "b/4"}, false},
	} {
		l := list(t, b, test.opts)
		if !slices.Equal(keys(l), test.keys) && len(test.keys)+len(l.Objects) > 0 || l.More != test.more {
			t.Errorf("List %+v: %q, more %v; want %q, %v", test.opts, keys(l), l.More, test.keys, test.more)
		}
	}
}

func testReadsRanges(t *testing.T, b store.Bucket) {
	body := "0123456789"
	Put(t, b, "k", body)
	for _, test := range []struct {
		offset, length int64
		want           string
	}{
		{0, 0, body}, {0, 3, "012"}, {3, 0, "3456789"}, {3, 4, "3456"}, {9, 1, "9"},
		{8, 100, "89"}, {0, 100, body}, {10, 0, ""}, {10, 5, ""}, {11, 0, ""},
	} {
		got, o := Get(t, b, "k", store.GetOptions{Offset: test.offset, Length: test.length})
		if got != test.want || o.Size != int64(len(body)) {
			t.Errorf("%d bytes from %d: %q of %d, want %q of %d", test.length, test.offset, got, o.Size, test.want, len(body))
		}
	}
	if _, _, err := b.Get(t.Context(), "k", store.GetOptions{Offset: -1}); err == nil {
		t.Error("a negative offset is no error")
	}
}

func testReadsOneObjectOnly(t *testing.T, b store.Bucket) {
	old := Put(t, b, "k", "one")
	if body, _ := Get(t, b, "k", store.GetOptions{ETag: old.ETag}); body != "one" {
		t.Errorf("body is %q, want one", body)
	}
	o := Put(t, b, "k", "two")
	if o.ETag == old.ETag {
		t.Errorf("another object has the same ETag %s", o.ETag)
	}
	_, _, err := b.Get(t.Context(), "k", store.GetOptions{ETag: old.ETag, Offset: 1})
	if !errors.Is(err, store.ErrPrecondition) {
		t.Errorf("error is %v, want ErrPrecondition", err)
	}
}

func testReadsWhatHasChanged(t *testing.T, b store.Bucket) {
	old := Put(t, b, "k", "one")
	_, o, err := b.Get(t.Context(), "k", store.GetOptions{Unless: old.ETag})
	if !errors.Is(err, store.ErrUnchanged) || errors.Is(err, store.ErrPrecondition) {
		t.Errorf("error is %v, want ErrUnchanged", err)
	}
	wantDate(t, o.Date)
	now := Put(t, b, "k", "two")
	if body, o := Get(t, b, "k", store.GetOptions{Unless: old.ETag}); body != "two" || o.ETag != now.ETag {
		t.Errorf("got %q, %s; want two, %s", body, o.ETag, now.ETag)
	}
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Get(t.Context(), "k", store.GetOptions{Unless: now.ETag}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want fs.ErrNotExist", err)
	}
}

func testRoundTrip(t *testing.T, b store.Bucket) {
	big := make([]byte, 3<<20)
	mathrand.NewChaCha8([32]byte{}).Read(big)
	for key, body := range map[string]string{"empty": "", "one": "1", "a/b/c_d-e.f": "nested", "big": string(big)} {
		meta := map[string]string{"op": "k3f9", "spooled-by": `ops@build1 "x"`}
		stored, err := put(t.Context(), b, key, body, store.PutOptions{Metadata: meta})
		if err != nil {
			t.Fatalf("Put %s: %v", key, err)
		}
		stat, err := b.Stat(t.Context(), key)
		if err != nil {
			t.Fatalf("Stat %s: %v", key, err)
		}
		got, o := Get(t, b, key, store.GetOptions{})
		if got != body {
			t.Errorf("body of %s is %d bytes, want %d, or is another one", key, len(got), len(body))
		}
		meta["sha256"] = fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
		for _, o := range []store.Object{stored, stat, o} {
			if o.Key != key || o.Size != int64(len(body)) || o.ETag != stored.ETag || !maps.Equal(o.Metadata, meta) {
				t.Errorf("object is %+v, want %s of %d bytes, ETag %s, metadata %v", o, key, len(body), stored.ETag, meta)
			}
			wantDate(t, o.Date)
			wantDate(t, o.Modified)
		}
	}
}

func testAbsent(t *testing.T, b store.Bucket) {
	Put(t, b, "dir/file", "x")
	for _, key := range []string{"nothing", "no/thing", "dir", "dir/fil"} {
		_, err := b.Stat(t.Context(), key)
		_, _, getErr := b.Get(t.Context(), key, store.GetOptions{})
		for _, err := range []error{err, getErr} {
			var failure *store.Error
			if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &failure) {
				t.Errorf("error for %s is %#v, want fs.ErrNotExist and no *Error", key, err)
			}
		}
	}
	_, err := put(t.Context(), b, "nothing", "x", store.PutOptions{IfMatch: "abc"})
	if !errors.Is(err, store.ErrPrecondition) {
		t.Errorf("replacing what is not there: %v, want ErrPrecondition", err)
	}
}

func testDeletes(t *testing.T, b store.Bucket) {
	Put(t, b, "k", "x")
	Put(t, b, "k2", "x")
	for range 2 { // the second time there is nothing
		if err := b.Delete(t.Context(), "k"); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	if err := b.Delete(t.Context(), "no/thing"); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	wantKeys(t, list(t, b, store.ListOptions{Prefix: "k"}), "k2")
}

func testRefusesKeys(t *testing.T, b store.Bucket) {
	for _, key := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".a", "a/.b",
		".meta/a", "a\x00b", "a\nb", "\xff", strings.Repeat("a", 201), strings.Repeat("a/", 500) + "a"} {
		_, statErr := b.Stat(t.Context(), key)
		_, _, getErr := b.Get(t.Context(), key, store.GetOptions{})
		_, putErr := put(t.Context(), b, key, "x", store.PutOptions{})
		for _, err := range []error{statErr, getErr, putErr, b.Delete(t.Context(), key)} {
			var failure *store.Error
			if !errors.As(err, &failure) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error for %q is %v, want an *Error", key, err)
			}
		}
	}
	wantKeys(t, list(t, b, store.ListOptions{}))
}

func testRefusesMetadata(t *testing.T, b store.Bucket) {
	for name, value := range map[string]string{"": "x", "Op": "x", "o p": "x", "o_p": "x", "a": "ä", "b": "x\n", "c": " x",
		"d": strings.Repeat("x", 2048)} {
		_, err := put(t.Context(), b, "k", "x", store.PutOptions{Metadata: map[string]string{name: value}})
		if err == nil {
			t.Errorf("metadata %q: %q is no error", name, value)
		}
	}
}

func testRefusesOtherBytes(t *testing.T, b store.Bucket) {
	old := Put(t, b, "there", "old")
	for _, key := range []string{"new", "there"} {
		for _, body := range []string{"", "other"} {
			opts := store.PutOptions{SHA256: sha256.Sum256([]byte("announced"))}
			_, err := b.Put(t.Context(), key, strings.NewReader(body), opts)
			var failure *store.Error
			if !errors.As(err, &failure) {
				t.Errorf("error is %v, want an *Error", err)
			}
		}
	}
	l := list(t, b, store.ListOptions{})
	wantKeys(t, l, "there")
	if l.Objects[0].ETag != old.ETag {
		t.Error("a refused Put replaced the object")
	}
}

func testCreatesOnce(t *testing.T, b store.Bucket) {
	if _, err := put(t.Context(), b, "k", "one", store.PutOptions{IfAbsent: true}); err != nil {
		t.Fatal(err)
	}
	_, err := put(t.Context(), b, "k", "two", store.PutOptions{IfAbsent: true})
	if !errors.Is(err, store.ErrPrecondition) {
		t.Errorf("error is %v, want ErrPrecondition", err)
	}
	if body, _ := Get(t, b, "k", store.GetOptions{}); body != "one" {
		t.Errorf("body is %q, want one", body)
	}
}

func testReplacesTheOneMatched(t *testing.T, b store.Bucket) {
	one := Put(t, b, "k", "one")
	two, err := put(t.Context(), b, "k", "two", store.PutOptions{IfMatch: one.ETag, Metadata: map[string]string{"op": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = put(t.Context(), b, "k", "three", store.PutOptions{IfMatch: one.ETag})
	if !errors.Is(err, store.ErrPrecondition) {
		t.Errorf("error is %v, want ErrPrecondition", err)
	}
	body, o := Get(t, b, "k", store.GetOptions{ETag: two.ETag})
	if body != "two" || o.Metadata["op"] != "2" {
		t.Errorf("body is %q with %v, want two", body, o.Metadata)
	}
}

// race lets 20 writers go at once and returns the body of the one that won. No
// body is written twice, as S3 gives equal bytes the same ETag.
func race(t *testing.T, b store.Bucket, opts store.PutOptions) (winner string) {
	t.Helper()
	var wins atomic.Int32
	var g errgroup.Group
	for range 20 {
		g.Go(func() error {
			body := rand.Text()
			_, err := put(t.Context(), b, "k", body, opts)
			if errors.Is(err, store.ErrPrecondition) {
				return nil
			}
			if wins.Add(1) == 1 {
				winner = body
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := wins.Load(); n != 1 {
		t.Fatalf("%d of 20 writers won, want 1", n)
	}
	return winner
}

func testOneCreatorWins(t *testing.T, b store.Bucket) {
	for range 3 {
		winner := race(t, b, store.PutOptions{IfAbsent: true})
		if body, _ := Get(t, b, "k", store.GetOptions{}); body != winner {
			t.Errorf("body is %s, but %s won", body, winner)
		}
		if err := b.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
	}
}

func testOneReplacerWins(t *testing.T, b store.Bucket) {
	o := Put(t, b, "k", "start")
	for range 3 {
		winner := race(t, b, store.PutOptions{IfMatch: o.ETag})
		body, now := Get(t, b, "k", store.GetOptions{})
		if body != winner {
			t.Errorf("body is %s, but %s won", body, winner)
		}
		o = now
	}
}

// testReadersSeeWholeObjects reads while others replace: each read is all of
// one of the bodies. Whether its metadata are of the same moment is left out,
// since not every S3 server replaces both at once.
func testReadersSeeWholeObjects(t *testing.T, b store.Bucket) {
	bodies := []string{strings.Repeat("a", 70_000), strings.Repeat("b", 50_000)}
	Put(t, b, "k", bodies[0])
	var g errgroup.Group
	for i := range 10 {
		g.Go(func() error {
			_, err := put(t.Context(), b, "k", bodies[i%2], store.PutOptions{})
			return err
		})
		g.Go(func() error {
			r, _, err := b.Get(t.Context(), "k", store.GetOptions{})
			if err != nil {
				return err
			}
			body, err := io.ReadAll(r)
			if err == nil && !slices.Contains(bodies, string(body)) {
				err = fmt.Errorf("read %d bytes that are of no object", len(body))
			}
			return errors.Join(err, r.Close())
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func testConditions(t *testing.T, b store.Bucket) {
	for range 2 { // the second time the probe is there
		if err := store.CheckConditions(t.Context(), b); err != nil {
			t.Errorf("CheckConditions: %v", err)
		}
	}
	for _, b := range []ignorant{{b, true, true}, {b, true, false}, {b, false, true}} {
		if err := store.CheckConditions(t.Context(), b); !errors.Is(err, store.ErrNoConditions) {
			t.Errorf("CheckConditions of a bucket that ignores them: %v, want ErrNoConditions", err)
		}
	}
}

// ignorant ignores some conditions.
type ignorant struct {
	store.Bucket
	absent, match bool
}

func (b ignorant) Put(ctx context.Context, key string, body io.ReadSeeker, opts store.PutOptions) (store.Object, error) {
	opts.IfAbsent = opts.IfAbsent && !b.absent
	if b.match {
		opts.IfMatch = ""
	}
	return b.Bucket.Put(ctx, key, body, opts)
}

func testCancelled(t *testing.T, b store.Bucket) {
	Put(t, b, "k", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, listErr := b.List(ctx, store.ListOptions{})
	_, statErr := b.Stat(ctx, "k")
	_, _, getErr := b.Get(ctx, "k", store.GetOptions{})
	_, putErr := b.Put(ctx, "k", bytes.NewReader(nil), store.PutOptions{SHA256: sha256.Sum256(nil)})
	for _, err := range []error{listErr, statErr, getErr, putErr, b.Delete(ctx, "k")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want context.Canceled", err)
		}
	}
	if body, _ := Get(t, b, "k", store.GetOptions{}); body != "x" {
		t.Errorf("body is %q, want x", body)
	}
}
