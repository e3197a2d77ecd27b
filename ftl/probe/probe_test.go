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

func TestRunRefusesWhatCanNotBeAsked(t *testing.T) {
	ask := probe.Probe{URL: "http://localhost/"} // with the long default: it must not be used
	for name, change := range map[string]func(*probe.Probe){
		"no URL":          func(p *probe.Probe) { p.URL = "" },
		"no scheme":       func(p *probe.Probe) { p.URL = "localhost:80" },
		"another scheme":  func(p *probe.Probe) { p.URL = "ftp://host/" },
		"no host":         func(p *probe.Probe) { p.URL = "http://" },
		"half an address": func(p *probe.Probe) { p.URL = "http://[::1" },
		"no status":       func(p *probe.Probe) { p.Status = 99 },
		"negative":        func(p *probe.Probe) { p.Interval = -1 },
		"header":          func(p *probe.Probe) { p.Header = http.Header{"A B": {"x"}} },
		"two headers":     func(p *probe.Probe) { p.Header = http.Header{"A": {"x\r\nB: y"}} },
	} {
		p := ask
		change(&p)
		if err := p.Validate(); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
		if err := p.Run(t.Context()); err == nil {
			t.Errorf("%s: it was run", name)
		}
	}
	if err := ask.Validate(); err != nil {
		t.Error(err)
	}
}

func TestNoErrorTellsASecret(t *testing.T) {
	host := strings.TrimPrefix(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }), "http://")
	for _, url := range []string{
		"http://ops:geheim@" + host + "/", "http://geheim@" + host + "/", "http://" + host + "/?token=geheim",
		"http://ops:geheim@127.0.0.1:1/",                               // nobody listens there
		"http://ops:geheim%@" + host, "http://ops:gehe#geheim@" + host, // which can't be parsed
		"ops:geheim@" + host, "http://ops:geheim@[" + host,
	} {
		err := quick(url).Run(t.Context())
		if err == nil || strings.Contains(err.Error(), "gehe") {
			t.Errorf("%s: got %v, want an error that does not tell the secret", url, err)
		}
	}
}

func TestRunSendsHeaders(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "k" || r.Header.Get("Authorization") != "Bearer t" || r.Host != "my.site" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	p := quick(url)
	p.Header = http.Header{"X-Api-Key": {"k"}, "Authorization": {"Bearer t"}, "Host": {"my.site"}}
	if err := p.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRunEndsWithTheContextAndTellsTheLastTry(t *testing.T) {
	cause := errors.New("ended by a signal")
	ctx, cancel := context.WithCancelCause(t.Context())
	asked := make(chan struct{}, 100)
	p := probe.Probe{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		if len(asked) > 0 { // the second try is cut short
			cancel(cause)
			<-r.Context().Done()
		}
		asked <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
	}), Interval: time.Millisecond, RequestTimeout: time.Minute}
	err := p.Run(ctx)
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "ended by a signal; the last try: the status is 503 Service Unavailable, not 200") {
		t.Errorf("got %v, want the cause and the last answer", err)
	}
	if err := p.Run(ctx); !errors.Is(err, cause) || !strings.Contains(err.Error(), "there was no answer") {
		t.Errorf("got %v, want that there was no answer", err)
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
		`http:// in a text is fine <!-- <img src="http://x/"> -->`:                     "",
		`<script>var s = "<img src='http://x/'>"</script>`:                             "",
		`<a href="http://x/">a link is followed by a person</a>`:                       "",
		`<area href="http://x/"><blockquote cite="http://x/">`:                         "",
		`<link rel="canonical" href="http://x/"><link rel=alternate href="http://x/">`: "",
		`<link href="http://x/"><svg xmlns="http://www.w3.org/2000/svg"></svg>`:        "",
		`<svg><a xlink:href="http://x/">followed, too</a></svg>`:                       "",
		`<img src="https://x/?u=http://y/" alt="http://x/" srcset="a.png 1x">`:         "",
		`<script src="http://x/s.js">`:                                                 `<script src="http://x/s.js">`,
		`<IMG SRC='HTTP://x/i.png'/>`:                                                  `<img src="HTTP://x/i.png">`,
		`<img srcset="a.png 1x, http://x/b.png 2x">`:                                   `<img srcset=`,
		"<img src=\"ht\ntp:\t//x/i.png\">":                                             `<img src=`,
		"<img src=\"\x01 http://x/i.png\">":                                            `<img src=`,
		`<img src="http:/x/i.png">`:                                                    `<img src=`,
		`<svg><use xlink:href="http://x/i.svg#a"/></svg>`:                              `<use xlink:href=`,
		`<svg><image xlink:href="http://x/i.png"/></svg>`:                              `<image xlink:href=`,
		`<svg><use href="http://x/i.svg#a"/></svg>`:                                    `<use href=`,
		`<link rel="Alternate StyleSheet" href="http://x/s.css">`:                      `<link href=`,
		`<link rel=icon href="http://x/i.png">`:                                        `<link href=`,
		`<link rel=preload as=image imagesrcset="http://x/i.png 2x">`:                  `<link imagesrcset=`,
		`<iframe src="http://x/">`:                                                     `<iframe src=`,
		`<object data="http://x/">`:                                                    `<object data=`,
		`<video poster="http://x/"><source src="y">`:                                   `<video poster=`,
		`<form action="http://x/">`:                                                    `<form action=`,
		`<base href="http://x/">`:                                                      `<base href=`,
		`<body background="http://x/">`:                                                `<body background=`,
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
