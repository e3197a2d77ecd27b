package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/ftl/serve/access"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// A site is a bucket with a hook before it, and hosts.
type site struct {
	t      *testing.T
	bucket *catalog.Catalog
	master *master.Master
	hook   *Hook
	server *httptest.Server
	file   *access.File
	secret string // of a webhook for my_site
	hosts  []*host.Host
}

func newSite(t *testing.T, change func(*Config)) *site {
	t.Helper()
	bucket, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, bucket: &catalog.Catalog{Bucket: bucket}}
	s.master = &master.Master{Bucket: s.bucket, By: "ops@build1", Warn: t.Logf}
	state := filepath.Join(t.TempDir(), "state")
	if s.file, err = access.OpenFile(state); err != nil {
		t.Fatal(err)
	}
	guard, err := access.Open(access.Options{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.file.Close(); guard.Close() })
	s.secret = s.grant(access.Request{Kind: access.Webhook, Label: "ci", Role: access.Deploy, Packages: []string{"my_site"}})
	config := Config{
		Bucket: s.bucket, Guard: guard, Wait: 30 * time.Second,
		Master: func(by string) *master.Master { return &master.Master{Bucket: s.bucket, By: by, Warn: t.Logf} },
	}
	if change != nil {
		change(&config)
	}
	s.hook = New(config)
	s.hook.pauses = pauses{10 * time.Millisecond, 50 * time.Millisecond, 10 * time.Millisecond, time.Minute}
	mux := http.NewServeMux()
	mux.Handle("/deployment/", s.hook)
	mux.HandleFunc("GET /health", Health)
	s.server = httptest.NewServer(access.Proxy{}.Believe(mux))
	t.Cleanup(s.server.Close)
	return s
}

func (s *site) grant(r access.Request) string {
	s.t.Helper()
	_, secret, err := s.file.Add(s.t.Context(), r, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return secret
}

// spool puts a revision with these hooks into the bucket.
func (s *site) spool(labels catalog.Labels, hooks map[string]string) revision.Revision {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "my_site")
	if err := os.MkdirAll(filepath.Join(dir, "ftl"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "content"), fmt.Append(nil, labels), 0o644)
	for name, script := range hooks {
		if err := os.WriteFile(filepath.Join(dir, "ftl", name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	r, err := s.master.Spool(s.t.Context(), dir, master.SpoolOptions{Labels: labels})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// addHost adds a host that is subscribed to my_site.
func (s *site) addHost(name string) *host.Host {
	s.t.Helper()
	h := &host.Host{
		Root: s.t.TempDir(), Node: name, Command: "ftl sync", CheckTimeout: 300 * time.Millisecond, HookTimeout: 20 * time.Second,
		Open: func(context.Context) (*catalog.Catalog, error) { return s.bucket, nil },
		Warn: func(string, ...any) {},
	}
	if err := os.Mkdir(filepath.Join(h.Root, "my_site"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.hosts = append(s.hosts, h)
	return h
}

func (s *site) sync() {
	var all sync.WaitGroup
	for _, h := range s.hosts {
		all.Go(func() { _ = h.Sync(s.t.Context(), nil, host.SyncOptions{}) }) // what fails, it reports
	}
	all.Wait()
}

// during has the hosts sync all the time while something is done.
func (s *site) during(do func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
				s.sync()
			}
		}
	}()
	do()
	close(done)
	<-ended
}

func (s *site) active() catalog.Entry {
	s.t.Helper()
	pkg, err := revision.ParsePackage("my_site")
	if err != nil {
		s.t.Fatal(err)
	}
	marker, err := s.bucket.Marker(s.t.Context(), pkg)
	if err != nil {
		s.t.Fatal(err)
	}
	active, _ := marker.Active()
	return active
}

// runs returns what runs on a host.
func (s *site) runs(h *host.Host) string {
	s.t.Helper()
	target, err := os.Readlink(filepath.Join(h.Root, "my_site", "current"))
	if err != nil {
		s.t.Fatal(err)
	}
	return "my_site." + filepath.Base(target)
}

// started is a site whose two hosts run a revision of the commit 1111111.
func started(t *testing.T, change func(*Config)) *site {
	t.Helper()
	s := newSite(t, change)
	first := s.spool(catalog.Labels{"commit": commit(1)}, nil)
	s.addHost("web1")
	s.addHost("web2")
	s.sync()
	if err := s.master.Jump(t.Context(), first, master.JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	s.sync()
	return s
}

func commit(n int) string { return strings.Repeat(strconv.Itoa(n), 40) }

// A client is one of the older service, as its contract says.
type client struct {
	url, secret string
}

// What the client reads.
type olderReply struct {
	status int
	raw    string
	Logs   []string `json:"logs"`
	Error  *string  `json:"error"`
}

var logLine = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \[(INFO|ERROR|WARNING)\] `)

func (c client) body(commit string, more ...string) []byte {
	fields := map[string]string{"service_name": "my_site", "container_name": "my_site_1", "image": "registry.example.org:5000/team/my_site:v7", "commit_sha": commit}
	for i := 0; i+1 < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err) // there is nothing in it that could not be
	}
	return text
}

func (c client) sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(c.secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func (c client) deploy(t *testing.T, body []byte) olderReply {
	t.Helper()
	return c.send(t, body, http.Header{"X-Hub-Signature-256": {c.sign(body)}})
}

func (c client) send(t *testing.T, body []byte, header http.Header) olderReply {
	t.Helper()
	status, _, raw := post(t, c.url+"/deployment/", body, header)
	reply := olderReply{status: status, raw: raw}
	decoder := json.NewDecoder(strings.NewReader(raw))
	if err := decoder.Decode(&reply); err != nil {
		t.Fatalf("%d %q: %v", status, raw, err)
	}
	for _, line := range reply.Logs {
		if !logLine.MatchString(line) {
			t.Errorf("%q is no line of a log", line)
		}
	}
	if (reply.Error == nil) != (status == http.StatusOK) || len(reply.Logs) > 500 {
		t.Errorf("status %d with %s", status, raw)
	}
	return reply
}

// post sends a body, and returns what is answered.
func post(t *testing.T, url string, body []byte, header http.Header) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	if request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

func (s *site) client() client { return client{s.server.URL, s.secret} }

// standard signs a body as Standard Webhooks says.
func standard(secret, id string, at time.Time, body []byte) http.Header {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err) // it was made by us
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	return http.Header{
		"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}
}

func steps(t *testing.T, text string) *rollout.Options {
	t.Helper()
	waves, err := rollout.ParseSteps(text)
	if err != nil {
		t.Fatal(err)
	}
	return &rollout.Options{Waves: waves, Soak: time.Millisecond}
}
