package soak

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/store/s3test"
)

// object is one of the things that a sync reads, and where its middle is.
type object struct {
	name   string
	rule   func(r *release, pkg string) s3test.Rule
	middle int64
}

var (
	marker = object{"marker", func(r *release, pkg string) s3test.Rule {
		return s3test.Rule{Method: "GET", Key: pkg + ".rev"}
	}, 20}
	manifest = object{"manifest", func(r *release, pkg string) s3test.Rule {
		return s3test.Rule{Method: "GET", Key: r.new[pkg] + ".ftl"}
	}, 50}
	payload = object{"archive", func(r *release, pkg string) s3test.Rule {
		return s3test.Rule{Method: "GET", Key: r.new[pkg] + ".t*"}
	}, 50_000}
	listing = object{"list", func(r *release, pkg string) s3test.Rule {
		return s3test.Rule{Method: "GET", Query: "list-type=2"}
	}, 100}

	reads = []object{marker, manifest, payload}
	every = []object{marker, manifest, payload, listing}
)

// fault is a row of the table in reliability.md §4, as far as it is about what a host reads.
type fault struct {
	name    string
	objects []object
	times   int // requests that meet it; 0 is all
	make    func(middle int64) s3test.Fault
	code    []int  // any of these; 0 is the new revision, all others the host as it was
	says    string // on stderr, of a failure
}

func failing(status int, code string, header http.Header) func(int64) s3test.Fault {
	return func(int64) s3test.Fault { return s3test.Fail(status, code, header) }
}

func always(fault s3test.Fault) func(int64) s3test.Fault {
	return func(int64) s3test.Fault { return fault }
}

const emptyList = `<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`

func faults() []fault {
	clock := func(offset time.Duration) http.Header {
		return http.Header{"Date": {time.Now().Add(offset).UTC().Format(http.TimeFormat)}}
	}
	region := http.Header{"X-Amz-Bucket-Region": {"eu-central-1"}}
	trickle := func(middle int64) s3test.Fault { return s3test.Trickle(middle/50, 20*time.Millisecond) }
	list, archive := []object{listing}, []object{payload}
	done, unreachable, refused, missing := []int{0}, []int{8}, []int{7}, []int{6}
	return []fault{
		{"500 twice", every, 2, failing(500, "InternalError", nil), done, ""},
		{"502 twice", every, 2, always(s3test.Answer(502, nil, "<html>bad gateway")), done, ""},
		{"503 twice", every, 2, failing(503, "SlowDown", nil), done, ""},
		{"500 always", every, 0, failing(500, "InternalError", nil), unreachable, "InternalError"},
		{"503 always", every, 0, failing(503, "SlowDown", nil), unreachable, "overloaded"},
		{"reset in the body once", reads, 1, s3test.Reset, done, ""},
		{"reset in the body of a listing once", list, 1, s3test.Reset, []int{0, 8}, ""},
		{"reset in the body always", every, 0, s3test.Reset, unreachable, ""},
		{"body cut once", reads, 1, s3test.Truncate, done, ""},
		{"body of a listing cut once", list, 1, s3test.Truncate, []int{0, 8}, ""},
		{"body cut always", every, 0, s3test.Truncate, unreachable, ""},
		{"body cut without a length once", every, 1, s3test.Unsized, []int{0, 8}, ""},
		{"body cut without a length always", every, 0, s3test.Unsized, unreachable, ""},
		{"no answer once", every, 1, always(s3test.Silence()), done, ""},
		{"no answer always", every, 0, always(s3test.Silence()), unreachable, "no answer"},
		{"stall in the body once", reads, 1, s3test.Stall, done, ""},
		{"stall in the body of a listing once", list, 1, s3test.Stall, []int{0, 8}, ""},
		{"stall in the body always", every, 0, s3test.Stall, unreachable, ""},
		{"trickle once", reads, 1, trickle, done, ""},
		{"trickle always", archive, 0, trickle, unreachable, "too slow"},
		{"wrong byte once", reads, 1, s3test.Flip, done, ""},
		{"wrong byte always", archive, 0, s3test.Flip, refused, "spooled"},
		{"wrong byte always", []object{marker, manifest}, 0, s3test.Flip, refused, "are not those that were"},
		{"web page", every, 0, always(s3test.Page()), unreachable, "not from an S3 bucket"},
		{"wrong Content-Range once", archive, 1, always(s3test.Header("Content-Range", "bytes 0-9/10")), done, ""},
		{"wrong Content-Range always", archive, 0, always(s3test.Header("Content-Range", "bytes 0-9/10")), unreachable, "another range"},
		{"replaced meanwhile", archive, 0, failing(412, "PreconditionFailed", nil), refused, "spool it again"},
		{"no archive", archive, 0, failing(404, "NoSuchKey", nil), missing, "archive"},
		{"no manifest", []object{manifest}, 0, failing(404, "NoSuchKey", nil), missing, "purged"},
		{"no marker", []object{marker}, 0, failing(404, "NoSuchKey", nil), missing, "the marker of"},
		{"no bucket", every, 0, failing(404, "NoSuchBucket", nil), unreachable, "there is no bucket"},
		{"denied", every, 0, failing(403, "AccessDenied", nil), unreachable, "access denied"},
		{"expired token", every, 0, failing(400, "ExpiredToken", nil), unreachable, "expired"},
		{"clock too far off once", every, 1, failing(403, "RequestTimeTooSkewed", clock(time.Hour)), done, ""},
		{"clock too far off always", every, 0, failing(403, "RequestTimeTooSkewed", http.Header{"Date": nil}), unreachable, "clock"},
		{"another region", every, 0, failing(301, "PermanentRedirect", region), unreachable, "eu-central-1"},
		{"another region for now", every, 0, failing(307, "TemporaryRedirect", region), unreachable, "eu-central-1"},
		{"empty listing", list, 0, always(s3test.Answer(200, nil, emptyList)), missing, "is not in the bucket"},
		{"listing without its end", list, 0, always(s3test.Answer(200, nil, strings.ReplaceAll(emptyList, "false", "true"))), unreachable, "complete"},
		{"listing for ever", list, 0, always(s3test.Answer(200, nil, strings.ReplaceAll(emptyList, "<IsTruncated>false",
			"<NextContinuationToken>t</NextContinuationToken><IsTruncated>true"))), unreachable, "repeats"},
		{"error with 200", list, 0, failing(200, "InternalError", nil), unreachable, ""},
		{"nothing with 200", every, 0, always(s3test.Answer(200, nil, "")), unreachable, ""},
	}
}

