package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

var (
	now      = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	old, new = mustParse("my_site.2026112045100Ab"), mustParse("my_site.2026112145296Wq")
)

func mustParse(name string) revision.Revision {
	r, err := revision.Parse(name)
	if err != nil {
		panic(err)
	}
	return r
}

// counted is a bucket that counts what is read from it.
type counted struct {
	store.Bucket
	gets atomic.Int64
}

func (c *counted) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	c.gets.Add(1)
	return c.Bucket.Get(ctx, key, opts)
}

func openFleet(t *testing.T) (*Fleet, *counted) {
	t.Helper()
	bucket, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Bucket: bucket}
	return &Fleet{Catalog: &catalog.Catalog{Bucket: c}}, c
}

func report(t *testing.T, f *Fleet, name, machine string) {
	t.Helper()
	r := catalog.Report{Host: name, Machine: machine, Packages: []catalog.PackageReport{{Status: ftl.Status{Package: new.Package(), Current: new}}}}
	if _, err := f.Catalog.PutReport(t.Context(), catalog.NodeOf(name), r); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, f *Fleet) []Host {
	t.Helper()
	hosts, date, err := f.Read(t.Context())
	if err != nil || date.IsZero() {
		t.Fatal(date, err)
	}
	return hosts
}

// noYouth has reports count as written for good at once.
func noYouth(t *testing.T) {
	before := youth
	youth = 0
	t.Cleanup(func() { youth = before })
}

func TestReadOnlyWhatHasChanged(t *testing.T) {
	noYouth(t)
	f, bucket := openFleet(t)
	for i := range 10 {
		report(t, f, fmt.Sprintf("web-%d", i), "m")
	}
	if hosts := read(t, f); len(hosts) != 10 || bucket.gets.Load() != 10 {
		t.Fatalf("got %d hosts by %d reads", len(hosts), bucket.gets.Load())
	}
	report(t, f, "web-3", "m")
	if hosts := read(t, f); len(hosts) != 10 || bucket.gets.Load() != 11 {
		t.Errorf("after one has changed: %d hosts by %d reads", len(hosts), bucket.gets.Load())
	}
	var saved bytes.Buffer
	if err := f.Save(&saved); err != nil {
		t.Fatal(err)
	}
	next := &Fleet{Catalog: f.Catalog}
	next.Load(&saved)
	if hosts := read(t, next); len(hosts) != 10 || hosts[3].Name() != "web-3" || bucket.gets.Load() != 11 {
		t.Errorf("after it was saved: %d hosts by %d reads", len(hosts), bucket.gets.Load())
	}
	next.Load(strings.NewReader("junk"))
	if hosts := read(t, next); len(hosts) != 10 {
		t.Errorf("after junk was loaded: %d hosts", len(hosts))
	}
	if err := f.Catalog.ForgetReport(t.Context(), catalog.NodeOf("web-3")); err != nil {
		t.Fatal(err)
	}
	if hosts := read(t, f); len(hosts) != 9 {
		t.Errorf("after one was forgotten: %d hosts", len(hosts))
	}
}

func TestReportThatMakesNoSense(t *testing.T) {
	f, bucket := openFleet(t)
	report(t, f, "web-1", "m")
	if _, err := bucket.Put(t.Context(), "_ftl/hosts/web-2", strings.NewReader("junk"), store.PutOptions{SHA256: sha256.Sum256([]byte("junk"))}); err != nil {
		t.Fatal(err)
	}
	hosts := read(t, f)
	if len(hosts) != 2 || hosts[0].Broken != "" || hosts[1].Broken == "" || hosts[1].Name() != "web-2" {
		t.Errorf("got %+v", hosts)
	}
	if o := View(hosts, nil, now); !slices.Equal(o.Broken, []string{"web-2"}) {
		t.Errorf("got %v", o.Broken)
	}
}

func TestTwins(t *testing.T) {
	f, _ := openFleet(t)
	for i, row := range []struct {
		machine string
		twin    bool
	}{{"a", false}, {"a", false}, {"b", true}, {"b", false}, {"a", true}, {"b", true}, {"a", true}} {
		report(t, f, "web-1", row.machine)
		if got := read(t, f)[0].Twin; got != row.twin {
			t.Errorf("report %d, of %s: twin %v", i+1, row.machine, got)
		}
	}
}

// host is one whose package is in a condition.
func host(name string, condition ftl.Condition, current revision.Revision, message string) Host {
	return Host{Node: catalog.NodeOf(name), At: now, Report: catalog.Report{Host: name, Packages: []catalog.PackageReport{{
		Status: ftl.Status{Package: new.Package(), Condition: condition, Current: current, Message: message},
	}}}}
}

