package webhook

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/serve/access"
	"github.com/rhettg/ftl/store"
)

// ours is a body of ours.
func ours(fields map[string]any) []byte {
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err) // there is nothing in it that could not be
	}
	return text
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// token is one that may deploy my_site.
func (s *site) token() string {
	return s.grant(access.Request{Kind: access.Token, Label: "ops", Role: access.Deploy, Packages: []string{"my_site"}})
}

func (s *site) post(body []byte, header http.Header) (int, http.Header, string) {
	s.t.Helper()
	return post(s.t, s.server.URL+"/deployment/", body, header)
}

func TestBless(t *testing.T) {
	s := started(t, nil)
	second := s.spool(nil, nil)
	status, header, body := s.post(ours(map[string]any{"package": "my_site", "revision": second, "note": "fix login"}), bearer(s.token()))
	entry := s.active()
	if status != 202 || header.Get("Location") != fmt.Sprintf("/p/my_site/%d", entry.Serial) {
		t.Errorf("got %d %v %s", status, header, body)
	}
	if entry.Revision != second || entry.Note != "fix login" || entry.By != "serve:ops" {
		t.Errorf("the marker has %v", entry)
	}
	// The same again is nothing to do. The revision may be told by its id alone.
	status, _, body = s.post(ours(map[string]any{"package": "my_site", "revision": second.ID()}), bearer(s.token2()))
	if status != 200 || s.active().Serial != entry.Serial || !strings.Contains(body, `"already":true`) {
		t.Errorf("again: got %d %s", status, body)
	}
}

func (s *site) token2() string {
	return s.grant(access.Request{Kind: access.Token, Label: "ops2", Role: access.Admin})
}

func TestWavesOfARequest(t *testing.T) {
	s := started(t, nil)
	second := s.spool(nil, nil)
	status, _, body := s.post(ours(map[string]any{"package": "my_site", "revision": second, "waves": "1"}), bearer(s.token()))
	if entry := s.active(); status != 202 || entry.Rollout == nil || len(entry.Rollout.Waves) != 2 {
		t.Errorf("got %d %s; %v", status, body, entry)
	}
}

func TestWait(t *testing.T) {
	s := started(t, nil)
	token := s.token()
	url := s.server.URL + "/deployment/?wait=30"
	second := s.spool(nil, map[string]string{"check": "exit 0"})
	var status int
	var body string
	s.during(func() {
		status, _, body = post(t, url, ours(map[string]any{"package": "my_site", "revision": second}), bearer(token))
	})
	if status != 200 || !strings.Contains(body, `"deployed":true`) || !strings.Contains(body, "web1: check: success") {
		t.Errorf("got %d %s", status, body)
	}
	bad := s.spool(nil, map[string]string{"check": "exit 9"})
	s.during(func() {
		status, _, body = post(t, url, ours(map[string]any{"package": "my_site", "revision": bad}), bearer(token))
	})
	if status != 502 || !strings.Contains(body, `"title":"Bad Gateway"`) || !strings.Contains(body, "was rolled back on web1, web2") {
		t.Errorf("one that fails: got %d %s", status, body)
	}
	for _, wait := range []string{"0", "-1", "x", "3601"} {
		if status, _, _ := post(t, s.server.URL+"/deployment/?wait="+wait, ours(map[string]any{"package": "my_site", "revision": bad}), bearer(token)); status != 422 {
			t.Errorf("wait=%s: got %d", wait, status)
		}
	}
}

func TestStream(t *testing.T) {
	s := started(t, nil)
	header := bearer(s.token())
	header.Set("Accept", "application/x-ndjson")
	second := s.spool(nil, nil)
	var body string
	s.during(func() {
		_, header, body = post(t, s.server.URL+"/deployment/?wait=30", ours(map[string]any{"package": "my_site", "revision": second}), header)
	})
	if media := header.Get("Content-Type"); media != "application/x-ndjson" {
		t.Errorf("it is %s", media)
	}
	lines := strings.Split(strings.TrimSpace(body), "\n")
	for i, line := range lines {
		var value map[string]any
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		_, log := value["log"]
		if last := i == len(lines)-1; log == last || last && (value["status"] != 200.0 || value["deployed"] != true) {
			t.Errorf("line %d of %d is %s", i+1, len(lines), line)
		}
	}
}

