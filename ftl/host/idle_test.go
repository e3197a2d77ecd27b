package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// counted is a bucket that counts requests, and may deny to write what is the fleet's.
type counted struct {
	store.Bucket
	reads, lists, writes atomic.Int64
	denied, unlisted     atomic.Bool // writes, and listings of votes
	unanswered           atomic.Bool // what is written to a slot is written, and the answer is lost
}

func (c *counted) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	c.reads.Add(1)
	return c.Bucket.Get(ctx, key, opts)
}

func (c *counted) List(ctx context.Context, opts store.ListOptions) (store.Listing, error) {
	c.lists.Add(1)
	if c.unlisted.Load() && strings.HasPrefix(opts.Prefix, "_ftl/votes/") {
		return store.Listing{}, &store.Error{Op: "list", Key: opts.Prefix, Err: errors.New("slow down")}
	}
	return c.Bucket.List(ctx, opts)
}

func (c *counted) Put(ctx context.Context, key string, body io.ReadSeeker, opts store.PutOptions) (store.Object, error) {
	c.writes.Add(1)
	if c.denied.Load() {
		return store.Object{}, &store.Error{Op: "put", Key: key, Err: errors.New("access denied")}
	}
	object, err := c.Bucket.Put(ctx, key, body, opts)
	if err == nil && c.unanswered.Load() && strings.HasPrefix(key, "_ftl/slots/") {
		return store.Object{}, &store.Error{Op: "put", Key: key, Err: errors.New("connection reset")}
	}
	return object, err
}

// fleetOf is a bucket with an operator, and a host.
type fleetOf struct {
	*testing.T
	dir    string // of the bucket
	bucket *counted
	master *master.Master
	host   *host.Host
}

