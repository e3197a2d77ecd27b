package soak

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/store"
	"github.com/rhettg/ftl/store/s3test"
)

// TestFaultsAtWrites runs the rows about what is written: spool and bless through a bucket that
// loses answers, refuses or stalls.
func TestFaultsAtWrites(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	const spools, blesses = "spool", "bless"
	conflict := s3test.Fail(409, "ConditionalRequestConflict", nil)
	both := []string{spools, blesses}
	cases := []struct {
		name     string
		commands []string
		key      string // of the request
		times    int
		fault    s3test.Fault
		code     []int
		says     string
	}{
		{"503 twice", both, "*.*", 2, s3test.Fail(503, "SlowDown", nil), []int{0}, ""},
		{"503 always", both, "*.*", 0, s3test.Fail(503, "SlowDown", nil), []int{8}, "overloaded"},
		{"denied", both, "*.*", 0, s3test.Fail(403, "AccessDenied", nil), []int{8}, "access denied"},
		{"stored, but the answer was lost: archive", []string{spools}, "*.tar.zst", 1, s3test.Lost(500, "InternalError"), []int{0}, ""},
		{"stored, but the answer was lost: manifest", []string{spools}, "*.ftl", 1, s3test.Lost(500, "InternalError"), []int{0}, ""},
		{"stored, but the answer was lost: marker", []string{blesses}, "*.rev", 1, s3test.Lost(500, "InternalError"), []int{0}, ""},
		{"another write at the same time, 4 times", both, "*.*", 4, conflict, []int{0}, ""},
		{"another write at the same time, always", both, "*.*", 0, conflict, []int{8}, ""},
		{"no conditional writes", both, "*", 0, s3test.Fail(501, "NotImplemented", nil), []int{7}, "conditional"},
		{"no answer once", both, "*.*", 1, s3test.Silence(), []int{0}, ""},
		{"no answer always", both, "*.*", 0, s3test.Silence(), []int{8}, ""},
		{"slow", both, "*.*", 0, s3test.Slow(64<<10, 10*time.Millisecond), []int{0}, ""},
		{"web page", both, "*.*", 0, s3test.Page(), []int{8}, "not from an S3 bucket"},
		{"clock too far off", both, "*.*", 0, s3test.Fail(403, "RequestTimeTooSkewed", nil), []int{8}, "clock"},
	}
	type kase struct {
		n       int
		command string
	}
	var all []kase
	for n := range cases {
		for _, command := range cases[n].commands {
			all = append(all, kase{n, command})
		}
	}
	several(t, "S3 faults at spool and at a blessing", len(all), 4, func(c *check, i int) {
		k, command := cases[all[i].n], all[i].command
		c.name = command + ", " + k.name
		r := newRelease(c, server, 200_000)
		defer r.template.forget()
		proxy := s3test.NewProxy(c, server.Endpoint)
		proxy.Add(s3test.Rule{Method: "PUT", Key: k.key, To: k.times, Fault: k.fault})
		h := newHost(c, r.env(proxy.URL)...)
		defer h.forget()
		before := r.keys(c)
		dir := filepath.Join(c.TB.TempDir(), "parts")
		c.must(os.Mkdir(dir, 0o755))
		c.must(os.WriteFile(filepath.Join(dir, "f"), []byte("three"), 0o644))
		args := []string{"spool", dir}
		if command == blesses {
			args = []string{"jump", "--master", r.old["parts"]}
		}
		e := h.ftl(args...)
		if !slices.Contains(k.code, e.code) || !strings.Contains(e.stderr, k.says) {
			c.errorf("want exit code %v and %q: %v", k.code, k.says, e)
		}
		// What was refused is not there; what succeeded is there once.
		listed := strings.Count(r.template.ok("list", "--master", "parts"), "parts.")
		if want := map[bool]int{true: 3, false: 2}[command == spools && e.code == 0]; listed != want {
			c.errorf("%d revisions are listed, want %d; keys before: %q, after: %q", listed, want, before, r.keys(c))
		}
		active := r.new["parts"]
		if command == blesses && e.code == 0 {
			active = r.old["parts"]
		}
		if list := r.template.ok("list", "--master", "parts"); !strings.Contains(list, active+"\t(active)") {
			c.errorf("want %s active: %s", active, list)
		}
		well := r.template.ftl("sync", "parts")
		if well.code != 0 || r.template.active("parts") != active {
			c.errorf("a sync afterwards, active is %q: %v", r.template.active("parts"), well)
		}
	})
}

// keys returns what is in the bucket.
func (r *release) keys(c *check) (keys []string) {
	c.Helper()
	b, err := store.Open(c.Context(), "file://"+filepath.Join(r.server.Data, r.bucket), store.Options{})
	c.must(err)
	listing, err := b.List(c.Context(), store.ListOptions{})
	c.must(err)
	for _, object := range listing.Objects {
		keys = append(keys, object.Key)
	}
	return keys
}