func TestStandardWebhooks(t *testing.T) {
	s := started(t, nil)
	second := s.spool(nil, nil)
	body := ours(map[string]any{"package": "my_site", "revision": second})
	now := time.Now()
	wrong := map[string]http.Header{
		"too old":          standard(s.secret, "a", now.Add(-6*time.Minute), body),
		"of the future":    standard(s.secret, "a", now.Add(6*time.Minute), body),
		"of another body":  standard(s.secret, "a", now, append(body, ' ')),
		"no id":            standard(s.secret, "", now, body),
		"an id with a dot": standard(s.secret, "a.b", now, body),
		"two ids":          standard(s.secret, "a", now, body),
		"another version":  standard(s.secret, "a", now, body),
		"a token too":      standard(s.secret, "a", now, body),
		"another time":     standard(s.secret, "a", now, body),
	}
	wrong["two ids"].Add("Webhook-Id", "b")
	wrong["another version"].Set("Webhook-Signature", "v2"+wrong["another version"].Get("Webhook-Signature")[2:])
	wrong["a token too"].Set("Authorization", "Bearer "+s.token())
	wrong["another time"].Set("Webhook-Timestamp", fmt.Sprint(now.Unix()+1))
	for name, header := range wrong {
		s.hook.failures = access.NewLimiter(access.FailuresPerMinute, nil)
		if status, _, text := s.post(body, header); status != 401 {
			t.Errorf("%s: got %d %s", name, status, text)
		}
	}
	if s.entries() != 1 {
		t.Fatal("something was blessed")
	}
	// One of several signatures is enough: while a secret is replaced, a sender sends both.
	header := standard(s.secret, "id-1", now, body)
	header.Set("Webhook-Signature", "v1,AAAA v1a,xyz "+header.Get("Webhook-Signature"))
	status, _, first := s.post(body, header)
	if status != 202 || s.active().Revision != second {
		t.Errorf("got %d %s", status, first)
	}
	// The same id again: what was answered first, and nothing else.
	status, _, again := s.post(body, standard(s.secret, "id-1", now.Add(time.Second), body))
	if status != 409 || !strings.Contains(again, "already done at") || !strings.Contains(again, `"first":{"package":"my_site"`) {
		t.Errorf("again: got %d %s", status, again)
	}
	other := ours(map[string]any{"package": "my_site", "revision": second, "note": "x"})
	if status, _, text := s.post(other, standard(s.secret, "id-1", now, other)); status != 409 || !strings.Contains(text, "another request had the same id") {
		t.Errorf("another body: got %d %s", status, text)
	}
}