func newFleet(t *testing.T) *fleetOf {
	t.Helper()
	dir := t.TempDir()
	bucket, err := store.Open(t.Context(), "file://"+dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fleetOf{T: t, dir: dir, bucket: &counted{Bucket: bucket}, master: &master.Master{Bucket: &catalog.Catalog{Bucket: bucket}, By: "ops@build1", Warn: t.Logf}}
	f.host = f.newHost("web-1")
	return f
}

// newHost returns a host with a tree of its own.
func (f *fleetOf) newHost(name string) *host.Host {
	return &host.Host{
		Root: f.TempDir(), Node: name, Version: "1", Command: "ftl sync", User: "ops", Keep: 5, Warn: f.Logf,
		Open: func(context.Context) (*catalog.Catalog, error) { return &catalog.Catalog{Bucket: f.bucket}, nil },
	}
}

func (f *fleetOf) subscribe(h *host.Host, packages ...string) {
	f.Helper()
	for _, name := range packages {
		if err := os.Mkdir(filepath.Join(h.Root, name), 0o755); err != nil {
			f.Fatal(err)
		}
	}
}

// spool spools a file for a package.
func (f *fleetOf) spool(name, content string) revision.Revision {
	f.Helper()
	path := filepath.Join(f.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		f.Fatal(err)
	}
	r, err := f.master.Spool(f.Context(), path, master.SpoolOptions{})
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func (f *fleetOf) bless(r revision.Revision) {
	f.Helper()
	if err := f.master.Jump(f.Context(), r, master.JumpOptions{}); err != nil {
		f.Fatal(err)
	}
}

func (f *fleetOf) sync(h *host.Host) {
	f.Helper()
	if err := h.Sync(f.Context(), nil, host.SyncOptions{Cron: true}); err != nil {
		f.Fatal(err)
	}
}

// requests returns how many reads and listings a sync makes.
func (f *fleetOf) requests() int64 {
	f.Helper()
	before := f.bucket.reads.Load() + f.bucket.lists.Load()
	f.sync(f.host)
	return f.bucket.reads.Load() + f.bucket.lists.Load() - before
}

func (f *fleetOf) current(h *host.Host, name string) string {
	target, err := os.Readlink(filepath.Join(h.Root, name, "current"))
	if err != nil {
		f.Fatal(err)
	}
	return filepath.Base(target)
}

func TestIdleSyncIsOneRequest(t *testing.T) {
	f := newFleet(t)
	for i := range 20 {
		name := fmt.Sprintf("tool%d", i)
		f.subscribe(f.host, name)
		f.bless(f.spool(name, "x"))
	}
	f.sync(f.host)
	f.sync(f.host) // which finds nothing to do
	for range 3 {
		if n := f.requests(); n != 1 {
			t.Errorf("an idle sync of 20 packages makes %d requests, want 1", n)
		}
	}
	f.subscribe(f.host, "more")
	if n := f.requests(); n < 3 {
		t.Errorf("after mkdir of a new package: %d requests; it was not looked at", n)
	}
	f.sync(f.host)
	if n := f.requests(); n != 1 {
		t.Errorf("after that: %d requests, want 1", n)
	}
	if err := f.host.Sync(t.Context(), nil, host.SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	f.host.Keep = 4
	if n := f.requests(); n < 20 {
		t.Errorf("after a setting has changed: %d requests", n)
	}
	next := f.spool("tool3", "y")
	if n := f.requests(); n < 20 {
		t.Errorf("after a spool: %d requests", n)
	}
	f.bless(next)
	f.sync(f.host)
	if got := f.current(f.host, "tool3"); got != next.ID() {
		t.Errorf("tool3 runs %s, want %s", got, next.ID())
	}
}

// A bucket of an older ftl has no epoch: all goes on as it did.
func TestSyncWithoutAnEpoch(t *testing.T) {
	f := newFleet(t)
	f.subscribe(f.host, "tool")
	r := f.spool("tool", "x")
	f.bless(r)
	if err := f.bucket.Delete(t.Context(), catalog.EpochKey); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if n := f.requests(); n < 3 {
			t.Errorf("%d requests, want those that look at the package", n)
		}
	}
	if got := f.current(f.host, "tool"); got != r.ID() {
		t.Errorf("it runs %s, want %s", got, r.ID())
	}
}

// Blessings race against syncs. After the last one, one more sync has it.
func TestNoBlessingIsMissed(t *testing.T) {
	f := newFleet(t)
	f.subscribe(f.host, "tool")
	revisions := []revision.Revision{f.spool("tool", "a"), f.spool("tool", "b")}
	for round := range 15 {
		var blessing sync.WaitGroup
		last := revisions[round%2]
		blessing.Go(func() {
			f.bless(revisions[(round+1)%2])
			f.bless(last)
		})
		for range 3 {
			f.sync(f.host)
		}
		blessing.Wait()
		f.sync(f.host)
		if got := f.current(f.host, "tool"); got != last.ID() {
			t.Fatalf("round %d: it runs %s, want %s", round, got, last.ID())
		}
	}
}

func (f *fleetOf) report(name string) (catalog.Report, bool) {
	f.Helper()
	report, _, err := f.master.Bucket.Report(f.Context(), catalog.NodeOf(name))
	return report, err == nil
}

func TestReports(t *testing.T) {
	f := newFleet(t)
	f.subscribe(f.host, "tool")
	f.host.Membership = host.Membership{Labels: map[string]string{"zone": "a"}, Canary: "always"}
	r := f.spool("tool", "x")
	f.bless(r)
	f.sync(f.host)
	report, ok := f.report("web-1")
	if !ok || report.Host != "web-1" || report.Labels["zone"] != "a" || report.Canary != "always" || report.Machine == "" || len(report.Packages) != 1 {
		t.Fatalf("got %+v, %v", report, ok)
	}
	p := report.Packages[0]
	if p.Condition != ftl.OK || p.Current != r || p.Serial == 0 || p.Jump == nil || p.Jump.To != r || p.Jump.State != ftl.Success || len(p.Steps) == 0 {
		t.Errorf("got %+v", p)
	}
	if err := f.host.Hold(t.Context(), r.Package(), "wait"); err != nil {
		t.Fatal(err)
	}
	f.sync(f.host)
	if report, _ := f.report("web-1"); report.Packages[0].HeldReason != "wait" {
		t.Errorf("after a change by hand: got %+v", report.Packages[0])
	}
	silent := f.newHost("quiet")
	silent.Membership.Heartbeat = -1
	f.subscribe(silent, "tool")
	f.sync(silent)
	if _, ok := f.report("quiet"); ok {
		t.Error("a host that does not want to has reported")
	}
}

// A host that may not write goes on, and tries again later.
func TestReportThatIsDenied(t *testing.T) {
	f := newFleet(t)
	f.subscribe(f.host, "tool")
	r := f.spool("tool", "x")
	f.bless(r)
	f.bucket.denied.Store(true)
	f.sync(f.host)
	if got := f.current(f.host, "tool"); got != r.ID() {
		t.Errorf("it runs %s, want %s", got, r.ID())
	}
	f.sync(f.host)
	if n := f.requests(); n != 1 {
		t.Errorf("an idle sync makes %d requests, want 1", n)
	}
	f.bucket.denied.Store(false)
	f.sync(f.host)
	if _, ok := f.report("web-1"); ok {
		t.Error("it is tried again at once")
	}
	statuses, err := f.host.Status(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	said := slices.ContainsFunc(statuses[0].Decisions, func(d ftl.Decision) bool {
		return d.About == "report" && d.Condition == ftl.OK && strings.Contains(d.Message, "access denied")
	})
	if !said {
		t.Errorf("why says nothing of it: %+v", statuses[0].Decisions)
	}
}

// Nothing that a hook prints leaves the host beyond what was allowed.
func TestReportsOfHooks(t *testing.T) {
	for _, row := range []struct {
		detail          host.Detail
		contains, lacks string
	}{
		{host.DetailNone, "", "the last line"},
		{host.DetailLine, "the last line", "secret before it"},
		{host.DetailFull, "secret before it", "beyond the limit"},
	} {
		t.Run(string(row.detail), func(t *testing.T) {
			f := newFleet(t)
			f.subscribe(f.host, "tool")
			f.host.Membership.Detail = row.detail
			dir := filepath.Join(t.TempDir(), "tool")
			if err := os.MkdirAll(filepath.Join(dir, "ftl"), 0o755); err != nil {
				t.Fatal(err)
			}
			script := "#!/bin/sh\necho beyond the limit\nhead -c 3000 /dev/zero | tr '\\0' x; echo\necho secret before it\necho the last line\nexit 1\n"
			if err := os.WriteFile(filepath.Join(dir, "ftl", "post-sync"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			r, err := f.master.Spool(t.Context(), dir, master.SpoolOptions{})
			if err != nil {
				t.Fatal(err)
			}
			f.bless(r)
			if err := f.host.Sync(t.Context(), nil, host.SyncOptions{}); err == nil {
				t.Fatal("the sync did not fail")
			}
			body, _, err := f.bucket.Get(t.Context(), catalog.ReportKey(catalog.NodeOf("web-1")), store.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			text, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(text, []byte(row.contains)) || bytes.Contains(text, []byte(row.lacks)) {
				t.Errorf("want %q and not %q in %s", row.contains, row.lacks, text)
			}
		})
	}
}

// The time between two syncs is measured, as cron does not tell.
func TestReportSaysHowOften(t *testing.T) {
	f := newFleet(t)
	f.subscribe(f.host, "tool")
	f.host.Membership.Heartbeat = time.Nanosecond
	f.sync(f.host)
	time.Sleep(1100 * time.Millisecond) // what is measured has a resolution of a second
	f.sync(f.host)
	if report, _ := f.report("web-1"); time.Duration(report.Every) < time.Second || time.Duration(report.Every) > time.Minute {
		t.Errorf("every %v", time.Duration(report.Every))
	}
}
