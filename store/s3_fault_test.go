package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhettg/ftl/store"
	"github.com/rhettg/ftl/store/s3test"
	"github.com/rhettg/ftl/store/storetest"
)

// bodySize is larger than what a kernel buffers of a connection that is not
// read, and below the limit of a single PUT of store.Shrunk.
const bodySize = 2 << 20

var faultBody = func() string {
	body := make([]byte, bodySize)
	rand.NewChaCha8([32]byte{1}).Read(body)
	return string(body)
}()

// faulty returns a bucket with an object "k" behind a proxy without rules yet.
func faulty(t *testing.T) (store.Bucket, *s3test.Proxy) {
	t.Helper()
	server := s3test.Start(t)
	server.Setenv(t)
	name := server.Bucket(t)
	storetest.Put(t, openS3(t, name, store.Options{}), "k", faultBody)
	proxy := s3test.NewProxy(t, server.Endpoint)
	t.Setenv("AWS_ENDPOINT_URL", proxy.URL)
	t.Setenv("AWS_ENDPOINT_URL_S3", proxy.URL)
	return openS3(t, name, store.Shrunk()), proxy
}

func read(b store.Bucket, ctx context.Context, opts store.GetOptions) (string, error) {
	r, _, err := b.Get(ctx, "k", opts)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(r)
	return string(body), errors.Join(err, r.Close())
}

func put(t *testing.T, b store.Bucket, key, body string, opts store.PutOptions) error {
	t.Helper()
	opts.SHA256 = sha256.Sum256([]byte(body))
	_, err := b.Put(t.Context(), key, strings.NewReader(body), opts)
	return err
}

func TestDownloadIsResumed(t *testing.T) {
	const cut = bodySize / 3
	for name, fault := range map[string]s3test.Fault{
		"Reset":      s3test.Reset(cut),
		"Truncate":   s3test.Truncate(cut),
		"Stall":      s3test.Stall(cut),
		"StallAtEnd": s3test.Stall(bodySize - 1),
		"Trickle":    s3test.Trickle(cut, 10*time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			b, proxy := faulty(t)
			proxy.Add(s3test.Rule{Method: "GET", Key: "k", To: 1, Fault: fault})
			got, err := read(b, t.Context(), store.GetOptions{})
			if err != nil || got != faultBody {
				t.Errorf("read %d bytes, %v, want all %d", len(got), err, bodySize)
			}
			requests := proxy.Requests()
			if len(requests) != 2 {
				t.Fatalf("%d requests, want 2", len(requests))
			}
			again := requests[1]
			if !strings.HasPrefix(again.Range, "bytes=") || again.Range == "bytes=0-" || again.Header.Get("If-Match") == "" {
				t.Errorf("the second request has the range %q and If-Match %q", again.Range, again.Header.Get("If-Match"))
			}
		})
	}
}

func TestRangeIsResumed(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Method: "GET", Key: "k", To: 3, Fault: s3test.Reset(100_000)})
	got, err := read(b, t.Context(), store.GetOptions{Offset: 1000, Length: 1_000_000})
	if err != nil || got != faultBody[1000:1_001_000] {
		t.Errorf("read %d bytes, %v, want 1,000,000", len(got), err)
	}
}

func TestReadAfterCloseDoesNotConnect(t *testing.T) {
	b, proxy := faulty(t)
	r, _, err := b.Get(t.Context(), "k", store.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	before := len(proxy.Requests())
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v, want fs.ErrClosed", err)
	}
	if n := len(proxy.Requests()) - before; n > 0 {
		t.Errorf("%d requests after Close", n)
	}
}

func TestDownloadGivesUp(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Method: "GET", Key: "k", Fault: s3test.Reset(10_000)})
	_, err := read(b, t.Context(), store.GetOptions{})
	isError(t, err)
	if n := len(proxy.Requests()); n != 6 {
		t.Errorf("%d requests, want 1 and 5 to resume", n)
	}
}

func TestResumeNoticesAnotherObject(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Method: "GET", Key: "k", To: 1, Fault: s3test.Stall(1000)})
	r, _, err := b.Get(t.Context(), "k", store.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	storetest.Put(t, b, "k", "another")
	if _, err := io.ReadAll(r); !errors.Is(err, store.ErrPrecondition) {
		t.Errorf("error is %v, want ErrPrecondition", err)
	}
}

