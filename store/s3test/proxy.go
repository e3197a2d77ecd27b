package s3test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a client and an S3 server and damages what its rules name. It keeps the Host
// header, which the signature covers.
type Proxy struct {
	URL string // the endpoint for the client

	target *url.URL
	done   chan struct{} // closed at the end, so that nothing stalls beyond

	mu       sync.Mutex
	rules    []*rule
	requests []Request
	aged     map[string]aged // by key
}

// Request is what the proxy saw.
type Request struct {
	Method string
	Key    string // "" for one about the bucket
	Range  string // the header
	Header http.Header
}

// Rule names requests and what happens to them.
type Rule struct {
	Method string // "" is any
	Key    string // pattern of path.Match; "" is any, also none
	Query  string // that the query has in it
	From   int    // the first of the matching requests that is damaged, from 1; 0 is 1
	To     int    // the last one; 0 is all
	Fault  Fault
}

type rule struct {
	Rule
	seen int
}

// A Fault answers a request in place of the server. What it forwards it must do at most once.
type Fault func(x *Exchange)

// Exchange is a request on its way through the proxy.
type Exchange struct {
	w    http.ResponseWriter
	r    *http.Request
	p    *Proxy
	host string
}

// NewProxy starts a proxy before an endpoint, until the test ends.
func NewProxy(t testing.TB, endpoint string) *Proxy {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, done: make(chan struct{})}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		close(p.done)
		server.CloseClientConnections()
		server.Close()
	})
	p.URL = server.URL
	return p
}

// Add adds a rule. The first one that matches a request is applied; every rule before it that
// matches counts it.
func (p *Proxy) Add(r Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, &rule{Rule: r})
}

// Requests returns what was asked so far.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.requests...)
}

// ServeHTTP forwards a request, or does what a rule says.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &Exchange{w: w, r: r, p: p, host: r.Host}
	if fault := p.match(r); fault != nil {
		fault(x)
		return
	}
	resp := x.forward()
	if resp == nil {
		return
	}
	if err := p.rewriteTimes(resp, keyOf(r)); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	x.reply(resp, -1, nil)
}

// keyOf returns the key that a request is about, "" for one about the bucket.
func keyOf(r *http.Request) string {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return key
}

func (p *Proxy) match(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := keyOf(r)
	p.requests = append(p.requests, Request{r.Method, key, r.Header.Get("Range"), r.Header.Clone()})
	for _, rule := range p.rules {
		if rule.matches(r, key) {
			rule.seen++
			if rule.seen >= rule.From && (rule.To == 0 || rule.seen <= rule.To) {
				return rule.Fault
			}
		}
	}
	return nil
}

func (r *rule) matches(req *http.Request, key string) bool {
	if r.Method != "" && r.Method != req.Method || !strings.Contains(req.URL.RawQuery, r.Query) {
		return false
	}
	matched, err := path.Match(r.Key, key)
	return r.Key == "" || err == nil && matched
}

// forward sends the request to the server; nil when that failed.
func (x *Exchange) forward() *http.Response {
	out := x.r.Clone(x.r.Context())
	out.URL.Scheme, out.URL.Host = x.p.target.Scheme, x.p.target.Host
	out.RequestURI, out.Host = "", x.host
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		http.Error(x.w, err.Error(), http.StatusBadGateway)
		return nil
	}
	return resp
}

// reply passes an answer on, up to n bytes of its body (-1 is all of them), and then does what is
// to be done in the middle.
func (x *Exchange) reply(resp *http.Response, n int64, then func()) {
	defer resp.Body.Close()
	for name, values := range resp.Header {
		x.w.Header()[name] = values
	}
	if resp.ContentLength >= 0 {
		x.w.Header().Set("Content-Length", fmt.Sprint(resp.ContentLength))
	}
	x.w.WriteHeader(resp.StatusCode)
	body := io.Reader(resp.Body)
	if n >= 0 {
		body = io.LimitReader(body, n)
	}
	// An error is a client that went away.
	_, _ = io.Copy(x.w, body)
	if then != nil {
		_ = http.NewResponseController(x.w).Flush()
		then()
	}
}

// stall waits until the client goes away.
func (x *Exchange) stall() {
	select {
	case <-x.r.Context().Done():
	case <-x.p.done:
	}
}

