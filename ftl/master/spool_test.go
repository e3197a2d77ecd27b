package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// The clock of the build box, and what becomes of a spool after one with the
// right time.
func TestSpoolWithAnyClock(t *testing.T) {
	right := time.Date(2028, 2, 28, 23, 59, 59, 0, time.UTC)
	for _, test := range []struct {
		name    string
		clock   time.Time
		want    string // beginning of the id; "" is a refusal
		warning string
	}{
		{"right", right, "2028022900000", ""},
		{"leap day", right.Add(time.Hour), "2028022903599", "differs from the bucket's by 1h0m0s"},
		{"a minute ahead", right.Add(time.Minute), "2028022900059", ""},
		{"an hour behind", right.Add(-time.Hour), "2028022900000", "differs from the bucket's by -1h0m0s"},
		{"a day ahead", right.Add(24 * time.Hour), "2028022986399", "differs"},
		{"over a day ahead", right.Add(24*time.Hour + time.Minute), "", ""},
		{"over a day behind", right.Add(-24*time.Hour - time.Minute), "", ""},
		{"ten years behind", right.AddDate(-10, 0, 0), "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMaster(t, at(openBucket(t), right))
			m.Now = func() time.Time { return right }
			first := spool(t, m, "tool", "the same")
			if !strings.HasPrefix(first.ID(), "2028022886399") {
				t.Fatalf("the first is %s", first)
			}

			var warnings []string
			m.Warn = func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
			m.Now = func() time.Time { return test.clock }
			r, err := m.Spool(t.Context(), writeFile(t, "tool", "the same"), SpoolOptions{})
			if test.want == "" {
				if !isKind(err, ftl.Refused) || !strings.Contains(err.Error(), "clock") {
					t.Errorf("spooled %s, %v; want a refusal that speaks of the clock", r, err)
				}
				if got := keys(t, m.Bucket, "tool."); len(got) != 2 {
					t.Errorf("the bucket has %q, want the first only", got)
				}
				return
			}
			if err != nil || !strings.HasPrefix(r.ID(), test.want) || revision.Compare(first, r) >= 0 {
				t.Errorf("got %s, %v; want %s…, after %s", r, err, test.want, first)
			}
			if all := strings.Join(warnings, "\n"); (all == "") != (test.warning == "") || !strings.Contains(all, test.warning) {
				t.Errorf("warnings %q, want %q", warnings, test.warning)
			}
		})
	}
}

