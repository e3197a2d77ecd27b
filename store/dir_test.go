package store_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhettg/ftl/store"
	"github.com/rhettg/ftl/store/storetest"
)

func openDir(t *testing.T) (store.Bucket, string) {
	t.Helper()
	dir := t.TempDir()
	b, err := store.Open(t.Context(), "file://"+dir, store.Options{Warn: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return b, dir
}

func TestDirectory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Bucket {
		b, _ := openDir(t)
		return b
	})
}

func isError(t *testing.T, err error) *store.Error {
	t.Helper()
	var failure *store.Error
	if !errors.As(err, &failure) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrPrecondition) {
		t.Fatalf("error is %v, want an *Error", err)
	}
	return failure
}

func TestMissingDirectoryIsNotAnEmptyBucket(t *testing.T) {
	b, err := store.Open(t.Context(), "file://"+t.TempDir()+"/unmounted", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, listErr := b.List(t.Context(), store.ListOptions{})
	_, statErr := b.Stat(t.Context(), "k")
	for _, err := range []error{listErr, statErr, b.Delete(t.Context(), "k"), store.CheckConditions(t.Context(), b)} {
		if e := isError(t, err); !strings.Contains(e.Hint, "mkdir") {
			t.Errorf("hint is %q, want one with mkdir", e.Hint)
		}
	}
}

func TestDirectoryReadsNeedNoWritePermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("NOT TESTED: root may write everywhere; .ci/as-user tests it")
	}
	b, dir := openDir(t)
	storetest.Put(t, b, "k", "x")
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755)
	storetest.Get(t, b, "k", store.GetOptions{})
	if err := b.Delete(t.Context(), "k"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error is %v, want fs.ErrPermission", err)
	}
}

func TestDirectoryReadsWriteNothing(t *testing.T) {
	b, dir := openDir(t)
	if _, err := b.List(t.Context(), store.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stat(t.Context(), "k"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the directory has %v, %v, want nothing", entries, err)
	}
}

func TestDirectorySeesForeignFiles(t *testing.T) {
	b, dir := openDir(t)
	storetest.Put(t, b, "k", "x")
	for _, name := range []string{"k", "foreign.tgz", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("foreign"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"k", "foreign.tgz"} {
		body, o := storetest.Get(t, b, key, store.GetOptions{})
		if body != "foreign" || o.Metadata != nil {
			t.Errorf("%s is %q with %v, want foreign without metadata", key, body, o.Metadata)
		}
	}
	l, err := b.List(t.Context(), store.ListOptions{})
	if err != nil || len(l.Objects) != 2 {
		t.Errorf("listing has %v, %v, want 2 objects", l.Objects, err)
	}
}

func TestDirectoryFollowsNoLinks(t *testing.T) {
	b, dir := openDir(t)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"file": outside, "dir": filepath.Dir(outside)} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Stat(t.Context(), "file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error for a link is %v, want fs.ErrNotExist", err)
	}
	if _, err := b.Stat(t.Context(), "dir/secret"); err == nil {
		t.Error("a linked directory leads outside")
	}
	if l, err := b.List(t.Context(), store.ListOptions{}); err != nil || len(l.Objects) > 0 {
		t.Errorf("listing has %v, %v, want nothing", l.Objects, err)
	}
}

func TestDirectoryLeavesNoTemporaries(t *testing.T) {
	b, dir := openDir(t)
	storetest.Put(t, b, "k", "x")
	stale, fresh := filepath.Join(dir, ".tmp/stale"), filepath.Join(dir, ".tmp/fresh")
	for _, name := range []string{stale, fresh} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(stale, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, b, "k", "y")
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	var left []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			left = append(left, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if want := []string{".tmp/fresh", "_ftl/lock"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("files are %q, %v, want %q", left, err, want)
	}
}

func TestDirectoryListsManyFilesFast(t *testing.T) {
	b, dir := openDir(t)
	storetest.Put(t, b, "p0.tgz", "x")
	for i := range 20_000 - 1 {
		if err := os.Link(filepath.Join(dir, "p0.tgz"), filepath.Join(dir, fmt.Sprintf("p%d.tgz", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	l, err := b.List(t.Context(), store.ListOptions{Prefix: "p19."})
	if err != nil || len(l.Objects) != 1 {
		t.Errorf("listing has %v, %v, want one", l.Objects, err)
	}
	t.Logf("one of 20,000: %v", time.Since(start))
	start = time.Now()
	if l, err = b.List(t.Context(), store.ListOptions{}); err != nil || len(l.Objects) != 20_000 {
		t.Errorf("listing has %d, %v, want 20,000", len(l.Objects), err)
	}
	t.Logf("all of 20,000: %v", time.Since(start))
}

func TestDirectoryReadsMetadataOfTheSameObject(t *testing.T) {
	b, _ := openDir(t)
	storetest.Put(t, b, "k", "start")
	var wg sync.WaitGroup
	written := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				body, o := storetest.Get(t, b, "k", store.GetOptions{})
				if want := fmt.Sprintf("%x", sha256.Sum256([]byte(body))); o.Metadata["sha256"] != want {
					t.Errorf("%q has the metadata %v, want the digest %s", body, o.Metadata, want)
				}
				select {
				case <-written:
					return
				default:
				}
			}
		})
	}
	for i := range 300 {
		storetest.Put(t, b, "k", fmt.Sprint(i))
	}
	close(written)
	wg.Wait()
}
