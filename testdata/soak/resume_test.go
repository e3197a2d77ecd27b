package soak

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rhettg/ftl/store/s3test"
)

// counted is a proxy that counts what it passes on of archives, at a speed that no buffer hides.
type counted struct {
	*httptest.Server
	bytes atomic.Int64
}

func newCounted(c *check, endpoint string) *counted {
	target, err := url.Parse(endpoint)
	c.must(err)
	p := new(counted)
	p.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // which is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if key := r.Request.URL.Path; r.Request.Method == http.MethodGet && strings.Contains(filepath.Base(key), ".t") {
				r.Body = struct {
					io.Reader
					io.Closer
				}{countedReader{p, r.Body}, r.Body}
			}
			return nil
		},
		ErrorLog: log.New(io.Discard, "", 0), // of connections that were cut
	})
	c.TB.Cleanup(p.CloseClientConnections)
	return p
}

type countedReader struct {
	proxy *counted
	r     io.Reader
}

func (r countedReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b[:min(len(b), 32<<10)])
	r.proxy.bytes.Add(int64(n))
	time.Sleep(4 * time.Millisecond)
	return n, err
}

// TestGoesOn ends a fetch at random moments, three times, and counts what is fetched twice.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	const (
		row = "a fetch that is ended goes on where it was"
		pkg = "my_site"
	)
	server := s3test.Start(t)
	noise := make([]byte, 24<<20)
	rand.NewChaCha8([32]byte{7}).Read(noise)
	for _, shape := range []string{"many files", "one file", "whole"} {
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
			one(t, row, fmt.Sprintf("%s, %v", shape, signal), func(c *check) {
				r := &release{server: server, bucket: server.Bucket(c)}
				proxy := newCounted(c, server.Endpoint)
				h := newHost(c, r.env(server.Endpoint)...)
				c.must(os.Mkdir(filepath.Join(h.root, pkg), 0o755))
				dir := filepath.Join(c.TB.TempDir(), pkg)
				c.must(os.Mkdir(dir, 0o755))
				c.must(os.WriteFile(filepath.Join(dir, "version"), []byte("1"), 0o644))
				args := []string{"spool", dir}
				if shape == "one file" {
					c.must(os.WriteFile(filepath.Join(dir, "program"), noise, 0o755))
				} else {
					for i := range 240 {
						c.must(os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), noise[i*100_000:][:100_000], 0o644))
					}
				}
				if shape == "whole" {
					out, err := exec.Command("tar", "-C", dir, "-cf", dir+".tar", ".").CombinedOutput()
					if err != nil {
						c.Fatalf("tar: %v: %s", err, out)
					}
					args = []string{"spool", "--as-is", dir + ".tar"}
				}
				h.ok("jump", "--master", h.ok(args...))
				h.env = append(h.env, r.env(proxy.URL)...)
				size := int64(len(noise))
				for range 3 {
					until := proxy.bytes.Load() + size/8 + rand.Int64N(size/8)
					fetch := h.start("sync")
					h.await("the fetch", func() bool { return proxy.bytes.Load() > until })
					fetch.Process.Signal(signal)
					h.end(fetch)
				}
				h.ok("sync")
				h.isSettled(pkg)
				// Once for each of the ends.
				if twice, most := proxy.bytes.Load()-size, 3*(size/50+8<<20); twice > most {
					c.errorf("%d of %d bytes were fetched twice, want at most %d", twice, size, most)
				}
				h.forget()
			})
		}
	}
}
