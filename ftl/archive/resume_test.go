package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// tap is a bucket that counts what is read of archives, and ends that after so many bytes.
type tap struct {
	store.Bucket
	read  atomic.Int64
	after int64 // 0: never
	end   func() error
}

func (t *tap) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	body, object, err := t.Bucket.Get(ctx, key, opts)
	if err != nil || strings.HasSuffix(key, ".ftl") || strings.HasSuffix(key, ".rev") {
		return body, object, err
	}
	return struct {
		io.Reader
		io.Closer
	}{readerFunc(func(b []byte) (int, error) {
		n, err := body.Read(b[:min(len(b), 16<<10)])
		if now := t.read.Add(int64(n)); err == nil && t.after > 0 && now > t.after {
			if err := t.end(); err != nil {
				return 0, err
			}
		}
		return n, err
	}), body}, object, err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

var errCut = errors.New("the connection was cut")

// A fetch that has ended early goes on where it was, whatever ended it.
func TestInterruptedFetchGoesOn(t *testing.T) {
	random := make([]byte, 40<<20)
	rand.NewChaCha8([32]byte{1}).Read(random)
	bucket, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	spooled := map[string]int64{}
	spool := func(name string, asIs bool, make func(dir string) error) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), name)
		if err := errors.Join(os.Mkdir(dir, 0o755), make(dir)); err != nil {
			t.Fatal(err)
		}
		path := dir
		if asIs {
			path += ".tar"
			if out, err := exec.Command("tar", "-cf", path, "-C", dir, ".").CombinedOutput(); err != nil {
				t.Fatalf("tar: %v: %s", err, out)
			}
		}
		m := &master.Master{Bucket: &catalog.Catalog{Bucket: bucket}}
		r, err := m.Spool(t.Context(), path, master.SpoolOptions{AsIs: asIs})
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := m.Bucket.Manifest(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		spooled[name] = manifest.Size
	}
	many := func(dir string) error {
		for i := range 400 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), random[i*100_000:][:100_000], 0o644); err != nil {
				return err
			}
		}
		return nil
	}
	spool("many", false, many)
	spool("one", false, func(dir string) error { return os.WriteFile(filepath.Join(dir, "program"), random, 0o755) })
	spool("whole", true, many)

	for name, size := range spooled {
		for _, how := range []string{"cut", "interrupted", "disk full"} {
			t.Run(name+", "+how, func(t *testing.T) {
				root := t.TempDir()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				b := &tap{Bucket: bucket, after: size * 3 / 5}
				switch how {
				case "cut":
					b.end = func() error { return errCut }
				case "interrupted":
					b.end = func() error { cancel(errCut); return context.Cause(ctx) }
				case "disk full":
					b.end = fillDisk(t, root)
				}
				if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
					t.Fatal(err)
				}
				syncNow := func(ctx context.Context) error {
					h := &host.Host{
						Root: root, Keep: 5, Command: "ftl sync", Warn: t.Logf,
						Open: func(context.Context) (*catalog.Catalog, error) { return &catalog.Catalog{Bucket: b}, nil },
					}
					pkg, err := revision.ParsePackage(name)
					if err != nil {
						return err
					}
					return h.Sync(ctx, []revision.Package{pkg}, host.SyncOptions{})
				}
				if err := syncNow(ctx); err == nil {
					t.Fatal("it was not stopped")
				}
				if how == "disk full" {
					if err := os.Remove(filepath.Join(root, "filler")); err != nil {
						t.Fatal(err)
					}
				}
				b.after = 0
				if err := syncNow(t.Context()); err != nil {
					t.Fatal(err)
				}
				twice := b.read.Load() - size
				if most := size/50 + 8<<20; twice > most {
					t.Errorf("%d of %d bytes were fetched twice, want at most %d", twice, size, most)
				}
				t.Logf("%d of %d bytes were fetched twice", twice, size)
				got, err := filepath.Glob(filepath.Join(root, name, "revs", "*", "*"))
				if err != nil || len(got) == 0 {
					t.Fatalf("got %v, %v", got, err)
				}
				if stage, err := os.ReadDir(filepath.Join(root, name, "revs", ".stage")); err != nil || len(stage) > 0 {
					t.Errorf("left in the stage: %v, %v", stage, err)
				}
				for _, path := range got {
					content, err := os.ReadFile(path)
					want := random
					if i, err := strconv.Atoi(filepath.Base(path)); err == nil {
						want = random[i*100_000:][:100_000]
					}
					if err != nil || !bytes.Equal(content, want) {
						t.Errorf("%s: %d bytes, %v", path, len(content), err)
					}
				}
			})
		}
	}
}

// fillDisk makes root a file system of its own, and returns what fills it.
func fillDisk(t *testing.T, root string) func() error {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: a file system of its own takes root")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", root).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: mount: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", root).Run() })
	return sync.OnceValue(func() error {
		f, err := os.Create(filepath.Join(root, "filler"))
		if err != nil {
			return err
		}
		defer f.Close()
		block := make([]byte, 1<<20)
		for err == nil {
			_, err = f.Write(block)
		}
		return nil
	})
}

// What is of no use any more goes: of another revision, after a week, and when its revision is
// there.
func TestStagedTreesGo(t *testing.T) {
	w := newWay(t)
	m := &master.Master{Bucket: &catalog.Catalog{Bucket: w.bucket}}
	spool := func(content string) revision.Revision {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "tool")
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
		r, err := m.Spool(t.Context(), dir, master.SpoolOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ready := spool("ready")
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	stage := filepath.Join(w.root, "tool", "revs", ".stage")
	begin := func(id string, age time.Duration, suffix string) {
		t.Helper()
		name := fmt.Sprintf("%s.%s.%d%s", id, strings.Repeat("A", 26), time.Now().Add(-age).Unix(), suffix)
		if err := os.MkdirAll(filepath.Join(stage, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (names []string) {
		entries, err := os.ReadDir(stage)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			id, _, _ := strings.Cut(e.Name(), ".")
			names = append(names, id)
		}
		return names
	}
	const day = 24 * time.Hour
	begin("2026010100000xx", day, "")
	begin("2026010100001xx", 8*day, "")
	begin("2026010100002xx", -day, "")
	begin("2026010100003xx", day, ".old")
	begin(ready.ID(), day, "")
	if err := os.Mkdir(filepath.Join(stage, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	if got := left(); len(got) != 1 || got[0] != "2026010100000xx" {
		t.Errorf("got %v, want that of a day ago", got)
	}
	spool("another one")
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	if got := left(); len(got) > 0 {
		t.Errorf("got %v after another revision was fetched", got)
	}
}