// cut closes the connection at once, by RST where asked.
func (x *Exchange) cut(reset bool) {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Answer answers without asking the server. The body of the request is read.
func Answer(status int, header http.Header, body string) Fault {
	return func(x *Exchange) {
		_, _ = io.Copy(io.Discard, x.r.Body)
		for name, values := range header {
			x.w.Header()[name] = values
		}
		x.w.WriteHeader(status)
		_, _ = io.WriteString(x.w, body)
	}
}

// Fail answers with an error of S3.
func Fail(status int, code string, header http.Header) Fault {
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/xml")
	return Answer(status, header, fmt.Sprintf("<Error><Code>%s</Code><Message>made by the test.</Message></Error>", code))
}

// Page answers as a captive portal does.
func Page() Fault {
	header := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	return Answer(http.StatusOK, header, "<!DOCTYPE html><html><body>Please log in</body></html>")
}

// Lost lets the server do what was asked, and answers with an error.
func Lost(status int, code string) Fault {
	return func(x *Exchange) {
		if resp := x.forward(); resp != nil {
			_ = resp.Body.Close()
			Fail(status, code, nil)(x)
		}
	}
}

// Reset breaks the connection by RST after n bytes of the body.
func Reset(n int64) Fault {
	return func(x *Exchange) { x.damage(n, func() { x.cut(true) }) }
}

// Truncate closes the connection after n bytes of the body.
func Truncate(n int64) Fault {
	return func(x *Exchange) { x.damage(n, func() { x.cut(false) }) }
}

// Stall sends n bytes of the body, and then nothing more.
func Stall(n int64) Fault {
	return func(x *Exchange) { x.damage(n, x.stall) }
}

func (x *Exchange) damage(n int64, then func()) {
	if resp := x.forward(); resp != nil {
		x.reply(resp, n, then)
	}
}

// Silence never answers.
func Silence() Fault { return (*Exchange).stall }

// Trickle sends n bytes of the body, and the rest byte by byte.
func Trickle(n int64, pause time.Duration) Fault { return drip(n, 1, pause) }

// Throttle sends the body in chunks of n bytes.
func Throttle(n int64, pause time.Duration) Fault { return drip(n, n, pause) }

// drip sends the first bytes of the body, and the rest in chunks, with a pause before each.
func drip(first, chunk int64, pause time.Duration) Fault {
	return func(x *Exchange) {
		resp := x.forward()
		if resp == nil {
			return
		}
		whole := resp.Body
		defer whole.Close()
		x.reply(resp, first, func() {
			for {
				select {
				case <-x.r.Context().Done():
					return
				case <-x.p.done:
					return
				case <-time.After(pause):
				}
				if _, err := io.CopyN(x.w, whole, chunk); err != nil {
					return
				}
				_ = http.NewResponseController(x.w).Flush()
			}
		})
	}
}

// Slow reads the body of a request no faster than size bytes per pause.
func Slow(size int64, pause time.Duration) Fault {
	return func(x *Exchange) {
		x.r.Body = io.NopCloser(&slowReader{x.r.Body, size, pause})
		x.damage(-1, nil)
	}
}

type slowReader struct {
	r     io.Reader
	size  int64
	pause time.Duration
}

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.r.Read(p[:min(int64(len(p)), s.size)])
}

// Flip turns a bit of the byte at an offset of the body.
func Flip(at int64) Fault {
	return func(x *Exchange) {
		resp := x.forward()
		if resp == nil {
			return
		}
		resp.Body = struct {
			io.Reader
			io.Closer
		}{&flipper{resp.Body, at}, resp.Body}
		x.reply(resp, -1, nil)
	}
}

type flipper struct {
	r  io.Reader
	at int64 // bytes until the one
}

func (f *flipper) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if f.at >= 0 && f.at < int64(n) {
		p[f.at] ^= 1
	}
	f.at -= int64(n)
	return n, err
}

// Header answers as the server does, but for a header. An empty value leaves it out.
func Header(name, value string) Fault {
	return func(x *Exchange) {
		resp := x.forward()
		if resp == nil {
			return
		}
		if resp.Header.Set(name, value); value == "" {
			resp.Header.Del(name)
		}
		x.reply(resp, -1, nil)
	}
}

// Whole answers to a request for a range with the whole object, which is the body.
func Whole(body string) Fault {
	return func(x *Exchange) {
		resp := x.forward()
		if resp == nil {
			return
		}
		_ = resp.Body.Close()
		resp.Header.Del("Content-Range")
		resp.StatusCode, resp.ContentLength = http.StatusOK, int64(len(body))
		resp.Body = io.NopCloser(strings.NewReader(body))
		x.reply(resp, -1, nil)
	}
}

// Unsized answers as a server of HTTP/1.0 does, that tells the end of a body by closing the
// connection, and closes it after n bytes: nothing shows that there is more.
func Unsized(n int64) Fault {
	return func(x *Exchange) {
		resp := x.forward()
		if resp == nil {
			return
		}
		defer resp.Body.Close()
		conn, _, err := http.NewResponseController(x.w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		resp.Header.Del("Content-Length")
		fmt.Fprintf(conn, "HTTP/1.0 %s\r\n", resp.Status)
		_ = resp.Header.Write(conn)
		_, _ = io.WriteString(conn, "\r\n")
		_, _ = io.CopyN(conn, resp.Body, n)
	}
}

// AnyOf damages each request by what choose returns; nil is not at all.
func AnyOf(choose func() Fault) Fault {
	return func(x *Exchange) {
		if fault := choose(); fault != nil {
			fault(x)
		} else if resp := x.forward(); resp != nil {
			x.reply(resp, -1, nil)
		}
	}
}