func blessing() Blessing {
	return Blessing{Package: new.Package(), Marker: catalog.Marker{Package: new.Package(), Entries: []catalog.Entry{{Revision: new, Serial: 7, By: "ops@build1"}}}}
}

// Two hosts that saw different lines under one serial are named, whatever else they say.
func TestViewOfDividedHosts(t *testing.T) {
	var hosts []Host
	for i, row := range []struct {
		serial int64
		entry  catalog.Digest
	}{{7, catalog.Digest{1}}, {7, catalog.Digest{2}}, {7, catalog.Digest{1}}, {6, catalog.Digest{3}}, {7, catalog.Digest{}}} {
		h := host(string(rune('a'+i)), ftl.OK, new, "")
		h.Packages[0].Newest, h.Packages[0].Entry = row.serial, row.entry
		hosts = append(hosts, h)
	}
	problems := View(hosts, []Blessing{blessing()}, now).Packages[0].Problems
	if len(problems) != 1 || !slices.Equal(problems[0].Hosts, []string{"a", "b", "c"}) || !strings.Contains(problems[0].Reason, "serial 7") {
		t.Errorf("got %+v, want one problem of a, b and c", problems)
	}
	if problems := View(append(hosts[:1:1], hosts[2:]...), []Blessing{blessing()}, now).Packages[0].Problems; len(problems) > 0 {
		t.Errorf("without b: %+v", problems)
	}
}

