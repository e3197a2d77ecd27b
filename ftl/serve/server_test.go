package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/store"
)

// stage is a server that reads a bucket in a directory, and a bucket to write to.
type stage struct {
	*Server
	web    *httptest.Server
	bucket *catalog.Catalog
}

func start(t *testing.T, config Config) stage {
	t.Helper()
	dir := t.TempDir()
	bucket, err := store.Open(t.Context(), "file://"+dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	config.Bucket = &catalog.Catalog{Bucket: bucket}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.EndStreams()
		web.Close()
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return stage{s, web, config.Bucket}
}

// still is a server that shows one snapshot, and reads nothing.
func still(t *testing.T, snapshot *Snapshot) stage {
	t.Helper()
	s, err := New(Config{Bucket: &catalog.Catalog{}})
	if err != nil {
		t.Fatal(err)
	}
	s.feed.put(snapshot)
	web := httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)
	return stage{s, web, nil}
}

func (r stage) report(t *testing.T, name string, condition ftl.Condition) {
	t.Helper()
	report := catalog.Report{Host: name, Packages: []catalog.PackageReport{{Status: ftl.Status{Package: newSite.Package(), Condition: condition, Current: newSite}}}}
	if _, err := r.bucket.PutReport(t.Context(), catalog.NodeOf(name), report); err != nil {
		t.Fatal(err)
	}
}

func (r stage) get(t *testing.T, path string, edit func(*http.Request)) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.web.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(request)
	}
	w := httptest.NewRecorder()
	r.web.Config.Handler.ServeHTTP(w, request)
	return w.Result(), w.Body.String()
}

func TestEveryAnswerIsProtected(t *testing.T) {
	r := start(t, Config{})
	for path, code := range map[string]int{"/": 200, "/h": 200, "/log": 200, "/none": 404, "/p/none": 404, "/static/0/ftl.css": 404, "/..%2f..%2fetc/passwd": 404} {
		response, body := r.get(t, path, nil)
		if response.StatusCode != code {
			t.Errorf("%s: got %d, want %d\n%s", path, response.StatusCode, code, body)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got := response.Header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		for _, inline := range []string{" style=", "<style", " onclick=", "javascript:"} {
			if strings.Contains(body, inline) {
				t.Errorf("%s: has %s", path, inline)
			}
		}
	}
}

// What a page loads is there, and browsers keep it.
func TestAssets(t *testing.T) {
	r := start(t, Config{})
	_, body := r.get(t, "/", nil)
	found := 0
	for _, part := range strings.Split(body, `"`) {
		if strings.HasPrefix(part, "/static/") {
			found++
			response, text := r.get(t, part, nil)
			if response.StatusCode != 200 || text == "" || !strings.Contains(response.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: got %d, %v", part, response.StatusCode, response.Header)
			}
		}
	}
	if found < 3 {
		t.Errorf("%d files are loaded", found)
	}
}

// A page of a name that was made to lead here (DNS rebinding) gets nothing.
func TestOtherHosts(t *testing.T) {
	for _, base := range []string{"", "https://deploy.example.org/ftl"} {
		config := Config{}
		if base != "" {
			config.URL, _ = url.Parse(base)
		}
		r := start(t, config)
		for host, code := range map[string]int{
			"evil.example.com": 421, "127.0.0.1:8300": 200, "[::1]:8300": 200, "localhost": 200, "127.0.0.1.evil.example.com": 421,
			"deploy.example.org": map[bool]int{true: 421, false: 200}[base == ""],
		} {
			path := "/"
			if base != "" {
				path = "/ftl/"
			}
			response, _ := r.get(t, path, func(r *http.Request) { r.Host = host })
			if response.StatusCode != code {
				t.Errorf("%s, as %q: got %d, want %d", host, base, response.StatusCode, code)
			}
		}
	}
}

// Behind a proxy every address that a page names begins with the path before it.
func TestBasePath(t *testing.T) {
	base, _ := url.Parse("https://deploy.example.org/ops/ftl/")
	r := start(t, Config{URL: base})
	r.report(t, "web-1", ftl.OK)
	for _, path := range []string{"/ops/ftl/", "/ops/ftl/h", "/ops/ftl/log", "/ops/ftl/h/web-1", "/ops/ftl/p/my_site"} {
		r.Look()
		response, body := r.get(t, path, nil)
		for range 100 {
			if response.StatusCode == 200 {
				break
			}
			time.Sleep(20 * time.Millisecond)
			response, body = r.get(t, path, nil)
		}
		if response.StatusCode != 200 {
			t.Errorf("%s: got %d", path, response.StatusCode)
		}
		for _, name := range []string{`href="/`, `src="/`, `action="/`, `data-events="/`} {
			for _, rest := range strings.Split(body, name)[1:] {
				if !strings.HasPrefix(rest, "ops/ftl/") {
					t.Errorf("%s leads to %s", path, rest[:20])
				}
			}
		}
	}
	if response, _ := r.get(t, "/ops/ftl", nil); response.Header.Get("Location") != "/ops/ftl/" {
		t.Errorf("without a slash: it leads to %q", response.Header.Get("Location"))
	}
	if response, _ := r.get(t, "/h", nil); response.StatusCode != 404 {
		t.Errorf("outside the path: got %d", response.StatusCode)
	}
}

// A form of another site reaches no page.
func TestOtherSites(t *testing.T) {
	reached := 0
	r := start(t, Config{Pages: map[string]http.Handler{"POST /login": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ })}})
	for site, code := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200, "": 200} {
		before := reached
		response, _ := r.get(t, "/login", func(r *http.Request) {
			r.Method = http.MethodPost
			r.Header.Set("Sec-Fetch-Site", site)
		})
		if response.StatusCode != code || (reached > before) != (code == 200) {
			t.Errorf("%q: got %d, reached %v", site, response.StatusCode, reached > before)
		}
	}
}