func TestAnswerToAnotherRange(t *testing.T) {
	for name, fault := range map[string]s3test.Fault{
		"Wrong":     s3test.Header("Content-Range", "bytes 0-9/10"),
		"Shifted":   s3test.Header("Content-Range", "bytes 11-2097151/2097152"),
		"Elsewhere": s3test.Header("Content-Range", "bytes 0-2097141/2097152"),
		"Malformed": s3test.Header("Content-Range", "bytes"),
	} {
		t.Run(name, func(t *testing.T) {
			b, proxy := faulty(t)
			proxy.Add(s3test.Rule{Method: "GET", Key: "k", To: 2, Fault: fault})
			got, err := read(b, t.Context(), store.GetOptions{Offset: 10})
			if err != nil || got != faultBody[10:] {
				t.Errorf("read %d bytes, %v, want %d", len(got), err, bodySize-10)
			}
			proxy.Add(s3test.Rule{Method: "GET", Key: "k", Fault: fault})
			_, err = read(b, t.Context(), store.GetOptions{Offset: 10})
			isError(t, err)
		})
	}
}

func TestServerWithoutRanges(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Method: "GET", Key: "k", Fault: s3test.Whole(faultBody)})
	for _, opts := range []store.GetOptions{{Offset: 10}, {Offset: 10, Length: 20}, {Length: 20}} {
		want := faultBody[opts.Offset:]
		if opts.Length > 0 {
			want = want[:opts.Length]
		}
		if got, err := read(b, t.Context(), opts); err != nil || got != want {
			t.Errorf("%+v: read %d bytes, %v, want %d", opts, len(got), err, len(want))
		}
	}
}

func TestServerErrorsAreRetried(t *testing.T) {
	for _, code := range []string{"InternalError", "SlowDown"} {
		b, proxy := faulty(t)
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
			proxy.Add(s3test.Rule{Method: method, To: 2, Fault: s3test.Fail(503, code, nil)})
		}
		if _, err := b.Stat(t.Context(), "k"); err != nil {
			t.Errorf("Stat: %v", err)
		}
		if got, err := read(b, t.Context(), store.GetOptions{}); err != nil || got != faultBody {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if err := put(t, b, "k2", faultBody, store.PutOptions{IfAbsent: true}); err != nil {
			t.Errorf("Put: %v", err)
		}
		if err := b.Delete(t.Context(), "k"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
}

// everything does each operation, at once, and returns the errors.
func everything(t *testing.T, b store.Bucket) map[string]error {
	t.Helper()
	errs := map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for op, do := range map[string]func() error{
		"list": func() error {
			_, err := b.List(t.Context(), store.ListOptions{Prefix: "k"})
			return err
		},
		"stat": func() error {
			_, err := b.Stat(t.Context(), "k")
			return err
		},
		"get": func() error {
			_, err := read(b, t.Context(), store.GetOptions{})
			return err
		},
		"put":    func() error { return put(t, b, "k", "x", store.PutOptions{}) },
		"delete": func() error { return b.Delete(t.Context(), "k") },
	} {
		wg.Go(func() {
			err := do()
			mu.Lock()
			defer mu.Unlock()
			errs[op] = err
		})
	}
	wg.Wait()
	return errs
}

func TestFailuresAreExplained(t *testing.T) {
	region := http.Header{"X-Amz-Bucket-Region": {"eu-central-1"}}
	location := http.Header{"Location": {"https://b.s3.eu-central-1.example/"}}
	for name, test := range map[string]struct {
		fault      s3test.Fault
		text, hint string
	}{
		"Denied":        {s3test.Fail(403, "AccessDenied", nil), "access denied (AccessDenied)", "needs"},
		"NoBucket":      {s3test.Fail(404, "NoSuchBucket", nil), "there is no bucket ftl-", "FTL_BUCKET"},
		"Expired":       {s3test.Fail(400, "ExpiredToken", nil), "the credentials have expired (ExpiredToken)", "log in"},
		"UnknownKey":    {s3test.Fail(403, "InvalidAccessKeyId", nil), "access key", "AWS_ACCESS_KEY_ID"},
		"WrongSecret":   {s3test.Fail(403, "SignatureDoesNotMatch", nil), "secret key", "AWS_SECRET_ACCESS_KEY"},
		"Moved":         {s3test.Fail(301, "PermanentRedirect", region), "region eu-central-1", "AWS_REGION=eu-central-1"},
		"MovedForNow":   {s3test.Fail(307, "TemporaryRedirect", location), "b.s3.eu-central-1.example", "AWS_REGION"},
		"OtherRegion":   {s3test.Fail(400, "AuthorizationHeaderMalformed", region), "region eu-central-1", "AWS_REGION=eu-central-1"},
		"Down":          {s3test.Fail(500, "InternalError", nil), "the bucket says: made by the test (InternalError)", ""},
		"Overloaded":    {s3test.Fail(503, "SlowDown", nil), "overloaded (SlowDown)", "later"},
		"BadGateway":    {s3test.Answer(502, nil, "<html>bad"), "not from an S3 bucket: status 502", "AWS_ENDPOINT_URL"},
		"NotFoundPage":  {s3test.Answer(404, nil, "nothing here"), "status 404", "AWS_ENDPOINT_URL"},
		"CaptivePortal": {s3test.Page(), "not from an S3 bucket", "AWS_ENDPOINT_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			b, proxy := faulty(t)
			proxy.Add(s3test.Rule{Fault: test.fault})
			for op, err := range everything(t, b) {
				failure := isError(t, err)
				text := failure.Error()
				if !strings.HasPrefix(text, op+" k: ") || !strings.Contains(text, test.text) || len(text) > 140 {
					t.Errorf("error is %q, want one with %q", text, test.text)
				}
				if !strings.Contains(failure.Hint, test.hint) {
					t.Errorf("hint of %s is %q, want one with %q", op, failure.Hint, test.hint)
				}
			}
		})
	}
}

// TestDeniedNamesThePermission gives each operation the permission that it lacks.
func TestDeniedNamesThePermission(t *testing.T) {
	needs := map[string]string{
		"stat": "s3:GetObject", "get": "s3:GetObject", "list": "s3:ListBucket", "put": "s3:PutObject", "delete": "s3:DeleteObject",
	}
	for _, code := range []string{"AccessDenied", "Forbidden", "Unheard"} {
		b, proxy := faulty(t)
		proxy.Add(s3test.Rule{Fault: s3test.Fail(403, code, nil)})
		for op, err := range everything(t, b) {
			hint := isError(t, err).Hint
			if !strings.Contains(hint, needs[op]) || strings.Contains(hint, "ListBucket") && (op == "put" || op == "delete") {
				t.Errorf("%s: hint of %s is %q, want one about %s", code, op, hint, needs[op])
			}
		}
	}
}

func TestNoBucket(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	for op, err := range everything(t, openS3(t, "no-such-bucket", store.Options{})) {
		failure := isError(t, err)
		if want := op + " k: there is no bucket no-such-bucket (NoSuchBucket)"; failure.Error() != want {
			t.Errorf("error is %q, want %q", failure, want)
		}
	}
}

func TestDeniedIsNotAbsent(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Key: "denied", Fault: s3test.Fail(403, "AccessDenied", nil)})
	_, err := b.Stat(t.Context(), "denied")
	isError(t, err)
	if _, err := b.Stat(t.Context(), "absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want fs.ErrNotExist", err)
	}
}