func TestView(t *testing.T) {
	fleet := []Host{
		host("a", ftl.OK, new, ""),
		host("b", ftl.OK, new, ""),
		host("c", ftl.OK, old, ""), // has not heard of it
		host("d", ftl.Behind, old, "not fetched yet"),
		host("e", ftl.Pending, old, "delayed"),
		host("f", ftl.Failed, old, "post-sync of my_site failed (3 times, last at 2026-11-21 11:00:00Z); the next try is at 2026-11-21 12:00:00Z"),
		host("g", ftl.Failed, old, "post-sync of my_site failed (once, last at 2026-11-21 11:07:09Z); the next try is at 2026-11-21 12:30:00Z"),
		host("h", ftl.Rejected, old, "its check failed"),
		host("l", ftl.Rejected, old, "its check failed"),
		host("i", ftl.Held, old, "held by ops"),
		host("j", ftl.OK, new, ""),
		{Node: catalog.NodeOf("k"), Report: catalog.Report{Host: "k"}}, // not subscribed
	}
	fleet[8].Packages[0].Decisions = []ftl.Decision{{Output: "other"}, {First: true, Output: "begins\nthe disk is full\n"}}
	fleet[10].Silent = true
	o := View(fleet, []Blessing{blessing()}, now)
	if len(o.Packages) != 1 || o.Hosts != 12 || !slices.Equal(o.Silent, []string{"j"}) {
		t.Fatalf("got %+v", o)
	}
	p := o.Packages[0]
	if want := (Counts{Waiting: 3, Failing: 2, Held: 1, Rejected: 2, Silent: 1}); p.Hosts != 11 || p.On != 2 || p.Counts != want {
		t.Errorf("got %d of %d, %+v; want 2 of 11, %+v", p.On, p.Hosts, p.Counts, want)
	}
	if want := []Running{{old, 8}, {new, 2}}; !slices.Equal(p.Running, want) {
		t.Errorf("got %v, want %v", p.Running, want)
	}
	var problems []string
	for _, problem := range p.Problems {
		problems = append(problems, fmt.Sprintf("%s: %s (%s): %v", problem.Condition, problem.Reason, problem.Output, problem.Hosts))
	}
	if want := []string{
		"failed: post-sync of my_site failed (): [f g]", "rejected: its check failed (): [h]", "rejected: its check failed (the disk is full): [l]",
		"silent: not heard from (): [j]", "held: held by ops (): [i]",
	}; !slices.Equal(problems, want) {
		t.Errorf("got %q, want %q", problems, want)
	}
	if got, want := o.Headline(), "my_site failed on 2 hosts (f, g)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHeadline(t *testing.T) {
	ok, behind, gone := host("a", ftl.OK, new, ""), host("b", ftl.Behind, old, ""), host("c", ftl.OK, new, "")
	gone.Silent = true
	plan := &rollout.Plan{
		Revision: new, Opened: now.Add(-time.Hour), Size: 2, Verdict: 15 * time.Minute, Patience: 15 * time.Minute,
		Waves: []rollout.Wave{{To: rollout.Last, Upto: 2, Need: 2, Halt: 1, Soak: time.Minute}},
	}
	halted := blessing()
	halted.Count = plan.Count([]rollout.Vote{{Host: "b", Kind: rollout.Try, At: now.Add(-50 * time.Minute)}}, now)
	for _, row := range []struct {
		hosts    []Host
		blessing Blessing
		want     string
	}{
		{nil, blessing(), "no host has reported"},
		{[]Host{ok}, blessing(), "every host that is not held runs what is blessed"},
		{[]Host{ok, behind}, blessing(), "1 of 2 hosts run my_site.2026112145296Wq"},
		{[]Host{ok, gone}, blessing(), "not heard from 1 host (c)"},
		{[]Host{ok, behind}, halted, "the rollout of my_site.2026112145296Wq is halted: it began and was not heard from again on b"},
	} {
		if got := View(row.hosts, []Blessing{row.blessing}, now).Headline(); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}

func TestRoster(t *testing.T) {
	held, quiet, late, canary := host("held", ftl.Held, old, ""), host("quiet", ftl.OK, old, ""), host("late", ftl.OK, old, ""), host("canary", ftl.OK, old, "")
	held.Packages[0].HeldSince = ftl.At(now)
	quiet.Silent, late.Canary, canary.Canary = true, "never", "always"
	delayed := host("delayed", ftl.OK, old, "")
	delayed.Delay = catalog.Duration(time.Hour)
	members := Roster([]Host{held, quiet, late, canary, delayed, {Node: catalog.NodeOf("other")}}, new.Package())
	var got []string
	for _, m := range members {
		got = append(got, fmt.Sprintf("%s %v %v", m.Host, m.First, m.Last))
	}
	if want := []string{"late false true", "canary true false", "delayed false true"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSilent(t *testing.T) {
	h := Host{Report: catalog.Report{Heartbeat: catalog.Duration(time.Hour), Every: catalog.Duration(5 * time.Minute), Splay: catalog.Duration(time.Minute)}}
	if got, want := h.patience(), 76*time.Minute; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := (Host{}).patience(); got != DefaultHeartbeat {
		t.Errorf("a host that says nothing: got %v, want %v", got, DefaultHeartbeat)
	}
}

// staleBucket answers the first reading of each object with what was there before, as a server can
// that writes the ETag first.
type staleBucket struct {
	store.Bucket
	before map[string]string // content by key
}

func (b staleBucket) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	body, object, err := b.Bucket.Get(ctx, key, opts)
	if content, stale := b.before[key]; stale && err == nil {
		delete(b.before, key)
		object.Size, object.Metadata = int64(len(content)), nil
		return io.NopCloser(strings.NewReader(content)), object, body.Close()
	}
	return body, object, err
}

// A report that is read while it is written is read again.
func TestReadWhileWritten(t *testing.T) {
	bucket, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at, node := &catalog.Catalog{Bucket: bucket}, catalog.NodeOf("a")
	var before map[string]string
	for _, version := range []string{"old", "new"} {
		if _, err := at.PutReport(t.Context(), node, catalog.Report{Host: "a", Version: version}); err != nil {
			t.Fatal(err)
		}
		if version == "old" {
			body, _, err := bucket.Get(t.Context(), catalog.ReportKey(node), store.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(body)
			if err := errors.Join(err, body.Close()); err != nil {
				t.Fatal(err)
			}
			before = map[string]string{catalog.ReportKey(node): string(content)}
		}
	}
	at.Bucket = staleBucket{bucket, before}
	f := &Fleet{Catalog: at}
	for _, want := range []string{"old", "new"} {
		hosts, _, err := f.Read(t.Context())
		if err != nil || len(hosts) != 1 || hosts[0].Version != want {
			t.Fatalf("got %+v, %v, want the %s report", hosts, err, want)
		}
	}
}

// What was read before, and has not changed, needs no writing down either.
func TestChanged(t *testing.T) {
	bucket, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := &catalog.Catalog{Bucket: bucket}
	report := func(host string) {
		t.Helper()
		if _, err := at.PutReport(t.Context(), catalog.NodeOf(host), catalog.Report{Host: host}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(f *Fleet) bool {
		t.Helper()
		if _, _, err := f.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f.Changed()
	}
	report("a")
	report("b")
	f := &Fleet{Catalog: at}
	for range 2 { // what was read is there to be saved until that is done
		if !read(f) {
			t.Error("reports were read, and there is nothing to save")
		}
	}
	var saved bytes.Buffer
	if err := f.Save(&saved); err != nil {
		t.Fatal(err)
	}
	f = &Fleet{Catalog: at}
	f.Load(&saved)
	if read(f) {
		t.Error("nothing has changed, and there is something to save")
	}
	report("c")
	if !read(f) {
		t.Error("a host has reported, and there is nothing to save")
	}
	if err := f.Save(&saved); err != nil {
		t.Fatal(err)
	}
	if err := at.ForgetReport(t.Context(), catalog.NodeOf("a")); err != nil {
		t.Fatal(err)
	}
	if !read(f) {
		t.Error("a report is gone, and there is nothing to save")
	}
}