func TestWhoMayLook(t *testing.T) {
	for _, row := range []struct {
		person Person
		err    error
		code   int
	}{{Person{}, nil, 401}, {Person{Looks: true}, nil, 200}, {Person{Looks: true}, errors.New("expired"), 401}} {
		r := start(t, Config{Who: func(*http.Request) (Person, error) { return row.person, row.err }})
		r.report(t, "web-1", ftl.OK)
		for _, path := range []string{"/", "/h", "/log"} {
			if response, body := r.get(t, path, nil); response.StatusCode != row.code || row.code == 401 && strings.Contains(body, "web-1") {
				t.Errorf("%+v: %s: got %d", row.person, path, response.StatusCode)
			}
		}
		if row.code == 401 {
			if response, _ := r.get(t, "/events?page=/", nil); response.StatusCode != row.code {
				t.Errorf("%+v: events: got %d", row.person, response.StatusCode)
			}
		}
	}
}

// A bucket that can't be read is told, with what it said before.
func TestBucketThatFails(t *testing.T) {
	r := still(t, sample(t))
	s := r.failed(newPoller(nil), errors.New("no route to host"), noon)
	if s.Failure == "" || len(s.Hosts) != 13 || s.ID == "" {
		t.Fatalf("got %+v", s)
	}
	r.feed.put(s)
	if _, body := r.get(t, "/", nil); !strings.Contains(body, "be read since 12:00:00 UTC") {
		t.Errorf("got %s", body)
	}
}

func waitFor(t *testing.T, r stage, good func(*Snapshot) bool) *Snapshot {
	t.Helper()
	for range 500 {
		if s, _ := r.Latest(); s != nil && good(s) {
			return s
		}
		r.Look()
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("it never came")
	return nil
}

// follow reads a stream, and returns its events.
func follow(t *testing.T, r stage, path string) <-chan [2]string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.web.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %s, %v", response.Status, response.Header)
	}
	events := make(chan [2]string, 100)
	go func() {
		defer close(events)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 10<<20)
		var event [2]string
		for lines.Scan() {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "event":
				event[0] = value
			case "data":
				event[1] = value
			case "":
				if event[0] != "" {
					events <- event
				}
				event = [2]string{}
			}
		}
	}()
	return events
}

func nextPatch(t *testing.T, events <-chan [2]string) (p patch) {
	t.Helper()
	for event := range events {
		if event[0] == "patch" {
			if err := json.Unmarshal([]byte(event[1]), &p); err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	t.Fatal("the stream has ended")
	return p
}

// A stream begins with everything, goes on with what has changed, and ends when the server does.
func TestStream(t *testing.T) {
	r := start(t, Config{Ping: 50 * time.Millisecond})
	r.report(t, "web-1", ftl.OK)
	waitFor(t, r, func(s *Snapshot) bool { return len(s.Hosts) == 1 })
	events := follow(t, r, "/events?page="+url.QueryEscape("/h"))
	first := nextPatch(t, events)
	if len(first.IDs) != 2 || len(first.Fragments) != 2 || !strings.Contains(string(first.Fragments["hosts"]), "web-1") {
		t.Fatalf("got %+v", first)
	}
	r.report(t, "web-2", ftl.Failed)
	waitFor(t, r, func(s *Snapshot) bool { return len(s.Hosts) == 2 })
	for {
		next := nextPatch(t, events)
		if strings.Contains(string(next.Fragments["hosts"]), "web-2") {
			break
		}
	}
	for event := range events {
		if event[0] == "ping" {
			break
		}
	}
	if got := r.feed.streams.Load(); got != 1 {
		t.Errorf("%d streams", got)
	}
}

// A page that shows the latest snapshot already is sent nothing; one that knows another is sent
// everything.
func TestStreamTakesUp(t *testing.T) {
	r := start(t, Config{Ping: 20 * time.Millisecond})
	r.report(t, "web-1", ftl.OK)
	s := waitFor(t, r, func(s *Snapshot) bool { return len(s.Hosts) == 1 })
	events := follow(t, r, "/events?page=/&since="+s.ID)
	event := <-events
	if latest, _ := r.Latest(); event[0] != "ping" && latest.ID == s.ID {
		t.Errorf("got %v", event)
	}
	events = follow(t, r, "/events?page=/&since=other-1")
	if p := nextPatch(t, events); len(p.Fragments) != 4 {
		t.Errorf("got %d fragments", len(p.Fragments))
	}
}

func TestStreamsOfWhatIsNotThere(t *testing.T) {
	r := start(t, Config{})
	for _, page := range []string{"", "/none", "//evil.example.com/", "https://evil.example.com/", "/events?page=/", "/static/x/ftl.css"} {
		if response, _ := r.get(t, "/events?page="+url.QueryEscape(page), nil); response.StatusCode != 404 {
			t.Errorf("%q: got %d", page, response.StatusCode)
		}
	}
}
