package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// A receiver keeps what it gets, if it is signed.
type receiver struct {
	t *testing.T
	*httptest.Server
	mu     sync.Mutex
	events []Event
	ids    []string
	status int // 0 is 204
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		r.t.Error(err)
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	id := request.Header.Get("webhook-id")
	fmt.Fprintf(mac, "%s.%s.%s", id, request.Header.Get("webhook-timestamp"), body)
	if got, want := request.Header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		r.t.Errorf("the signature is %s, want %s", got, want)
	}
	var event Event
	if err := json.Unmarshal(body, &event); err != nil || event.Text == "" || event.Data.Hosts == nil {
		r.t.Errorf("%s: %v", body, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, id)
	if r.status != 0 {
		w.WriteHeader(r.status)
		return
	}
	r.events = append(r.events, event)
	w.WriteHeader(http.StatusNoContent)
}

// got returns the types of what has come since the last call.
func (r *receiver) got() (types []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		types = append(types, string(e.Type))
	}
	slices.Sort(types)
	r.events = nil
	return types
}

func newBucket(t *testing.T) *catalog.Catalog {
	t.Helper()
	bucket, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &catalog.Catalog{Bucket: bucket}
}

func newNotifier(t *testing.T, bucket *catalog.Catalog, r *receiver) *Notifier {
	t.Helper()
	n, err := New(Config{Bucket: bucket, URL: r.URL + "/hook?token=abc", Secret: secret, Link: "https://ftl.example.org", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func tell(t *testing.T, n *Notifier, l Look) {
	t.Helper()
	if err := n.Tell(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

// rolling is a look at a rollout of two waves, with these votes.
func rolling(t *testing.T, at time.Time, serial int64, votes ...rollout.Vote) Look {
	t.Helper()
	r, err := revision.Parse("my_site.2026112145296Wq")
	if err != nil {
		t.Fatal(err)
	}
	plan := &rollout.Plan{Revision: r, Opened: start, Size: 2, Waves: []rollout.Wave{
		{To: rollout.Last / 2, Upto: 1, Need: 1, Halt: 1}, {To: rollout.Last, Upto: 2, Need: 1, Halt: 1},
	}}
	entry := catalog.Entry{Revision: r, Serial: serial, By: "ops@build1", At: start, Rollout: plan}
	return Look{Date: at, Blessings: []fleet.Blessing{{
		Package: r.Package(), Marker: catalog.Marker{Package: r.Package(), Entries: []catalog.Entry{entry}}, Count: plan.Count(votes, at),
	}}}
}

func vote(kind rollout.Kind, wave int, host string) rollout.Vote {
	return rollout.Vote{Host: host, Kind: kind, Wave: wave, At: start.Add(time.Duration(wave+1) * time.Second)}
}

func hosts(state ftl.Condition, silent bool, serial int64, names ...string) (all []fleet.Host) {
	r, _ := revision.Parse("my_site.2026112145296Wq")
	for _, name := range names {
		p := catalog.PackageReport{Status: ftl.Status{Package: r.Package(), Condition: state, Message: "check exited with 9"}, Serial: serial}
		all = append(all, fleet.Host{
			Node: catalog.NodeOf(name), Silent: silent, At: start, Report: catalog.Report{Host: name, Packages: []catalog.PackageReport{p}},
		})
	}
	return all
}

func want(t *testing.T, r *receiver, what string, types ...string) {
	t.Helper()
	if got := r.got(); !slices.Equal(got, types) {
		t.Errorf("%s: got %v, want %v", what, got, types)
	}
}

func TestRollout(t *testing.T) {
	r := newReceiver(t)
	n := newNotifier(t, newBucket(t), r)
	at := start.Add(time.Minute)
	tell(t, n, Look{Date: at})
	tell(t, n, rolling(t, at, 7))
	want(t, r, "begun", "rollout.started")
	tell(t, n, rolling(t, at, 7))
	want(t, r, "the same again")
	tell(t, n, rolling(t, at, 7, vote(rollout.Well, 0, "a"), vote(rollout.Well, 1, "b")))
	want(t, r, "done", "rollout.finished")
	tell(t, n, rolling(t, at, 8, vote(rollout.Bad, 0, "a")))
	want(t, r, "halted", "rollout.halted", "rollout.started")
}

func TestHosts(t *testing.T) {
	r := newReceiver(t)
	n := newNotifier(t, newBucket(t), r)
	l := rolling(t, start, 7)
	tell(t, n, l)
	l.Hosts = append(hosts(ftl.Rejected, false, 7, "web1"), hosts(ftl.OK, true, 7, "web2")...)
	tell(t, n, l)
	want(t, r, "one each", "host.rejected", "host.silent")
	l.Hosts = hosts(ftl.Rejected, false, 6, "web3") // by an entry that is not the newest
	tell(t, n, l)
	want(t, r, "of before")
}

func TestManyHostsAreOneEvent(t *testing.T) {
	r := newReceiver(t)
	bucket := newBucket(t)
	n := newNotifier(t, bucket, r)
	tell(t, n, Look{Date: start})
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("web%d", i))
	}
	l := Look{Date: start, Hosts: hosts(ftl.OK, true, 0, names...)}
	tell(t, n, l)
	want(t, r, "a hundred", "host.silent")
	l.Hosts = hosts(ftl.OK, true, 0, append(names, "db1")...)
	tell(t, n, l)
	want(t, r, "one more", "host.silent")
	tell(t, newNotifier(t, bucket, r), l)
	want(t, r, "after a restart")
}

// What holds when nobody has looked before is no news, nor is it for the next server.
func TestFirstLook(t *testing.T) {
	r := newReceiver(t)
	bucket := newBucket(t)
	l := rolling(t, start.Add(time.Minute), 7, vote(rollout.Bad, 0, "a"))
	l.Hosts = hosts(ftl.Rejected, true, 7, "web1")
	tell(t, newNotifier(t, bucket, r), l)
	tell(t, newNotifier(t, bucket, r), l)
	want(t, r, "at first")
	// But what happens while no server runs is.
	tell(t, newNotifier(t, bucket, r), rolling(t, start, 8))
	want(t, r, "after a restart", "rollout.started")
}

func TestTwoServersTellOnce(t *testing.T) {
	r := newReceiver(t)
	bucket := newBucket(t)
	var all []*Notifier
	for range 8 {
		n := newNotifier(t, bucket, r)
		tell(t, n, Look{Date: start})
		all = append(all, n)
	}
	l := rolling(t, start.Add(time.Minute), 7, vote(rollout.Bad, 0, "a"))
	l.Hosts = append(hosts(ftl.Rejected, false, 7, "web1", "web2"), hosts(ftl.OK, true, 7, "web3")...)
	var done sync.WaitGroup
	for _, n := range all {
		done.Go(func() {
			if err := n.Tell(t.Context(), l); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	want(t, r, "eight servers", "host.rejected", "host.rejected", "host.silent", "rollout.halted", "rollout.started")
}

func TestTriedAgain(t *testing.T) {
	r := newReceiver(t)
	n := newNotifier(t, newBucket(t), r)
	tell(t, n, Look{Date: start})
	r.status = 503
	at := start
	l := func() Look { return rolling(t, at, 7) }
	tell(t, n, l())
	tell(t, n, l())
	if len(r.ids) != 1 {
		t.Errorf("it was tried %d times at once", len(r.ids))
	}
	at = at.Add(waits[0])
	tell(t, n, l())
	if len(r.ids) != 2 || r.ids[0] != r.ids[1] {
		t.Errorf("after the wait there are the tries %v", r.ids)
	}
	r.status = 0
	at = at.Add(waits[1])
	tell(t, n, l())
	want(t, r, "when it answers", "rollout.started")
	// And it is given up in the end.
	r.status, r.ids = 500, nil
	for range 3 * len(waits) {
		at = at.Add(24 * time.Hour)
		tell(t, n, rolling(t, at, 8))
	}
	if len(r.ids) != len(waits)+1 {
		t.Errorf("it was tried %d times, want %d", len(r.ids), len(waits)+1)
	}
}

// A server that dies between its claim and the note leaves the event to another one.
func TestLease(t *testing.T) {
	r := newReceiver(t)
	bucket := newBucket(t)
	first, second := newNotifier(t, bucket, r), newNotifier(t, bucket, r)
	tell(t, first, Look{Date: start})
	tell(t, second, Look{Date: start})
	l := rolling(t, start, 7)
	if _, _, mine, err := first.claim(t.Context(), l.events()[0], start); err != nil || !mine {
		t.Fatal(mine, err)
	}
	tell(t, second, l)
	want(t, r, "while it is claimed")
	l.Date = start.Add(lease)
	tell(t, second, l)
	want(t, r, "when the lease is over", "rollout.started")
	tell(t, first, l)
	want(t, r, "to the first")
}

func TestNoRedirects(t *testing.T) {
	r := newReceiver(t)
	away := httptest.NewServer(http.RedirectHandler(r.URL, http.StatusTemporaryRedirect))
	defer away.Close()
	n, err := New(Config{Bucket: newBucket(t), URL: away.URL, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	tell(t, n, Look{Date: start})
	tell(t, n, rolling(t, start, 7))
	want(t, r, "by a redirect")
}

func TestGone(t *testing.T) {
	r := newReceiver(t)
	n := newNotifier(t, newBucket(t), r)
	tell(t, n, Look{Date: start})
	r.status = http.StatusGone
	for i := range 3 {
		tell(t, n, rolling(t, start.Add(time.Duration(i)*24*time.Hour), 7))
	}
	if len(r.ids) != 1 {
		t.Errorf("it was tried %d times", len(r.ids))
	}
}

func TestLinksAndWords(t *testing.T) {
	r := newReceiver(t)
	n := newNotifier(t, newBucket(t), r)
	tell(t, n, Look{Date: start})
	tell(t, n, rolling(t, start, 7))
	e := r.events[0]
	if e.Data.Link != "https://ftl.example.org/p/my_site/7" || !strings.Contains(e.Text, "my_site: the rollout of my_site.2026112145296Wq has started, in 2 waves") {
		t.Errorf("got %+v", e)
	}
}

func TestOldNotesAreSwept(t *testing.T) {
	r := newReceiver(t)
	bucket := newBucket(t)
	n := newNotifier(t, bucket, r)
	tell(t, n, Look{Date: start})
	tell(t, n, rolling(t, start, 7))
	n.Bucket = &catalog.Catalog{Bucket: later{bucket.Bucket}}
	tell(t, n, rolling(t, start.Add(2*time.Hour), 7)) // which still holds
	if left := count(t, bucket); left != 2 {
		t.Errorf("%d are left of what holds", left)
	}
	tell(t, n, rolling(t, start.Add(4*time.Hour), 8))
	if left := count(t, bucket); left != 2 {
		t.Errorf("%d are left, want the baseline and the newest", left)
	}
}

func count(t *testing.T, bucket *catalog.Catalog) int {
	t.Helper()
	listing, err := bucket.List(t.Context(), store.ListOptions{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return len(listing.Objects)
}

func TestConfigsThatAreRefused(t *testing.T) {
	for _, c := range []Config{
		{URL: "https://example.org"}, {Secret: secret}, {URL: "file:///etc/passwd", Secret: secret}, {URL: "https://example.org", Secret: "whsec_?"},
	} {
		if _, err := New(c); err == nil || c.URL != "" && strings.Contains(err.Error(), c.URL) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}

// later is a bucket whose clock is eight days ahead.
type later struct{ store.Bucket }

func (b later) List(ctx context.Context, opts store.ListOptions) (store.Listing, error) {
	listing, err := b.Bucket.List(ctx, opts)
	listing.Date = listing.Date.Add(8 * 24 * time.Hour)
	return listing, err
}
