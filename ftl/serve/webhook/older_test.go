package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/serve/access"
)

// A client of the older service drives real deploys, with hosts that sync.

func TestOlderSuccess(t *testing.T) {
	s := started(t, nil)
	second := s.spool(catalog.Labels{"commit": commit(2)}, map[string]string{"post-jump": `echo '{"name":"migrate","state":"success"}'`, "check": "exit 0"})
	var reply olderReply
	s.during(func() { reply = s.client().deploy(t, s.client().body(commit(2))) })
	if reply.status != 200 || s.active().Revision != second || s.runs(s.hosts[0]) != second.String() || s.runs(s.hosts[1]) != second.String() {
		t.Errorf("got %d %s; %s runs", reply.status, reply.raw, s.runs(s.hosts[0]))
	}
	if by := s.active().By; by != "serve:ci" {
		t.Errorf("the marker says that %s has blessed it", by)
	}
	if note := s.active().Note; note != "commit "+commit(2) {
		t.Errorf("the note is %q", note)
	}
	all := strings.Join(reply.Logs, "\n")
	for _, want := range []string{"by its label commit", "web1: post-jump: success", "web2: post-jump/migrate: success", "runs on 2 hosts"} {
		if !strings.Contains(all, want) {
			t.Errorf("the log does not say %q:\n%s", want, all)
		}
	}
	if want := `{"logs":`; !strings.HasPrefix(reply.raw, want) || !strings.HasSuffix(reply.raw, `"error":null}`+"\n") {
		t.Errorf("the body is %s", reply.raw)
	}
}

func TestOlderFailingCheck(t *testing.T) {
	s := started(t, nil)
	first := s.active().Revision
	second := s.spool(catalog.Labels{"commit": commit(2)}, map[string]string{"check": "echo no database; exit 9"})
	var reply olderReply
	s.during(func() { reply = s.client().deploy(t, s.client().body(commit(2))) })
	if reply.status != 502 || s.runs(s.hosts[0]) != first.String() {
		t.Errorf("got %d %s; %s runs", reply.status, reply.raw, s.runs(s.hosts[0]))
	}
	if s.active().Revision != second { // nobody blesses a way back
		t.Errorf("%s is blessed", s.active().Revision)
	}
	// Sent again, hosts that have rejected it try it anew.
	before := s.active().Serial
	s.during(func() { reply = s.client().deploy(t, s.client().body(commit(2))) })
	if reply.status != 502 || s.active().Serial == before {
		t.Errorf("again: got %d %s; serial %d after %d", reply.status, reply.raw, s.active().Serial, before)
	}
	// The fix is not kept waiting.
	third := s.spool(catalog.Labels{"commit": commit(3)}, map[string]string{"check": "exit 0"})
	s.during(func() { reply = s.client().deploy(t, s.client().body(commit(3))) })
	if reply.status != 200 || s.runs(s.hosts[1]) != third.String() {
		t.Errorf("the fix: got %d %s", reply.status, reply.raw)
	}
}

func TestOlderFailingPreparation(t *testing.T) {
	for _, hook := range []string{"pre-jump", "post-sync"} {
		t.Run(hook, func(t *testing.T) {
			s := started(t, nil)
			first := s.active().Revision
			s.spool(catalog.Labels{"commit": commit(2)}, map[string]string{hook: "echo pull access denied; exit 1"})
			var reply olderReply
			s.during(func() { reply = s.client().deploy(t, s.client().body(commit(2))) })
			if reply.status != 400 || s.runs(s.hosts[0]) != first.String() || s.runs(s.hosts[1]) != first.String() {
				t.Errorf("got %d %s; %s runs", reply.status, reply.raw, s.runs(s.hosts[0]))
			}
			if !strings.Contains(strings.Join(reply.Logs, "\n"), "[ERROR] web1: "+hook+": failure") {
				t.Errorf("the log does not tell of it:\n%s", strings.Join(reply.Logs, "\n"))
			}
		})
	}
}

