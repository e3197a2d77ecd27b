package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rhettg/ftl/store/s3test"
)

// The packages of a release. What is fetched as a whole and what is fetched in parts go different
// ways.
var packages = []string{"whole", "parts"}

// release is a bucket with two revisions of each package, the second of which was blessed after a
// host had followed the first.
type release struct {
	server   s3test.Server
	bucket   string
	old, new map[string]string // by package
	template *host             // the host

	mu      sync.Mutex
	settled map[string]string // the trees of the new revisions
}

// newRelease fills a bucket of the S3 server. Each revision has about so many bytes.
func newRelease(c *check, server s3test.Server, size int) *release {
	c.Helper()
	r := &release{server: server, old: map[string]string{}, new: map[string]string{}}
	r.bucket = "ftl-soak-" + fmt.Sprint(rand.Uint64())
	c.must(server.MakeBucket(c.Context(), r.bucket))
	r.template = newHost(c, r.env(server.Endpoint)...)
	for _, pkg := range packages {
		c.must(os.Mkdir(filepath.Join(r.template.root, pkg), 0o755))
		r.old[pkg] = r.spool(c, pkg, "one", size)
		r.template.ok("jump", "--master", r.old[pkg])
	}
	r.template.ok("sync")
	for _, pkg := range packages {
		r.new[pkg] = r.spool(c, pkg, "two", size)
		r.template.ok("jump", "--master", r.new[pkg])
	}
	return r
}

// env is the environment that reaches the bucket through an endpoint.
func (r *release) env(endpoint string) []string {
	env := []string{"FTL_BUCKET=" + r.bucket}
	for _, variable := range r.server.Env() {
		env = append(env, strings.ReplaceAll(variable, r.server.Endpoint, endpoint))
	}
	return env
}

// spool spools a revision that says which one it is.
func (r *release) spool(c *check, pkg, version string, size int) string {
	c.Helper()
	dir := filepath.Join(c.TB.TempDir(), pkg)
	c.must(os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	c.must(os.WriteFile(filepath.Join(dir, "version"), []byte(version), 0o644))
	c.must(os.Symlink("../version", filepath.Join(dir, "sub", "link")))
	for i := range 4 {
		noise := make([]byte, size/4)
		rand.NewChaCha8([32]byte{byte(i), version[0]}).Read(noise)
		c.must(os.WriteFile(filepath.Join(dir, "sub", fmt.Sprint(i)), noise, 0o644))
	}
	if pkg == "parts" {
		return r.template.ok("spool", dir)
	}
	packed := dir + ".tgz"
	out, err := exec.Command("tar", "-C", dir, "-czf", packed, ".").CombinedOutput()
	if err != nil {
		c.errorf("tar: %v\n%s", err, out)
	}
	return r.template.ok("spool", "--as-is", packed)
}

// host returns a copy of the template that reaches the bucket through a proxy.
func (r *release) host(c *check, proxy *s3test.Proxy) *host {
	c.Helper()
	h := newHost(c, r.env(proxy.URL)...)
	c.must(os.Remove(h.root))
	if out, err := exec.Command("cp", "-a", r.template.root, h.root).CombinedOutput(); err != nil {
		c.errorf("cp: %v\n%s", err, out)
	}
	return h
}

// converges reports a host that does not get to the new revision of a package once the bucket
// works.
func (r *release) converges(h *host, pkg string) {
	h.Helper()
	well := *h
	well.env = append(append([]string(nil), h.env...), r.env(r.server.Endpoint)...)
	if e := well.syncNow(pkg, r.new[pkg]); e.code != 0 {
		h.errorf("with a bucket that is well again: %v", e)
	}
	r.isNew(h, pkg)
}

// syncNow is a sync. If that waits for its next try, because it refused what it got, it is the
// command that sync names for those who don't want to wait.
func (h *host) syncNow(pkg, revision string) ended {
	h.Helper()
	e := h.ftl("sync", pkg)
	if e.code == 7 && strings.Contains(e.stderr, "the next try is at") {
		return h.ftl("jump", revision)
	}
	return e
}

// isNew reports a new revision that is not active, or not complete.
func (r *release) isNew(h *host, pkg string) {
	h.Helper()
	if got := h.active(pkg); got != r.new[pkg] {
		h.errorf("active is %q, want %q", got, r.new[pkg])
	}
	h.isTidy(pkg)
	want := r.trees(h.check)[pkg]
	if got := strings.Join(h.tree(filepath.Join(h.root, pkg, "current")+"/.", nil), "\n"); got != want {
		h.errorf("the tree of %s differs: %s", r.new[pkg], difference(want, got))
	}
}

// trees returns the trees of the new revisions, as a sync without a fault makes them.
func (r *release) trees(c *check) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled == nil {
		h := newHost(c, r.env(r.server.Endpoint)...)
		r.settled = map[string]string{}
		for _, pkg := range packages {
			c.must(os.Mkdir(filepath.Join(h.root, pkg), 0o755))
			h.ok("sync", pkg)
			r.settled[pkg] = strings.Join(h.tree(filepath.Join(h.root, pkg, "current")+"/.", nil), "\n")
		}
	}
	return r.settled
}
