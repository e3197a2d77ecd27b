package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rhettg/ftl/store/s3test"
)

// TestJumpBackDuringDownload jumps back and forth while a download that would take minutes is under
// way. The way back must not wait for it, nor end it.
func TestJumpBackDuringDownload(t *testing.T) {
	t.Parallel()
	const (
		row   = "jump-back during a throttled download"
		pkg   = "my_site"
		speed = 64 << 10 // bytes per second, which is more than ftl gives up at
		big   = 600 * speed
	)
	server := s3test.Start(t)
	one(t, row+": the host", "throttled", func(c *check) {
		bucket := server.Bucket(c)
		throttled := s3test.NewProxy(c, server.Endpoint)
		r := &release{server: server, bucket: bucket}
		h := newHost(c, r.env(throttled.URL)...)
		c.must(os.Mkdir(filepath.Join(h.root, pkg), 0o755))
		bless := func(size int) string {
			dir := filepath.Join(c.TB.TempDir(), pkg)
			c.must(os.Mkdir(dir, 0o755))
			noise := make([]byte, size)
			rand.NewChaCha8([32]byte{byte(size)}).Read(noise)
			c.must(os.WriteFile(filepath.Join(dir, "version"), noise, 0o644))
			revision := h.ok("spool", dir)
			h.ok("jump", "--master", revision)
			return revision
		}
		two := [2]string{}
		for i := range two {
			two[i] = bless(i + 1)
			h.ok("sync")
		}
		three := bless(big)
		throttled.Add(s3test.Rule{Method: "GET", Key: three + ".t*", Fault: s3test.Throttle(speed/50, time.Second/50)})
		download := h.start("sync")
		h.await("the download", func() bool {
			stages, _ := filepath.Glob(filepath.Join(h.root, pkg, "revs", ".stage", "*", "version"))
			return len(stages) > 0
		})
		for i := range 20 * scale {
			one(t, row, fmt.Sprintf("jump-back %d", i), func(c *check) {
				h := &host{check: c, root: h.root, env: h.env}
				if e := h.ftl("jump-back", pkg); e.code != 0 || e.took > 2*time.Second {
					c.errorf("want exit code 0 within 2 s: %v", e)
				}
				if want := two[i%2]; h.active(pkg) != want {
					c.errorf("active is %s, want %s", h.active(pkg), want)
				}
				h.isWhole(pkg)
			})
		}
		select {
		case <-download.ended:
			c.errorf("the download ended: %v", h.end(download))
			return
		default:
		}
		download.Process.Signal(os.Interrupt)
		if e := h.end(download); e.code != 130 {
			c.errorf("want exit code 130: %v", e)
		}
		h.isWhole(pkg)
		h.env = append(h.env, r.env(server.Endpoint)...)
		h.ok("sync") // which leaves the choice of those who jumped back alone
		h.ok("jump", three)
		if h.active(pkg) != three {
			c.errorf("active is %s, want %s", h.active(pkg), three)
		}
		h.isSettled(pkg)
		h.forget()
	})
}