func TestSilenceEnds(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Fault: s3test.Silence()})
	for _, err := range everything(t, b) {
		if failure := isError(t, err); len(failure.Error()) > 60 {
			t.Errorf("error is %q", failure)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://"+l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for op, err := range everything(t, openS3(t, "bucket", store.Shrunk())) {
		failure := isError(t, err)
		if text := failure.Error(); !strings.HasPrefix(text, op+" k: dial tcp ") || !strings.HasSuffix(text, "connection refused") {
			t.Errorf("error is %q", failure)
		}
	}
}

func TestStalledUploadEnds(t *testing.T) {
	// Once the kernel has taken all of a body, it gets the time that sending it at
	// the lowest speed takes. The two ends of this connection hold 38 MiB at most
	// where the kernel's limits are as usual.
	const large = 64 << 20
	b, proxy := faulty(t)
	b = openS3(t, store.BucketName(b), store.InOnePut(store.Shrunk(), large))
	proxy.Add(s3test.Rule{Method: "PUT", Fault: s3test.Silence()})
	failure := isError(t, put(t, b, "k2", strings.Repeat(faultBody, large/bodySize), store.PutOptions{IfAbsent: true}))
	if !strings.Contains(failure.Error(), "stalled") {
		t.Errorf("error is %q, want one that says stalled", failure)
	}
}

// A read time-out of the connection would end this one.
func TestSlowUploadGoesOn(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Method: "PUT", Fault: s3test.Slow(16<<10, 8*time.Millisecond)})
	start := time.Now()
	if err := put(t, b, "k2", faultBody, store.PutOptions{IfAbsent: true}); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took < 500*time.Millisecond {
		t.Errorf("the upload took %v: it was not slow", took)
	}
}