// patience is how long a case may take. The limits of an impatient ftl add up to less than two
// seconds, but the machine also runs other cases.
const patience = 8 * time.Second

// TestFaultsAtSync runs every row on every object that it is about, as a whole and in parts.
func TestFaultsAtSync(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	var r *release
	one(t, "S3 faults: the bucket", "release", func(c *check) { r = newRelease(c, server, 600_000) })
	type kase struct {
		fault
		object
		pkg string
	}
	var cases []kase
	for _, f := range faults() {
		for _, o := range f.objects {
			for _, pkg := range packages {
				if f.name != "" && (o.name != "archive" && o.name != "manifest") && pkg == "parts" {
					continue // it is read the same way
				}
				cases = append(cases, kase{f, o, pkg})
			}
		}
	}
	several(t, "S3 faults × {marker, manifest, archive, list}", len(cases), 6, func(c *check, i int) {
		k := cases[i]
		c.name = k.fault.name + ", " + k.object.name + " of " + k.pkg
		proxy := s3test.NewProxy(c, server.Endpoint)
		rule := k.rule(r, k.pkg)
		rule.To, rule.Fault = k.times, k.make(k.middle)
		proxy.Add(rule)
		h := r.host(c, proxy)
		defer h.forget()
		before := h.snapshot()
		e := h.ftl("sync", k.pkg)
		if !slices.Contains(k.code, e.code) {
			c.errorf("want exit code %v: %v", k.code, e)
		}
		if e.code == 0 {
			r.isNew(h, k.pkg)
		} else {
			h.unchanged(before)
			h.isSwept(k.pkg)
			if !strings.Contains(e.stderr, k.says) {
				c.errorf("want it to say %q: %v", k.says, e)
			}
		}
		if e.took > patience {
			c.errorf("too long: %v", e)
		}
		r.converges(h, k.pkg)
	})
}

// TestUnreachable is about faults that do not concern a single object.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	var r *release
	one(t, "S3 faults: the bucket", "release", func(c *check) { r = newRelease(c, server, 10_000) })
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	stranger := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
	defer stranger.Close()
	old := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(target))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	hole, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	cases := []struct {
		name string
		env  []string
		says string
	}{
		{"certificate of nobody known", r.env(stranger.URL), "certificate"},
		{"TLS 1.1", r.env(old.URL), ""},
		{"no TLS", r.env(strings.Replace(server.Endpoint, "http:", "https:", 1)), ""},
		{"nobody there", r.env("http://" + closed.Addr().String()), "connection refused"},
		{"nobody answers", r.env("http://" + hole.Addr().String()), "no answer"},
		{"no credentials", append(r.env(server.Endpoint), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
			"AWS_EC2_METADATA_DISABLED=", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://"+hole.Addr().String()), "no credentials"},
		{"unknown key", append(r.env(server.Endpoint), "AWS_ACCESS_KEY_ID=stranger"), ""},
		{"wrong secret", append(r.env(server.Endpoint), "AWS_SECRET_ACCESS_KEY=wrong"), ""},
	}
	several(t, "S3 out of reach", len(cases), 4, func(c *check, i int) {
		c.name = cases[i].name
		h := r.host(c, &s3test.Proxy{URL: server.Endpoint})
		h.env = append(h.env, cases[i].env...)
		before := h.snapshot()
		e := h.ftl("sync")
		if e.code != 8 || !strings.Contains(e.stderr, cases[i].says) || e.took > 5*time.Second {
			c.errorf("want exit code 8 within 5 s, with %q: %v", cases[i].says, e)
		}
		h.unchanged(before)
		// A way back needs no bucket.
		if e := h.ftl("jump", r.old["whole"]); e.code != 0 {
			c.errorf("jump: %v", e)
		}
		r.converges(h, "parts")
	})
}
