package probe_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/probe"
)

// quick is a probe that gives up soon.
func quick(url string) probe.Probe {
	return probe.Probe{URL: url, Timeout: 200 * time.Millisecond, Interval: time.Millisecond, RequestTimeout: 100 * time.Millisecond}
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestRunUntilWell(t *testing.T) {
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	p := quick(url)
	p.Timeout = time.Minute
	if err := p.Run(t.Context()); err != nil || asked.Load() != 3 {
		t.Errorf("got %v after %d tries, want success after 3", err, asked.Load())
	}
}

func TestRunTellsTheLastCause(t *testing.T) {
	page := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			w.Write([]byte(body))
		}
	}
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		change  func(*probe.Probe)
		want    string
	}{
		"status":       {page(500, ""), func(*probe.Probe) {}, "500 Internal Server Error, not 200"},
		"other status": {page(200, ""), func(p *probe.Probe) { p.Status = 204 }, "200 OK, not 204"},
		"redirect":     {page(302, ""), func(*probe.Probe) {}, "302 Found, not 200"},
		"text":         {page(200, "maintenance"), func(p *probe.Probe) { p.Contains = "welcome" }, `does not contain "welcome"`},
		"slow":         {hang, func(*probe.Probe) {}, "deadline exceeded"},
	} {
		p := quick(serve(t, test.handler))
		test.change(&p)
		if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestRunWithPassword(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ops" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	p := quick(url)
	p.User, p.Password = "ops", "secret"
	if err := p.Run(t.Context()); err != nil {
		t.Error(err)
	}
	p.Password = "wrong"
	if err := p.Run(t.Context()); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

func TestRunRefusesWhatIsNoURL(t *testing.T) {
	for _, url := range []string{"", "localhost:80", "ftp://host/", "http://", "http://[::1"} {
		p := probe.Probe{URL: url} // with the long default: it must not be used
		done := make(chan error, 1)
		go func() { done <- p.Run(t.Context()) }()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%q was accepted", url)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q is still tried", url)
		}
	}
}

func TestRunEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := probe.Probe{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })}
	if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestRunVerifiesCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of each try
	server.StartTLS()
	t.Cleanup(server.Close)
	p := quick(server.URL)
	p.Timeout, p.RequestTimeout = 2*time.Second, 2*time.Second // for a handshake on a busy machine
	if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v, want an error about the certificate", err)
	}
}

func TestRunNoMixedContent(t *testing.T) {
	for page, want := range map[string]string{
		`<a href="https://x/">x</a><img src="/y.png"><script src="//z/s.js"></script>`: "",
		`http:// in a text is fine <!-- <a href="http://x/"> -->`:                      "",
		`<script src="http://x/s.js">`:                                                 `<script src="http://x/s.js">`,
		`<IMG SRC='HTTP://x/i.png'/>`:                                                  `<img src="HTTP://x/i.png">`,
		`<a href=http://x/>`:                                                           `<a href="http://x/">`,
		`<img srcset="a.png 1x, http://x/b.png 2x">`:                                   `<img srcset=`,
	} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(page)) }))
		p := quick(server.URL)
		p.NoMixedContent = true
		p.Transport = server.Client().Transport
		err := p.Run(t.Context())
		server.Close()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", page, err, want)
		}
	}
	// On a page over http nothing is mixed.
	p := quick(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`<img src="http://x/">`)) }))
	p.NoMixedContent = true
	if err := p.Run(t.Context()); err != nil {
		t.Errorf("over http: %v", err)
	}
}