func TestOlderNeitherWorks(t *testing.T) {
	s := newSite(t, nil)
	first := s.spool(catalog.Labels{"commit": commit(1)}, map[string]string{"check": "[ ! -e " + t.TempDir() + "/../nothing ] && [ ! -e $FTL_ROOT/broken ]"})
	s.addHost("web1")
	s.sync()
	if err := s.master.Jump(t.Context(), first, master.JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	s.sync()
	s.spool(catalog.Labels{"commit": commit(2)}, map[string]string{"check": "touch $FTL_ROOT/broken; exit 1"})
	var reply olderReply
	s.during(func() { reply = s.client().deploy(t, s.client().body(commit(2))) })
	if reply.status != 500 {
		t.Errorf("got %d %s", reply.status, reply.raw)
	}
}

func TestOlderHang(t *testing.T) {
	s := started(t, func(c *Config) { c.Wait = 500 * time.Millisecond })
	second := s.spool(catalog.Labels{"commit": commit(2)}, nil)
	reply := s.client().deploy(t, s.client().body(commit(2))) // and no host syncs
	if reply.status != 504 || !strings.Contains(*reply.Error, "web1, web2") {
		t.Errorf("got %d %s", reply.status, reply.raw)
	}
	if s.active().Revision != second {
		t.Error("the blessing was taken back")
	}
	// Later it is done, and the answer to the same request says so.
	s.sync()
	if reply := s.client().deploy(t, s.client().body(commit(2))); reply.status != 200 {
		t.Errorf("later: got %d %s", reply.status, reply.raw)
	}
}

func TestOlderWhileAnotherGoesOn(t *testing.T) {
	s := started(t, nil)
	s.spool(catalog.Labels{"commit": commit(2)}, nil)
	s.spool(catalog.Labels{"commit": commit(3)}, nil)
	begun, done := make(chan struct{}), make(chan olderReply)
	go func() {
		close(begun)
		done <- s.client().deploy(t, s.client().body(commit(2)))
	}()
	<-begun
	for s.active().Note != "commit "+commit(2) {
		time.Sleep(10 * time.Millisecond)
	}
	if reply := s.client().deploy(t, s.client().body(commit(3))); reply.status != 429 {
		t.Errorf("got %d %s, want that another deployment goes on", reply.status, reply.raw)
	}
	// The same again waits for the same.
	var again olderReply
	s.during(func() { again = s.client().deploy(t, s.client().body(commit(2))) })
	if first := <-done; first.status != 200 || again.status != 200 {
		t.Errorf("got %d %s and %d %s", first.status, first.raw, again.status, again.raw)
	}
	if entries := s.entries(); entries != 2 {
		t.Errorf("the marker has %d entries, want 2", entries)
	}
}

func (s *site) entries() int {
	s.t.Helper()
	marker, err := s.bucket.Marker(s.t.Context(), s.active().Revision.Package())
	if err != nil {
		s.t.Fatal(err)
	}
	return len(marker.Entries)
}

// Eight kinds of signatures that are none, and nothing is done.
func TestOlderWrongSignatures(t *testing.T) {
	s := started(t, nil)
	s.spool(catalog.Labels{"commit": commit(2)}, nil)
	c := s.client()
	body := c.body(commit(2))
	good := c.sign(body)
	other := client{c.url, "whsec_bm90IHRoZSBzZWNyZXQgdGhhdCBpdCBpcyBoZXJlLCBidXQgYW5vdGhlcg=="}
	var reordered map[string]string
	if err := json.Unmarshal(body, &reordered); err != nil {
		t.Fatal(err)
	}
	spaced, err := json.MarshalIndent(reordered, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	before := s.active()
	kinds := map[string]http.Header{
		"missing":                nil,
		"empty":                  {"X-Hub-Signature-256": {""}},
		"without its name":       {"X-Hub-Signature-256": {good[len("sha256="):]}},
		"of another algorithm":   {"X-Hub-Signature-256": {"sha1=" + good[len("sha256="):]}},
		"too short":              {"X-Hub-Signature-256": {good[:len(good)-2]}},
		"not hexadecimal":        {"X-Hub-Signature-256": {good[:len(good)-1] + "g"}},
		"by another secret":      {"X-Hub-Signature-256": {other.sign(body)}},
		"of another body":        {"X-Hub-Signature-256": {c.sign(spaced)}},
		"there twice":            {"X-Hub-Signature-256": {good, good}},
		"and a token":            {"X-Hub-Signature-256": {good}, "Authorization": {"Bearer x"}},
		"in the older algorithm": {"X-Hub-Signature": {good}},
	}
	var told string
	for name, header := range kinds {
		s.hook.failures = access.NewLimiter(access.FailuresPerMinute, nil)
		reply := c.send(t, body, header)
		if reply.status != 401 {
			t.Errorf("%s: got %d %s", name, reply.status, reply.raw)
		}
		if told == "" {
			told = *reply.Error
		}
		if *reply.Error != told {
			t.Errorf("%s: the error is %q, and for another kind %q", name, *reply.Error, told)
		}
	}
	if now := s.active(); now.Serial != before.Serial {
		t.Errorf("something was done: %v", now)
	}
	s.during(func() {
		if reply := c.deploy(t, body); reply.status != 200 {
			t.Errorf("the right one: got %d %s", reply.status, reply.raw)
		}
	})
}

func TestOlderReplay(t *testing.T) {
	s := started(t, nil)
	c := s.client()
	s.spool(catalog.Labels{"commit": commit(2)}, nil)
	s.spool(catalog.Labels{"commit": commit(3)}, nil)
	second, third := c.body(commit(2)), c.body(commit(3))
	s.during(func() {
		for range 2 { // whoever sends it again is told how it went, and nothing is done
			if reply := c.deploy(t, second); reply.status != 200 {
				t.Errorf("got %d %s", reply.status, reply.raw)
			}
		}
	})
	if entries := s.entries(); entries != 2 {
		t.Errorf("the marker has %d entries, want 2", entries)
	}
	s.during(func() { c.deploy(t, third) })
	now := s.active().Serial
	for name, body := range map[string][]byte{"the one before": second, "the very first": c.body(commit(1))} {
		if reply := c.deploy(t, body); reply.status != 409 || s.active().Serial != now {
			t.Errorf("%s: got %d %s", name, reply.status, reply.raw)
		}
	}
	// Nor does it undo what a person has done since.
	if err := s.master.JumpBack(t.Context(), s.active().Revision.Package(), "it is slow"); err != nil {
		t.Fatal(err)
	}
	s.sync()
	if reply := c.deploy(t, third); reply.status != 409 || !strings.Contains(*reply.Error, "already done") {
		t.Errorf("after a jump-back: got %d %s", reply.status, reply.raw)
	}
	// By a token it can be done.
	token := s.grant(access.Request{Kind: access.Token, Label: "ops", Role: access.Deploy, Packages: []string{"*"}})
	s.during(func() {
		if reply := c.send(t, third, http.Header{"Authorization": {"Bearer " + token}}); reply.status != 200 {
			t.Errorf("by a token: got %d %s", reply.status, reply.raw)
		}
	})
}

func TestOlderNeverBlessedAndOlder(t *testing.T) {
	s := newSite(t, nil)
	s.spool(catalog.Labels{"commit": commit(1)}, nil)
	second := s.spool(catalog.Labels{"commit": commit(2)}, nil)
	s.addHost("web1")
	if err := s.master.Jump(t.Context(), second, master.JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	s.sync()
	if reply := s.client().deploy(t, s.client().body(commit(1))); reply.status != 409 || !strings.Contains(*reply.Error, "is older than") {
		t.Errorf("got %d %s", reply.status, reply.raw)
	}
}

func TestOlderFields(t *testing.T) {
	s := started(t, func(c *Config) { c.ProbeHosts = []string{"app.example.org:443"} })
	s.spool(catalog.Labels{"commit": commit(2)}, nil)
	c := s.client()
	for name, body := range map[string]string{
		"no JSON":               "service_name=my_site",
		"a list":                "[]",
		"two values":            string(c.body(commit(2))) + "{}",
		"cut":                   string(c.body(commit(2))[:20]),
		"a field is missing":    `{"service_name":"my_site","container_name":"x","image":"y"}`,
		"a field is empty":      string(c.body("")),
		"a number":              `{"service_name":1,"container_name":"x","image":"y","commit_sha":"1111111"}`,
		"null":                  `{"service_name":null,"container_name":"x","image":"y","commit_sha":"1111111"}`,
		"an unknown field":      string(c.body(commit(2), "force", "true")),
		"other letters":         string(c.body(commit(2), "Service_Name", "my_site")),
		"a doubled key":         `{"service_name":"my_site","service_name":"other","container_name":"x","image":"y","commit_sha":"1111111"}`,
		"ours too":              string(c.body(commit(2), "package", "my_site")),
		"no package":            string(c.body(commit(2), "service_name", "../my_site")),
		"no commit":             string(c.body("main")),
		"an unknown commit":     string(c.body(commit(9))),
		"long":                  string(c.body(commit(2), "container_name", strings.Repeat("x", 2000))),
		"another healthcheck":   string(c.body(commit(2), "healthcheck_url", "https://example.org/")),
		"a user in it":          string(c.body(commit(2), "healthcheck_url", "https://a@app.example.org/")),
		"another port":          string(c.body(commit(2), "healthcheck_url", "https://app.example.org:8443/")),
		"another scheme's port": string(c.body(commit(2), "healthcheck_url", "http://app.example.org/")),
		"no URL":                string(c.body(commit(2), "healthcheck_url", "file:///etc/passwd")),
	} {
		if reply := c.deploy(t, []byte(body)); reply.status != 422 {
			t.Errorf("%s: got %d %s", name, reply.status, reply.raw)
		}
	}
	if s.entries() != 1 {
		t.Error("something was blessed")
	}
	if reply := c.deploy(t, c.body(commit(2), "service_name", "other")); reply.status != 403 {
		t.Errorf("another package: got %d %s", reply.status, reply.raw)
	}
}

func TestOlderImageTag(t *testing.T) {
	s := started(t, nil)
	tagged := s.spool(catalog.Labels{"image-tag": "v7"}, nil)
	s.spool(catalog.Labels{"image-tag": "v8"}, nil)
	var reply olderReply
	s.during(func() { reply = s.client().deploy(t, s.client().body(commit(9))) })
	if reply.status != 200 || s.active().Revision != tagged {
		t.Errorf("got %d %s, %s is active", reply.status, reply.raw, s.active().Revision)
	}
	for image, want := range map[string]string{
		"my_site": "", "my_site:v7": "v7", "registry:5000/my_site": "", "registry:5000/a/my_site:v7@sha256:00": "v7", "a/b:c/d": "",
	} {
		if got := tagOf(image); got != want {
			t.Errorf("the tag of %s is %q, want %q", image, got, want)
		}
	}
}

func TestOlderNobodyReports(t *testing.T) {
	s := newSite(t, nil)
	s.spool(catalog.Labels{"commit": commit(1)}, nil)
	if reply := s.client().deploy(t, s.client().body(commit(1))); reply.status != 400 || s.active().Serial != 0 {
		t.Errorf("got %d %s", reply.status, reply.raw)
	}
}

func TestOlderWithoutAKey(t *testing.T) {
	s := started(t, func(c *Config) { c.ReadOnly = "there is no key to sign with" })
	if reply := s.client().deploy(t, s.client().body(commit(1))); reply.status != 503 {
		t.Errorf("got %d %s", reply.status, reply.raw)
	}
}

func TestOlderHealthcheck(t *testing.T) {
	status := http.StatusOK
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "the secret of the app")
	}))
	defer app.Close()
	s := started(t, func(c *Config) {
		c.ProbeHosts = []string{strings.TrimPrefix(app.URL, "http://"), "169.254.169.254:80", "[fe80::1]:80"}
		c.Wait = 2 * time.Second
	})
	c := s.client()
	deploy := func(url string) olderReply { return c.deploy(t, c.body(commit(1), "healthcheck_url", url)) }
	if reply := deploy(app.URL + "/health"); reply.status != 200 || !strings.Contains(reply.raw, "answers well") {
		t.Errorf("got %d %s", reply.status, reply.raw)
	}
	status = http.StatusInternalServerError
	if reply := deploy(app.URL + "/health"); reply.status != 500 || !strings.Contains(*reply.Error, "the status 500") || strings.Contains(reply.raw, "secret") {
		t.Errorf("got %d %s", reply.status, reply.raw)
	}
	if reply := deploy(app.URL + "/away"); reply.status != 500 || !strings.Contains(*reply.Error, "the status 302") {
		t.Errorf("a redirect: got %d %s", reply.status, reply.raw)
	}
	for _, url := range []string{"http://169.254.169.254/", "http://[fe80::1]/"} {
		if reply := deploy(url); reply.status != 500 || !strings.Contains(*reply.Error, "no address that may be asked") {
			t.Errorf("%s: got %d %s", url, reply.status, reply.raw)
		}
	}
}

func TestOlderInWaves(t *testing.T) {
	s := started(t, nil)
	s.addHost("web3")
	s.sync()
	second := s.spool(catalog.Labels{"commit": commit(2)}, map[string]string{"check": "exit 9"})
	s.hook.Rollout = steps(t, "1")
	var reply olderReply
	s.during(func() { reply = s.client().deploy(t, s.client().body(commit(2))) })
	if reply.status != 502 || s.active().Revision != second || s.active().Rollout == nil {
		t.Errorf("got %d %s", reply.status, reply.raw)
	}
	third := s.spool(catalog.Labels{"commit": commit(3)}, map[string]string{"check": "exit 0"})
	s.during(func() { reply = s.client().deploy(t, s.client().body(commit(3))) })
	if reply.status != 200 || s.active().Revision != third {
		t.Errorf("after a halted rollout: got %d %s", reply.status, reply.raw)
	}
}

func TestHealth(t *testing.T) {
	s := newSite(t, nil)
	response, err := http.Get(s.server.URL + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got map[string]string
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || got["status"] != "OK" || response.StatusCode != 200 {
		t.Errorf("got %d %v (%v)", response.StatusCode, got, err)
	}
}