func TestLostAnswerToAPut(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Method: "PUT", Key: "new", To: 1, Fault: s3test.Lost(500, "InternalError")})
	opts := store.PutOptions{IfAbsent: true, Metadata: map[string]string{"op": "mine"}}
	if err := put(t, b, "new", "x", opts); !errors.Is(err, store.ErrPrecondition) {
		t.Fatalf("error is %v, want ErrPrecondition", err)
	}
	if o, err := b.Stat(t.Context(), "new"); err != nil || o.Metadata["op"] != "mine" {
		t.Errorf("object has %v, %v, want mine", o.Metadata, err)
	}
}

func TestConflictIsRetried(t *testing.T) {
	conflict := s3test.Fail(409, "ConditionalRequestConflict", nil)
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Method: "PUT", Key: "new", To: 5, Fault: conflict})
	proxy.Add(s3test.Rule{Method: "PUT", Key: "never", Fault: conflict})
	if err := put(t, b, "new", "x", store.PutOptions{IfAbsent: true}); err != nil {
		t.Error(err)
	}
	isError(t, put(t, b, "never", "x", store.PutOptions{IfAbsent: true}))
}

func TestServerWithoutConditions(t *testing.T) {
	for _, fault := range []s3test.Fault{s3test.Fail(501, "NotImplemented", nil), s3test.Fail(400, "InvalidArgument", nil)} {
		b, proxy := faulty(t)
		proxy.Add(s3test.Rule{Method: "PUT", Fault: fault})
		if err := store.CheckConditions(t.Context(), b); !errors.Is(err, store.ErrNoConditions) {
			t.Errorf("error is %v, want ErrNoConditions", err)
		}
		err := put(t, b, "k", "x", store.PutOptions{})
		if isError(t, err); errors.Is(err, store.ErrNoConditions) {
			t.Errorf("error of an unconditional Put is %v", err)
		}
	}
}

func TestConditionsOfAReader(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Method: "PUT", Fault: s3test.Fail(403, "AccessDenied", nil)})
	if failure := isError(t, store.CheckConditions(t.Context(), b)); failure.Op != "put" {
		t.Errorf("error is %v, want that of put", failure)
	}
}

