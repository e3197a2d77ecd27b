package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// extensions are what the forms are called by.
var extensions = map[archive.Form]string{
	archive.Tar: "tar", archive.TarGzip: "tgz", archive.TarZstd: "tar.zst", archive.Gzip: "gz", archive.Zstd: "zst", archive.Raw: "txt",
}

// way is a place for one archive: a bucket in a directory, and a host beside what must stay as it
// is.
type way struct {
	testing.TB
	bucket   store.Bucket
	root     string
	unharmed func()
}

func newWay(t testing.TB) *way {
	t.Helper()
	bucket, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "stage") // what the sentinel leaves out
	if err := os.MkdirAll(filepath.Join(root, "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { archive.Open(root) })
	return &way{t, bucket, root, archive.Sentinel(t, dir)}
}

// sync fetches what is in the bucket.
func (w *way) sync() error {
	h := &host.Host{
		Root: w.root, Keep: 5, Command: "ftl sync", Warn: w.Logf,
		Open: func(context.Context) (*catalog.Catalog, error) { return &catalog.Catalog{Bucket: w.bucket}, nil },
	}
	return h.Sync(w.Context(), nil, host.SyncOptions{})
}

// wantNothing says what a refused revision has left on the host.
func (w *way) wantNothing() {
	w.Helper()
	for dir, allowed := range map[string]int{"": 2, ".stage": 0, ".trash": 0} {
		entries, err := os.ReadDir(filepath.Join(w.root, "tool", "revs", dir))
		if err != nil || len(entries) > allowed {
			w.Errorf("revs/%s has %v, %v", dir, entries, err)
		}
	}
}

// keys returns what is in the bucket for the package.
func (w *way) keys() (keys []string) {
	w.Helper()
	listing, err := w.bucket.List(w.Context(), store.ListOptions{Prefix: "tool."})
	if err != nil {
		w.Fatal(err)
	}
	for _, object := range listing.Objects {
		keys = append(keys, object.Key)
	}
	return keys
}

func (w *way) put(key string, data []byte) {
	w.Helper()
	if _, err := w.bucket.Put(w.Context(), key, bytes.NewReader(data), store.PutOptions{SHA256: sha256.Sum256(data)}); err != nil {
		w.Fatal(err)
	}
}

func isRefused(err error) bool {
	failure, ok := errors.AsType[*ftl.Error](err)
	return ok && failure.Kind == ftl.Refused
}

// TestHostileAtSpool spools each row. What is refused leaves nothing in the bucket; what is
// accepted arrives on a host as GNU tar would have unpacked it.
func TestHostileAtSpool(t *testing.T) {
	for _, asIs := range []bool{false, true} {
		for _, row := range archive.HostileRows() {
			t.Run(fmt.Sprintf("%s, as is %v", row.Name, asIs), func(t *testing.T) {
				w := newWay(t)
				path := filepath.Join(t.TempDir(), "tool."+extensions[row.Form])
				if err := os.WriteFile(path, row.Content, 0o644); err != nil {
					t.Fatal(err)
				}
				files := archive.OpenFiles(t)
				m := &master.Master{Bucket: &catalog.Catalog{Bucket: w.bucket}, By: "ops@build1", Warn: t.Logf}
				_, err := m.Spool(t.Context(), path, master.SpoolOptions{AsIs: asIs})
				if got := archive.OpenFiles(t); got != files {
					t.Errorf("%d files are open, want %d", got, files)
				}
				if row.Refused {
					if keys := w.keys(); !isRefused(err) || len(keys) > 0 {
						t.Errorf("got %v, and %q in the bucket; want a refusal, and nothing", err, keys)
					}
					w.unharmed()
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				w.arrives(row)
			})
		}
	}
}

// arrives syncs, and compares what came with what GNU tar makes of the row.
func (w *way) arrives(row archive.HostileRow) {
	w.Helper()
	if err := w.sync(); err != nil {
		w.Fatal(err)
	}
	w.unharmed()
	trees, err := filepath.Glob(filepath.Join(w.root, "tool", "revs", "[^.]*"))
	if err != nil || len(trees) != 1 {
		w.Fatalf("got the trees %q, %v", trees, err)
	}
	archive.CheckAsGNU(w, trees[0], row)
}

// manifest says that all is well with an archive, and pins an index where there is one.
func manifest(r revision.Revision, extension string, form archive.Form, packed []byte, totals archive.Totals, index []byte) []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "ftl manifest 1\npackage: %s\nid: %s\narchive: %s.%s\nform: %s\nfile: tool.%s\nmode: 0644\n",
		r.Package(), r.ID(), r, extension, form, extension)
	fmt.Fprintf(&text, "size: %d\nsha256: %x\nunpacked: %d\nentries: %d\nhooks:\nop: x\nat: 2026-11-21T12:00:00Z\nby: mallory@build1\n",
		len(packed), sha256.Sum256(packed), totals.Bytes, totals.Entries)
	if index != nil {
		fmt.Fprintf(&text, "index: %d %x\n", len(index), sha256.Sum256(index))
	}
	return append([]byte(text.String()+"\n"), index...)
}

