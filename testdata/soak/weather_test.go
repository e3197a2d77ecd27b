package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhettg/ftl/store/s3test"
)

// weather damages a part of the requests, each in one of the ways that there are, where it is in
// the body within its first bytes.
func weather(source *rand.Rand, part float64, first int64) s3test.Fault {
	var mu sync.Mutex
	return s3test.AnyOf(func() s3test.Fault {
		mu.Lock()
		defer mu.Unlock()
		if source.Float64() >= part {
			return nil
		}
		n := source.Int64N(first)
		return []s3test.Fault{
			s3test.Fail(500, "InternalError", nil),
			s3test.Fail(503, "SlowDown", nil),
			s3test.Answer(502, nil, "<html>bad gateway"),
			s3test.Fail(403, "AccessDenied", nil),
			s3test.Fail(400, "ExpiredToken", nil),
			s3test.Reset(n), s3test.Truncate(n), s3test.Stall(n), s3test.Unsized(n), s3test.Flip(n),
			s3test.Trickle(n, 10*time.Millisecond),
			s3test.Silence(), s3test.Page(),
		}[source.IntN(13)]
	})
}

// TestWeather syncs through 30 % of mixed faults until the host is where it should be, and through
// 99 % to see that nothing changes.
func TestWeather(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	var r *release
	one(t, "S3 faults: the bucket", "release", func(c *check) { r = newRelease(c, server, 40_000) })
	several(t, "syncs at 30 % mixed faults, until they converge", 200*scale, 6, func(c *check, i int) {
		proxy := s3test.NewProxy(c, server.Endpoint)
		proxy.Add(s3test.Rule{Fault: weather(random(i), 0.3, 3000)})
		h := r.host(c, proxy)
		defer h.forget()
		pkg := packages[i%2]
		for range 40 {
			before := h.snapshot()
			e := h.syncNow(pkg, r.new[pkg])
			if e.code == 0 {
				r.isNew(h, pkg)
				return
			}
			if !slices.Contains([]int{6, 7, 8}, e.code) {
				c.errorf("want exit code 0, 6, 7 or 8: %v", e)
			}
			h.isSwept(pkg)
			if h.active(pkg) == r.old[pkg] && !strings.Contains(e.stdout, "is ready") {
				h.unchanged(before)
			}
		}
		c.errorf("40 syncs did not converge")
	})
	several(t, "syncs at 99 % mixed faults, that change nothing", 100*scale, 6, func(c *check, i int) {
		proxy := s3test.NewProxy(c, server.Endpoint)
		proxy.Add(s3test.Rule{Fault: weather(random(i), 0.99, 20)})
		h := r.host(c, proxy)
		defer h.forget()
		pkg := packages[i%2]
		before := h.snapshot()
		if e := h.ftl("sync", pkg); !slices.Contains([]int{6, 7, 8}, e.code) {
			c.errorf("want exit code 6, 7 or 8: %v", e)
		}
		h.unchanged(before)
		h.isSwept(pkg)
	})
}

// TestCuts cuts the download of a small archive after every so many bytes, so that it has to be
// taken up again.
func TestCuts(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	var r *release
	one(t, "S3 faults: the bucket", "release", func(c *check) { r = newRelease(c, server, 1200) })
	for _, pkg := range packages {
		size := 0
		files, err := filepath.Glob(filepath.Join(server.Data, r.bucket, r.new[pkg]+".t*"))
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			size = int(info.Size())
		}
		if err != nil || size == 0 {
			t.Fatalf("the archive of %s is not there: %v", r.new[pkg], err)
		}
		step := max(1, 24/scale)
		row := fmt.Sprintf("download of %d bytes cut every %d, %s", size, step, pkg)
		several(t, row, (size+step-1)/step, 4, func(c *check, i int) {
			n := int64(i * step)
			cut := []func(int64) s3test.Fault{s3test.Reset, s3test.Truncate}[i%2](n)
			proxy := s3test.NewProxy(c, server.Endpoint)
			rule := payload.rule(r, pkg)
			rule.To, rule.Fault = 1, cut
			proxy.Add(rule)
			h := r.host(c, proxy)
			defer h.forget()
			if e := h.ftl("sync", pkg); e.code != 0 {
				c.errorf("cut after %d bytes: %v", n, e)
			}
			r.isNew(h, pkg)
			var ranges []string
			for _, request := range proxy.Requests() {
				if strings.HasPrefix(request.Key, r.new[pkg]+".t") {
					ranges = append(ranges, request.Range+" "+request.Header.Get("If-Match"))
				}
			}
			// On a busy machine a time-out may come on top of the cut.
			if n > 0 && (len(ranges) < 2 || !strings.HasPrefix(ranges[1], fmt.Sprintf("bytes=%d-", n)) || strings.HasSuffix(ranges[1], " ")) {
				c.errorf("cut after %d bytes: want a second request for what follows, got %q", n, ranges)
			}
		})
	}
}