func TestConditionsNeedTwoRequests(t *testing.T) {
	b, proxy := faulty(t)
	if err := store.CheckConditions(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	before := len(proxy.Requests())
	if err := store.CheckConditions(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if n := len(proxy.Requests()) - before; n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestListingThatNeverEnds(t *testing.T) {
	const page = `<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated>`
	var n atomic.Int32
	for name, fault := range map[string]s3test.Fault{
		"SameToken": s3test.Answer(200, nil, page+`<NextContinuationToken>t</NextContinuationToken></ListBucketResult>`),
		"NoToken":   s3test.Answer(200, nil, page+`</ListBucketResult>`),
		"NewTokens": func(x *s3test.Exchange) {
			token := strings.Repeat("t", int(n.Add(1)))
			s3test.Answer(200, nil, page+`<NextContinuationToken>`+token+`</NextContinuationToken></ListBucketResult>`)(x)
		},
		"EmptyPages": s3test.Answer(200, nil, ``),
		"OtherXML":   s3test.Answer(200, nil, `<html><body/></html>`),
	} {
		t.Run(name, func(t *testing.T) {
			b, proxy := faulty(t)
			proxy.Add(s3test.Rule{Query: "list-type=2", Fault: fault})
			_, err := b.List(t.Context(), store.ListOptions{})
			isError(t, err)
			if n := len(proxy.Requests()); name != "NewTokens" && n > 3 {
				t.Errorf("%d requests, want at most 3", n)
			}
		})
	}
}

func TestEmptyPageInAListing(t *testing.T) {
	b, proxy := faulty(t)
	empty := s3test.Answer(200, nil, `<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated>`+
		`<NextContinuationToken>k</NextContinuationToken></ListBucketResult>`)
	// A token is the server's own, so the second page can't be asked of it.
	rest := s3test.Answer(200, nil, `<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>`+
		`<Contents><Key>z</Key><Size>1</Size></Contents></ListBucketResult>`)
	proxy.Add(s3test.Rule{Query: "continuation-token=k", Fault: rest})
	proxy.Add(s3test.Rule{Query: "list-type=2", Fault: empty})
	l, err := b.List(t.Context(), store.ListOptions{})
	if err != nil || len(l.Objects) != 1 || l.Objects[0].Key != "z" {
		t.Errorf("listing has %v, %v, want what follows the empty page", l.Objects, err)
	}
}

// A server that does not keep the order of keys is asked page after page: a range of keys could not
// be told from the next one.
func TestListingOutOfOrder(t *testing.T) {
	b, proxy := faulty(t)
	page := func(token string, keys ...string) s3test.Fault {
		text := "<ListBucketResult><Name>b</Name>"
		if token != "" {
			text += "<IsTruncated>true</IsTruncated><NextContinuationToken>" + token + "</NextContinuationToken>"
		}
		for _, key := range keys {
			text += "<Contents><Key>" + key + "</Key><Size>1</Size></Contents>"
		}
		return s3test.Answer(200, nil, text+"</ListBucketResult>")
	}
	proxy.Add(s3test.Rule{Query: "continuation-token=k", Fault: page("", "d", "c")})
	proxy.Add(s3test.Rule{Query: "start-after=", Fault: page("other", "d", "b")})
	proxy.Add(s3test.Rule{Query: "list-type=2", Fault: page("k", "a", "b")})
	l, err := b.List(t.Context(), store.ListOptions{Split: func(first, last string) []string {
		if first != "a" || last != "b" {
			t.Errorf("split what follows %q to %q, want a to b", first, last)
		}
		return []string{"c"}
	}})
	var got []string
	for _, object := range l.Objects {
		got = append(got, object.Key)
	}
	if want := []string{"a", "b", "c", "d"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestUploadInParts(t *testing.T) {
	b, proxy := faulty(t)
	large := strings.Repeat(faultBody, 6) // 12 MiB, above the limit of 5
	opts := store.PutOptions{IfAbsent: true, Metadata: map[string]string{"op": "1"}}
	if err := put(t, b, "large", large, opts); err != nil {
		t.Fatal(err)
	}
	got, o := storetest.Get(t, b, "large", store.GetOptions{})
	if got != large || o.Metadata["op"] != "1" {
		t.Errorf("read %d bytes with %v, want %d", len(got), o.Metadata, len(large))
	}
	if err := put(t, b, "large", large, opts); !errors.Is(err, store.ErrPrecondition) {
		t.Errorf("error is %v, want ErrPrecondition", err)
	}
	_, err := b.Put(t.Context(), "other", strings.NewReader(large), store.PutOptions{SHA256: sha256.Sum256(nil)})
	if isError(t, err); !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("error is %v, want one about the digest", err)
	}
	proxy.Add(s3test.Rule{Method: "POST", Query: "uploadId", Fault: s3test.Fail(200, "InternalError", nil)})
	isError(t, put(t, b, "other", large, store.PutOptions{}))
	if _, err := b.Stat(t.Context(), "other"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want fs.ErrNotExist", err)
	}
}

func TestPutIsPlain(t *testing.T) {
	b, proxy := faulty(t)
	storetest.Put(t, b, "k", faultBody)
	header := proxy.Requests()[0].Header
	if enc := header.Get("Content-Encoding"); enc != "" || header.Get("X-Amz-Checksum-Sha256") == "" {
		t.Errorf("Put sends the encoding %q and the digest %q", enc, header.Get("X-Amz-Checksum-Sha256"))
	}
	if agent := header.Get("User-Agent"); !strings.Contains(agent, "ftl/") {
		t.Errorf("the user agent is %q", agent)
	}
}

func TestClockFarOff(t *testing.T) {
	b, proxy := faulty(t)
	date := time.Now().Add(-10 * time.Minute).UTC().Format(http.TimeFormat)
	proxy.Add(s3test.Rule{Fault: s3test.Header("Date", date)})
	var warnings atomic.Int32
	opts := store.Shrunk()
	opts.Warn = func(string, ...any) { warnings.Add(1) }
	b, err := store.Open(t.Context(), store.BucketName(b), opts)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if o, err := b.Stat(t.Context(), "k"); err != nil || time.Since(o.Date) < 9*time.Minute {
			t.Errorf("Date is %v, %v, want 10 minutes ago", o.Date, err)
		}
	}
	if n := warnings.Load(); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
}

func TestCancelledDownload(t *testing.T) {
	b, proxy := faulty(t)
	proxy.Add(s3test.Rule{Method: "GET", Fault: s3test.Stall(1000)})
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := b.Get(ctx, "k", store.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
}

func TestNoCredentials(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	hole, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+hole.Addr().String())
	b := openS3(t, "bucket", store.Options{})
	start := time.Now()
	_, err = b.Stat(t.Context(), "k")
	failure := isError(t, err)
	if !strings.HasPrefix(failure.Error(), "stat k: there are no credentials") || !strings.Contains(failure.Hint, "AWS_ACCESS_KEY_ID") {
		t.Errorf("error is %q with the hint %q", failure, failure.Hint)
	}
	t.Logf("%v after %v", failure, time.Since(start))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v, want at most 5 s", took)
	}
}