// syncByHand puts an archive with its manifest into a bucket, as somebody would who can write to it
// but has no ftl, and syncs a host.
func (w *way) syncByHand(extension string, form archive.Form, packed []byte, totals archive.Totals, index []byte) error {
	w.Helper()
	r, err := revision.Parse("tool.2026112100000aa")
	if err != nil {
		w.Fatal(err)
	}
	w.put(r.String()+"."+extension, packed)
	w.put(r.String()+".ftl", manifest(r, extension, form, packed, totals, index))
	files := archive.OpenFiles(w)
	err = w.sync()
	if got := archive.OpenFiles(w); got != files {
		w.Errorf("%d files are open, want %d", got, files)
	}
	w.unharmed()
	return err
}

// TestHostileAtSync puts each row into the bucket with a manifest that says that it is fine: the
// host believes none of it.
func TestHostileAtSync(t *testing.T) {
	for _, row := range archive.HostileRows() {
		t.Run(row.Name, func(t *testing.T) {
			w := newWay(t)
			totals, err := archive.Scan(t.Context(), archive.Packed{Content: bytes.NewReader(row.Content), Form: row.Form}, nil)
			if err != nil {
				totals = archive.Totals{Entries: 3, Bytes: 1 << 20}
			}
			err = w.syncByHand(extensions[row.Form], row.Form, row.Content, totals, nil)
			if !row.Refused {
				w.arrives(row)
				return
			}
			if !isRefused(err) {
				t.Errorf("got %v, want a refusal", err)
			}
			w.wantNothing()
		})
	}
}

// TestSeekableGzip syncs what an older ftl has spooled of a tgz: members of gzip, and their index.
// The archive arrives as a whole.
func TestSeekableGzip(t *testing.T) {
	w := newWay(t)
	row, index, totals := archive.SeekableGzip(t)
	if err := w.syncByHand("tgz", archive.TarGzip, row.Content, totals, index); err != nil {
		t.Fatal(err)
	}
	w.arrives(row)
}

// ofTheTar are the rows, by the first word of their names, that are about what stands between or
// after the entries of a tar: an index can't say it.
var ofTheTar = []string{"20", "27", "39", "40", "43", "PAX", "dialect:"}

// TestHostileIndexAtSync writes each row into an index by hand, as far as an index can say it, and
// pins it in a manifest.
func TestHostileIndexAtSync(t *testing.T) {
	tried := 0
	for _, row := range archive.HostileRows() {
		number, _, _ := strings.Cut(row.Name, " ")
		if row.Form != archive.Tar || row.Refused && slices.Contains(ofTheTar, number) {
			continue
		}
		packed, index, totals := archive.HandMadeIndex(row.Content)
		if index == nil {
			continue
		}
		tried++
		t.Run(row.Name, func(t *testing.T) {
			w := newWay(t)
			err := w.syncByHand("tar.zst", archive.TarZstd, packed, totals, index)
			switch {
			case err == nil && row.Refused:
				t.Errorf("it was accepted")
			case err == nil && !row.Refused:
				w.arrives(row)
			case err != nil && !isRefused(err):
				t.Errorf("got %v, want a refusal", err)
			}
			if err != nil {
				w.wantNothing()
			}
		})
	}
	if tried < 50 {
		t.Errorf("only %d rows could be tried", tried)
	}
}