// A sender's second secret counts as the first one does, until one is revoked.
func TestTwoSecrets(t *testing.T) {
	s := started(t, nil)
	first := s.active().Revision
	second := s.grant(access.Request{Kind: access.Webhook, Label: "ci", Role: access.Deploy, Packages: []string{"my_site"}})
	body := ours(map[string]any{"package": "my_site", "revision": first})
	for i, secret := range []string{s.secret, second} {
		if status, _, text := s.post(body, standard(secret, fmt.Sprint(i), time.Now(), body)); status != 200 {
			t.Errorf("secret %d: got %d %s", i+1, status, text)
		}
	}
	grants, err := s.file.Grants()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.file.Revoke(t.Context(), grants[len(grants)-1].ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	good := 0
	for i, secret := range []string{s.secret, second} {
		if status, _, _ := s.post(body, standard(secret, fmt.Sprint("again", i), time.Now(), body)); status == 200 {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d secrets are good after one was revoked", good)
	}
}

func TestHubSignatureOfOurs(t *testing.T) {
	s := started(t, nil)
	second, third := s.spool(nil, nil), s.spool(nil, map[string]string{"check": "exit 0"})
	send := func(fields map[string]any) (int, string) {
		body := ours(fields)
		status, _, text := s.post(body, http.Header{"X-Hub-Signature-256": {s.client().sign(body)}})
		return status, text
	}
	now := time.Now().UTC().Format(time.RFC3339)
	if status, text := send(map[string]any{"package": "my_site", "revision": second}); status != 422 || !strings.Contains(text, "at or expect") {
		t.Errorf("without a time: got %d %s", status, text)
	}
	old := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	if status, text := send(map[string]any{"package": "my_site", "revision": second, "at": old}); status != 409 {
		t.Errorf("an hour ago: got %d %s", status, text)
	}
	serial := s.active().Serial
	if status, text := send(map[string]any{"package": "my_site", "revision": second, "expect": serial + 1}); status != 409 {
		t.Errorf("another serial: got %d %s", status, text)
	}
	if status, text := send(map[string]any{"package": "my_site", "revision": second, "expect": serial}); status != 202 {
		t.Errorf("the serial: got %d %s", status, text)
	}
	if status, text := send(map[string]any{"package": "my_site", "revision": second, "expect": serial}); status != 409 {
		t.Errorf("the serial again: got %d %s", status, text)
	}
	if status, text := send(map[string]any{"package": "my_site", "revision": third, "at": now}); status != 202 {
		t.Errorf("now: got %d %s", status, text)
	}
	if status, text := send(map[string]any{"package": "my_site", "revision": third, "at": now}); status != 409 || !strings.Contains(text, "already done") {
		t.Errorf("now again: got %d %s", status, text)
	}
}

// A request that is sent to two servers at once is done once.
func TestTwoServers(t *testing.T) {
	s := started(t, nil)
	other := New(s.hook.Config)
	second := s.spool(nil, nil)
	body := ours(map[string]any{"package": "my_site", "revision": second})
	header := standard(s.secret, "id-1", time.Now(), body)
	var mu sync.Mutex
	statuses := make(map[int]int)
	var all sync.WaitGroup
	for i := range 10 {
		hook := s.hook
		if i%2 == 1 {
			hook = other
		}
		all.Go(func() {
			w := &recorder{header: http.Header{}}
			r, err := http.NewRequestWithContext(t.Context(), "POST", "http://localhost/deployment/", strings.NewReader(string(body)))
			if err != nil {
				t.Error(err)
				return
			}
			r.RemoteAddr = "192.0.2.1:1"
			r.Header = header.Clone()
			r.Header.Set("Content-Type", "application/json")
			hook.ServeHTTP(w, r)
			mu.Lock()
			defer mu.Unlock()
			statuses[w.status]++
		})
	}
	all.Wait()
	if statuses[202] != 1 || statuses[409] != 9 || s.entries() != 2 {
		t.Errorf("got %v, and %d entries", statuses, s.entries())
	}
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header            { return r.header }
func (r *recorder) WriteHeader(status int)         { r.status = status }
func (r *recorder) Write(text []byte) (int, error) { return len(text), nil }

func TestIDsOfTokens(t *testing.T) {
	s := started(t, nil)
	token := s.token()
	second := s.spool(nil, nil)
	body := ours(map[string]any{"package": "my_site", "revision": second, "id": "build 7"})
	if status, _, text := s.post(body, bearer(token)); status != 202 {
		t.Errorf("got %d %s", status, text)
	}
	if status, _, text := s.post(body, bearer(token)); status != 409 {
		t.Errorf("again: got %d %s", status, text)
	}
	if status, _, text := s.post(body, bearer(s.token2())); status != 200 {
		t.Errorf("of another token: got %d %s", status, text)
	}
}

// What was not done for a reason that passes can be sent again under the same id.
func TestTroubleIsForgotten(t *testing.T) {
	s := started(t, nil)
	second := s.spool(nil, nil)
	body := ours(map[string]any{"package": "my_site", "revision": second})
	whole := s.hook.Master
	s.hook.Master = func(by string) *master.Master {
		return &master.Master{Bucket: &catalog.Catalog{Bucket: deaf{s.bucket.Bucket}}, By: by}
	}
	if status, _, text := s.post(body, standard(s.secret, "id-1", time.Now(), body)); status != 502 {
		t.Errorf("without a bucket: got %d %s", status, text)
	}
	s.hook.Master = whole
	if status, _, text := s.post(body, standard(s.secret, "id-1", time.Now(), body)); status != 202 {
		t.Errorf("with one: got %d %s", status, text)
	}
}

// deaf is a bucket that takes nothing.
type deaf struct{ store.Bucket }

func (deaf) Put(_ context.Context, key string, _ io.ReadSeeker, _ store.PutOptions) (store.Object, error) {
	return store.Object{}, &store.Error{Op: "put", Key: key, Err: fmt.Errorf("no answer")}
}

func TestOldNotesAreRemoved(t *testing.T) {
	s := started(t, nil)
	body := ours(map[string]any{"package": "my_site", "revision": s.active().Revision})
	send := func(id string) {
		t.Helper()
		if status, _, text := s.post(body, standard(s.secret, id, s.hook.Now(), body)); status != 200 {
			t.Fatalf("got %d %s", status, text)
		}
	}
	send("first")
	s.hook.swept = time.Time{}
	s.hook.Bucket = &catalog.Catalog{Bucket: tomorrow{s.bucket.Bucket}}
	send("second")
	listing, err := s.bucket.List(t.Context(), store.ListOptions{Prefix: seenPrefix})
	if err != nil || len(listing.Objects) != 1 {
		t.Errorf("%d notes are left (%v), want the second", len(listing.Objects), err)
	}
}

// tomorrow is a bucket whose clock is a day ahead.
type tomorrow struct{ store.Bucket }

func (b tomorrow) List(ctx context.Context, opts store.ListOptions) (store.Listing, error) {
	listing, err := b.Bucket.List(ctx, opts)
	listing.Date = listing.Date.Add(25 * time.Hour)
	return listing, err
}

func TestRequestsThatAreRefused(t *testing.T) {
	s := started(t, nil)
	token := s.token()
	tests := []struct {
		name         string
		method, path string
		header       http.Header
		body         string
		want         int
	}{
		{"GET", "GET", "", bearer(token), "", 405},
		{"PUT", "PUT", "", bearer(token), "{}", 405},
		{"a form", "POST", "", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "a=b", 415},
		{"a text", "POST", "", http.Header{"Content-Type": {"text/plain"}}, "{}", 415},
		{"another charset", "POST", "", http.Header{"Content-Type": {"application/json; charset=utf-16"}}, "{}", 415},
		{"compressed", "POST", "", http.Header{"Content-Encoding": {"gzip"}}, "{}", 415},
		{"too long", "POST", "", bearer(token), strings.Repeat(" ", MaxBody+1), 413},
		{"no proof", "POST", "", nil, "{}", 401},
		{"a wrong token", "POST", "", bearer("ftl_x"), "{}", 401},
		{"a cookie", "POST", "", http.Header{"Cookie": {"__Host-ftl=" + token}}, "{}", 401},
		{"a token in the URL", "POST", "?token=" + token, nil, "{}", 401},
		{"another package", "POST", "", bearer(token), `{"package":"other","revision":"other.1"}`, 403},
		{"no revision", "POST", "", bearer(token), `{"package":"my_site"}`, 422},
		{"an unknown revision", "POST", "", bearer(token), `{"package":"my_site","revision":"my_site.2026112145296Wq"}`, 422},
		{"of another package", "POST", "", bearer(token), `{"package":"my_site","revision":"other.1"}`, 422},
		{"waves", "POST", "", bearer(token), `{"package":"my_site","revision":"1","waves":"x"}`, 422},
		{"at", "POST", "", bearer(token), `{"package":"my_site","revision":"1","at":"now"}`, 422},
		{"expect", "POST", "", bearer(token), `{"package":"my_site","revision":"1","expect":"1"}`, 422},
		{"up", "POST", "", bearer(token), `{"package":"../x","revision":"1"}`, 422},
	}
	for _, test := range tests {
		s.hook.failures = access.NewLimiter(access.FailuresPerMinute, nil)
		r, err := http.NewRequestWithContext(t.Context(), test.method, s.server.URL+"/deployment/"+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for name, values := range test.header {
			r.Header[name] = values
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var told problem
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != test.want {
			t.Errorf("%s: got %d %s (%v), want %d", test.name, response.StatusCode, text, err, test.want)
		}
		if err := json.Unmarshal(text, &told); err != nil || told.Status != test.want || told.Detail == "" || response.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s is no problem of RFC 9457 (%v)", test.name, text, err)
		}
	}
	if s.entries() != 1 {
		t.Error("something was blessed")
	}
}

// Roles below deploy bless nothing.
func TestRoles(t *testing.T) {
	s := started(t, nil)
	second := s.spool(nil, nil)
	body := ours(map[string]any{"package": "my_site", "revision": second})
	for role, want := range map[access.Role]int{access.View: 403, access.Stop: 403, access.Deploy: 202} {
		token := s.grant(access.Request{Kind: access.Token, Label: role.String(), Role: role, Packages: []string{"my_*"}})
		if status, _, text := s.post(body, bearer(token)); status != want {
			t.Errorf("%v: got %d %s, want %d", role, status, text, want)
		}
	}
	if status, _, text := s.post(body, bearer(s.token2())); status != 200 {
		t.Errorf("admin: got %d %s", status, text)
	}
}

func TestAllowFrom(t *testing.T) {
	peers, err := access.ParsePeers("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	s := started(t, func(c *Config) { c.AllowFrom = peers })
	if status, _, text := s.post([]byte("{}"), bearer(s.token())); status != 403 {
		t.Errorf("from elsewhere: got %d %s", status, text)
	}
	// What a client says of itself does not count.
	header := bearer(s.token2())
	header.Set("X-Forwarded-For", "192.0.2.1")
	if status, _, text := s.post([]byte("{}"), header); status != 403 {
		t.Errorf("that says it is from there: got %d %s", status, text)
	}
}

// Failures are limited for their address, and a good proof from there is not refused.
func TestFailuresAreLimited(t *testing.T) {
	s := started(t, nil)
	now := time.Now()
	s.hook.failures = access.NewLimiter(access.FailuresPerMinute, func() time.Time { return now })
	limited := 0
	for range 20 {
		status, header, _ := s.post([]byte("{}"), bearer("ftl_x"))
		if status == 429 {
			limited++
			if header.Get("Retry-After") == "" {
				t.Error("it does not say when to come again")
			}
		}
	}
	if limited != 20-access.FailuresPerMinute {
		t.Errorf("%d of 20 were limited", limited)
	}
	body := ours(map[string]any{"package": "my_site", "revision": s.active().Revision})
	if status, _, text := s.post(body, bearer(s.token())); status != 200 {
		t.Errorf("a good one: got %d %s", status, text)
	}
}

func TestRequestsOfATokenAreLimited(t *testing.T) {
	s := started(t, nil)
	first, second := s.token(), s.token2()
	now := time.Now()
	s.hook.requests = access.NewLimiter(access.WebhooksPerMinute, func() time.Time { return now })
	last := 0
	for range access.WebhooksPerMinute + 1 {
		last, _, _ = s.post([]byte("{}"), bearer(first))
	}
	if last != 429 {
		t.Errorf("got %d", last)
	}
	if status, _, _ := s.post([]byte("{}"), bearer(second)); status != 422 {
		t.Errorf("another token: got %d", status)
	}
}

func TestWaitersAreLimited(t *testing.T) {
	s := started(t, nil)
	for range MaxWaiters {
		s.hook.waiters <- struct{}{}
	}
	if reply := s.client().deploy(t, s.client().body(commit(1))); reply.status != 503 {
		t.Errorf("got %d %s", reply.status, reply.raw)
	}
}

// Whoever sends a body byte by byte is not waited for.
func TestSlowBody(t *testing.T) {
	s := started(t, nil)
	s.hook.pauses.body = 50 * time.Millisecond
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /deployment/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 400 {
		t.Errorf("got %d", response.StatusCode)
	}
}

// Whoever has gone while hosts are waited for leaves what is blessed, and no goroutine.
func TestSenderGoes(t *testing.T) {
	s := started(t, nil)
	second := s.spool(catalog.Labels{"commit": commit(2)}, nil)
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	body := s.client().body(commit(2))
	fmt.Fprintf(conn, "POST /deployment/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Hub-Signature-256: %s\r\nContent-Length: %d\r\n\r\n%s", s.client().sign(body), len(body), body)
	for len(s.hook.waiters) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	conn.Close()
	for len(s.hook.waiters) > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if s.active().Revision != second {
		t.Error("the blessing was taken back")
	}
}

func TestLinesAreLimited(t *testing.T) {
	l := &lines{now: time.Now}
	for i := range 1000 {
		l.info("line %d", i)
	}
	all := l.all()
	if len(all) != maxLines || !strings.HasSuffix(all[0], "line 0") || !strings.HasSuffix(all[maxLines-1], "line 999") || !strings.Contains(strings.Join(all, "\n"), "… 501 lines are left out") {
		t.Errorf("got %d lines, from %s to %s", len(all), all[0], all[len(all)-1])
	}
}

// Of several revisions of a commit the newest counts, and one whose manifest makes no sense is
// none.
func TestRevisionOfACommit(t *testing.T) {
	s := started(t, nil)
	s.spool(catalog.Labels{"commit": commit(2)}, nil)
	newer := s.spool(catalog.Labels{"commit": commit(2)}, map[string]string{"check": "exit 0"})
	broken := s.spool(catalog.Labels{"commit": commit(2)}, map[string]string{"check": "exit 1"})
	if _, err := s.bucket.Put(t.Context(), catalog.ManifestKey(broken), strings.NewReader("nonsense"), putOptions("nonsense")); err != nil {
		t.Fatal(err)
	}
	revisions, _, err := s.bucket.Revisions(t.Context(), newer.Package())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.hook.find(t.Context(), &request{pkg: newer.Package(), commit: commit(2)}, revisions, &lines{now: time.Now})
	if err != nil || got != newer {
		t.Errorf("got %v, %v, want %v", got, err, newer)
	}
	// That the bucket does not answer is not taken for a revision that is not there.
	s.hook.Bucket = &catalog.Catalog{Bucket: mute{s.bucket.Bucket}}
	if _, err := s.hook.find(t.Context(), &request{pkg: newer.Package(), commit: commit(2)}, revisions, &lines{now: time.Now}); !unreachable(err) {
		t.Errorf("without a bucket: %v", err)
	}
}

func putOptions(text string) store.PutOptions {
	return store.PutOptions{SHA256: sha256.Sum256([]byte(text))}
}

// mute is a bucket that gives nothing.
type mute struct{ store.Bucket }

func (mute) Get(_ context.Context, key string, _ store.GetOptions) (io.ReadCloser, store.Object, error) {
	return nil, store.Object{}, &store.Error{Op: "get", Key: key, Err: fmt.Errorf("no answer")}
}