// What is there counts for the order even if it is no revision any more, or was
// never finished.
func TestSpoolFollowsWhatTheBucketKnows(t *testing.T) {
	for _, key := range []string{"tool.2040010100000zz.ftl", "tool.2040010100000zz.tgz", "tool.2040010100000zz"} {
		m := newMaster(t, openBucket(t))
		if err := m.put(t.Context(), key, nil, store.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if r := spool(t, m, "tool", "x"); !strings.HasPrefix(r.ID(), "2040010100001") {
			t.Errorf("after %s comes %s", key, r)
		}
	}
	m := newMaster(t, openBucket(t))
	if err := m.put(t.Context(), "tool.rev", []byte("tool.1\ntool.2040010100000zz\n"), store.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if r := spool(t, m, "tool", "x"); !strings.HasPrefix(r.ID(), "2040010100001") {
		t.Errorf("after a marker's entry comes %s", r)
	}
}

// The 2014 original overwrote the first of two spools in one second.
func TestSpoolsInOneSecondKeepApart(t *testing.T) {
	bucket := openBucket(t)
	second := time.Now().Truncate(time.Second)
	const spools = 12
	revisions := make([]revision.Revision, spools)
	meet := meeting(spools)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range spools {
		// Three contents and two extensions, so that ids collide in each way.
		path := writeFile(t, []string{"tool.txt", "tool.page"}[i%2], fmt.Sprint(i%3))
		group.Go(func() (err error) {
			m := newMaster(t, &tap{Bucket: bucket, list: func(*store.Listing) { meet() }}) // none sees another's
			m.Now = func() time.Time { return second }
			revisions[i], err = m.Spool(ctx, path, SpoolOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}

	got := slices.SortedFunc(slices.Values(revisions), revision.Compare)
	if unique := slices.Compact(slices.Clone(got)); len(unique) != spools {
		t.Fatalf("two spools got the same name: %v", got)
	}
	for i, r := range revisions {
		manifest, err := (&catalog.Catalog{Bucket: bucket}).Manifest(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := bucket.Get(t.Context(), manifest.Archive, store.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(body)
		if err != nil || string(content) != fmt.Sprint(i%3) {
			t.Errorf("%s holds %q, %v; want %d", r, content, err, i%3)
		}
		body.Close()
	}
	if all := keys(t, bucket, "tool."); len(all) != 2*spools {
		t.Errorf("the bucket has %d objects, want an archive and a manifest each: %q", len(all), all)
	}
}

// A retried PUT whose first answer was lost meets its own object.
func TestSpoolKnowsItsOwnObjects(t *testing.T) {
	bucket := openBucket(t)
	writes := 0
	m := newMaster(t, &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		object, err := put()
		if strings.HasPrefix(key, "tool.") {
			writes++
			return store.Object{}, errors.Join(err, store.ErrPrecondition)
		}
		return object, err
	}})
	r := spool(t, m, "tool.txt", "x")
	want := []string{r.String() + ".ftl", r.String() + ".txt"}
	if got := keys(t, bucket, "tool."); writes != 2 || !slices.Equal(got, want) {
		t.Errorf("%d writes left %q; want 2 that left %q", writes, got, want)
	}
}

// The archive of somebody else has another extension, so that only at the
// manifest it turns out that the id is taken.
func TestSpoolLeavesAnIdToWhoeverFinishedFirst(t *testing.T) {
	bucket := openBucket(t)
	second := time.Now().Truncate(time.Second)
	now := func() time.Time { return second }
	var other revision.Revision
	m := newMaster(t, &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		if other.ID() == "" && strings.HasSuffix(key, ".txt") {
			faster := newMaster(t, bucket)
			faster.Now = now
			other = spool(t, faster, "tool.page", "the same")
		}
		return put()
	}})
	m.Now = now
	mine := spool(t, m, "tool.txt", "the same")
	if revision.Compare(other, mine) >= 0 {
		t.Errorf("%s is not after %s", mine, other)
	}
	want := []string{other.String() + ".ftl", other.String() + ".page", mine.String() + ".ftl", mine.String() + ".txt"}
	if got := keys(t, bucket, "tool."); !slices.Equal(got, want) {
		t.Errorf("the bucket has %q, want %q", got, want)
	}
}

// Somebody else's archive that is taken away again before it can be looked at
// still is not mine.
func TestSpoolMeetsAnArchiveThatVanishes(t *testing.T) {
	bucket := openBucket(t)
	refused := ""
	m := newMaster(t, &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		if refused == "" && strings.HasSuffix(key, ".txt") {
			refused = key
			return store.Object{}, store.ErrPrecondition
		}
		return put()
	}})
	r := spool(t, m, "tool.txt", "x")
	if r.String()+".txt" == refused || refused == "" {
		t.Errorf("%s was spooled over %q", r, refused)
	}
}

// A spool that breaks off leaves nothing that is taken for a revision.
func TestSpoolThatBreaksOffIsNoRevision(t *testing.T) {
	bucket := openBucket(t)
	broken := errors.New("broken")
	m := newMaster(t, &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		if strings.HasSuffix(key, ".ftl") {
			return store.Object{}, broken
		}
		return put()
	}})
	if _, err := m.Spool(t.Context(), writeFile(t, "tool.txt", "x"), SpoolOptions{}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the bucket", err)
	}
	if contents, err := (&catalog.Catalog{Bucket: bucket}).Contents(t.Context(), parsePackage(t, "tool")); err != nil || len(contents.Revisions) != 0 {
		t.Errorf("revisions %v, %v; want none", contents.Revisions, err)
	}
}

// The archive of a directory is gone however the spool ends.
func TestSpoolLeavesNoTemporaryFile(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dir := filepath.Join(t.TempDir(), "site")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Looked at while the upload is going on, which may be where it is killed.
	m := newMaster(t, &tap{Bucket: openBucket(t), put: func(_ string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		if entries, err := os.ReadDir(temp); err != nil || len(entries) > 0 {
			t.Errorf("there is %v, %v", entries, err)
		}
		return put()
	}})
	if _, err := m.Spool(t.Context(), dir, SpoolOptions{}); err != nil {
		t.Fatal(err)
	}
}

// An interrupted spool ends, and says that it was interrupted.
func TestSpoolEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := newMaster(t, openBucket(t))
	if r, err := m.Spool(ctx, writeFile(t, "tool", "x"), SpoolOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("spooled %s, %v; want %v", r, err, context.Canceled)
	}
}
