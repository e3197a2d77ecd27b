package store

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// defaultRegion is used where none is configured. Other servers than Amazon's
// mostly don't look at it, and Amazon's names the right one in its answer.
const defaultRegion = "us-east-1"

func openS3(ctx context.Context, name, prefix string, opts Options) (*s3Bucket, error) {
	role := &machineRole{}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = role }))
	if err != nil {
		return nil, &Error{Op: "open", Key: name, Err: unwrapped(err),
			Hint: "see AWS_PROFILE, ~/.aws/config and ~/.aws/credentials"}
	}
	role.client = imds.NewFromConfig(cfg, func(o *imds.Options) { o.Retryer = retry.AddWithMaxAttempts(retry.NewStandard(), 2) })
	role.limit = opts.limits.role
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	cfg.Credentials = &credentials{cfg.Credentials}
	b := &s3Bucket{name: name, prefix: prefix, limits: opts.limits, warn: opts.Warn}
	if b.warn == nil {
		b.warn = func(string, ...any) {}
	}
	b.down = s3.NewFromConfig(cfg, b.configure(opts, downloadClient(opts.limits)))
	b.up = s3.NewFromConfig(cfg, b.configure(opts, uploadClient(opts.limits)))
	return b, nil
}

// configure sets up a client of the SDK.
func (b *s3Bucket) configure(opts Options, client *http.Client) func(*s3.Options) {
	return func(o *s3.Options) {
		o.HTTPClient = client
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts = 3
			r.MaxBackoff = b.limits.backoff
		})
		o.APIOptions = append(o.APIOptions, middleware.AddUserAgentKeyValue("ftl", version(opts)))
		// Everything that is read has a digest that is checked by its reader, and
		// what is resumed is no longer what a checksum in the header is of.
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if o.BaseEndpoint != nil {
			// Another server than Amazon's: without the checksums that many don't
			// know, and without a host name for each bucket.
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.UsePathStyle = true
		}
	}
}

func version(opts Options) string {
	if opts.Version == "" {
		return "unknown"
	}
	return opts.Version
}

// downloadClient ends a connection that brings no byte for a while. The read
// time-out of a connection also runs while a body is sent, so it is no good for
// uploads.
func downloadClient(l *limits) *http.Client {
	return httpClient(buildable(l).WithReadTimeout(l.read), nil)
}

// uploadClient ends a request that neither sends nor receives for a while.
func uploadClient(l *limits) *http.Client {
	return httpClient(buildable(l).WithReadTimeout(0), l)
}

func buildable(l *limits) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = l.dial }).
		WithTransportOptions(func(t *http.Transport) { t.TLSHandshakeTimeout = l.tls })
}

// httpClient does not follow redirects: the signature holds for one host, and
// the answer names the region that was meant. A nil watched has no watchdog.
func httpClient(b *awshttp.BuildableClient, watched *limits) *http.Client {
	c := b.Freeze().(*http.Client)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if watched != nil {
		c.Transport = &watchdog{c.Transport, watched}
	}
	c.Transport = &sceptic{c.Transport}
	return c
}

// sceptic refuses a web page where a bucket's answer should be: what a captive
// portal or a proxy sends with 200 would else be an object or a success.
type sceptic struct{ next http.RoundTripper }

func (s *sceptic) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(req)
	if err != nil || resp.StatusCode/100 != 2 {
		return resp, err
	}
	page := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	if page && resp.Header.Get("Etag") == "" && resp.Header.Get("X-Amz-Request-Id") == "" {
		return nil, errors.Join(errNotS3, resp.Body.Close())
	}
	return resp, nil
}

var (
	errStalled = errors.New("the connection stalled")
	errSlow    = errors.New("the connection is too slow")
)

// meter measures a transfer. The time is what the transfer took, without what
// its user did in between.
type meter struct {
	took  time.Duration
	bytes int64
}

// slow adds a step and reports whether a window ended below the floor.
func (m *meter) slow(l *limits, n int, took time.Duration) bool {
	m.bytes += int64(n)
	if m.took += took; m.took < l.window {
		return false
	}
	slow := float64(m.bytes) < float64(l.floor)*l.window.Seconds()
	*m = meter{}
	return slow
}

// watchdog cancels a request that makes no progress.
type watchdog struct {
	next   http.RoundTripper
	limits *limits
}

func (w *watchdog) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	p := &progress{limits: w.limits, cancel: cancel}
	p.timer = time.AfterFunc(p.wait(req.ContentLength <= 0, 0), func() { cancel(errStalled) })
	watched := req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		watched.Body = &watchedBody{ReadCloser: req.Body, p: p, size: req.ContentLength, last: time.Now()}
	}
	resp, err := w.next.RoundTrip(watched)
	if err != nil {
		p.timer.Stop()
		if cause := context.Cause(ctx); cause != nil && req.Context().Err() == nil {
			err = cause
		}
		cancel(context.Canceled)
		return nil, err
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, p: p, done: true, size: -1}
	return resp, nil
}

// progress is when a request must next have moved.
type progress struct {
	limits *limits
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// sendBuffer is what a kernel may hold of a body after it was read.
const sendBuffer = 4 << 20

// wait is how long the next step may take. After the end of the body that
// includes sending what the kernel still holds of it.
func (p *progress) wait(sent bool, size int64) time.Duration {
	if !sent || p.limits.floor == 0 {
		return p.limits.idle
	}
	rest := time.Duration(min(size, sendBuffer)) * time.Second / time.Duration(p.limits.floor)
	return p.limits.idle + rest
}

// watchedBody reports to the watchdog that a body is read.
type watchedBody struct {
	io.ReadCloser
	p     *progress
	size  int64 // -1 is not known
	at    int64
	done  bool // of an answer: its end is the end of the request
	speed meter
	last  time.Time
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.at += int64(n)
	sent := err != nil || b.at == b.size
	b.p.timer.Reset(b.p.wait(sent, b.at))
	if now := time.Now(); !b.done && !sent {
		if b.speed.slow(b.p.limits, n, now.Sub(b.last)) {
			b.p.cancel(errSlow)
		}
		b.last = now
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	if b.done {
		b.p.timer.Stop()
		b.p.cancel(context.Canceled)
	}
	return err
}

// machineRole is the client of the metadata service of a cloud's machines. That
// is asked last, also where there is no such service, so it must be quick.
type machineRole struct {
	client *imds.Client
	limit  time.Duration
}

// GetMetadata is what the SDK needs of it.
func (r *machineRole) GetMetadata(ctx context.Context, in *imds.GetMetadataInput, opts ...func(*imds.Options)) (*imds.GetMetadataOutput, error) {
	// The context ends with the time-out's timer rather than at the return, as
	// the answer is read later.
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(r.limit, cancel)
	return r.client.GetMetadata(ctx, in, opts...)
}

// credentials marks the errors of the SDK's chain, to tell "there are none"
// from an answer of the bucket.
type credentials struct{ next aws.CredentialsProvider }

func (c *credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := c.next.Retrieve(ctx)
	if err != nil {
		return creds, &credentialsError{err}
	}
	return creds, nil
}

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }
