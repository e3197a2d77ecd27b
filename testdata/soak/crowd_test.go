package soak

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rhettg/ftl/cmd"
	"github.com/rhettg/ftl/store/s3test"
)

// TestCrowd lets many hosts start at once against a server that answers 503 above a rate. Each
// starts again when its sync failed, as cron would. They are goroutines with the time-outs of the
// program as it is shipped.
func TestCrowd(t *testing.T) {
	const hosts, perSecond, syncs = 200, 150, 20
	server := s3test.Start(t)
	var r *release
	one(t, "S3 faults: the bucket", "release", func(c *check) { r = newRelease(c, server, 4000) })
	proxy := s3test.NewProxy(t, server.Endpoint)
	var mu sync.Mutex
	var recent []time.Time
	busy := 0
	proxy.Add(s3test.Rule{Fault: s3test.AnyOf(func() s3test.Fault {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		recent = slices.DeleteFunc(recent, func(at time.Time) bool { return now.Sub(at) > time.Second })
		if len(recent) >= perSecond {
			busy++
			return s3test.Fail(503, "SlowDown", nil)
		}
		recent = append(recent, now)
		return nil
	})})
	behind := server
	behind.Endpoint = proxy.URL
	behind.Setenv(t)
	started := time.Now()
	several(t, "hosts that start at once, 503 above a rate", hosts, hosts, func(c *check, i int) {
		dir, err := os.MkdirTemp("", "ftl-soak-crowd-")
		c.must(err)
		defer os.RemoveAll(dir)
		environ := []string{"FTL_ROOT=" + dir, "FTL_BUCKET=" + r.bucket, "FTL_NODE=" + fmt.Sprint("web", i), "FTL_ENV_FILE=none"}
		pkg := packages[i%2]
		c.must(os.Mkdir(filepath.Join(dir, pkg), 0o755))
		var out bytes.Buffer
		code := -1
		for n := 0; n < syncs && code != 0; n++ {
			out.Reset()
			program := cmd.Program{Stdout: &out, Stderr: &out, Environ: environ}
			code = program.Run(c.Context(), []string{"sync"})
			if code != 0 && code != 8 {
				c.errorf("want exit code 0 or 8, got %d: %s", code, &out)
			}
		}
		h := &host{check: c, root: dir}
		if code != 0 || h.active(pkg) != r.new[pkg] {
			c.errorf("exit code %d after %d syncs, active %q: %s", code, syncs, h.active(pkg), &out)
		}
	})
	if took := time.Since(started); busy == 0 || took > 5*time.Minute {
		t.Errorf("%d answers were 503, and it took %v", busy, took)
	}
}
