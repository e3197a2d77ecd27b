package store

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

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

// defaultRegion is used where none is configured. Other servers than Amazon's mostly don't look at
// it, and Amazon's names the right one in its answer.
const defaultRegion = "us-east-1"

func openS3(ctx context.Context, name, prefix string, opts Options) (*s3Bucket, error) {
	role := &machineRole{}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = role }))
	if err != nil {
		return nil, explainConfig(name, err)
	}
	role.client = imds.NewFromConfig(cfg, func(o *imds.Options) { o.Retryer = retry.AddWithMaxAttempts(retry.NewStandard(), 2) })
	role.limit = opts.limits.role
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	cfg.Credentials = &credentials{cfg.Credentials}
	b := &s3Bucket{name: name, prefix: prefix, config: cfg, limits: opts.limits, warn: opts.Warn}
	if b.warn == nil {
		b.warn = func(string, ...any) {}
	}
	b.down = s3.NewFromConfig(cfg, b.configure(opts, downloadClient(opts.limits)))
	b.up = s3.NewFromConfig(cfg, b.configure(opts, uploadClient(opts.limits)))
	return b, checkEndpoint(b.down.Options().BaseEndpoint)
}

// Endpoint returns the URL of the server that has a bucket, "" where that is Amazon's own or a
// directory.
func Endpoint(bucket Bucket) string {
	if b, ok := bucket.(*s3Bucket); ok && b.down.Options().BaseEndpoint != nil {
		return *b.down.Options().BaseEndpoint
	}
	return ""
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
		// Everything that is read has a digest that is checked by its reader, and what is resumed
		// is no longer what a checksum in the header is of.
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if o.BaseEndpoint != nil {
			// Another server than Amazon's: without the checksums that many don't know, and without
			// a host name for each bucket.
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

// downloadClient ends a connection that brings no byte for a while. The read time-out of a
// connection also runs while a body is sent, so it is no good for uploads.
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
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = l.tls
			t.MaxIdleConns, t.MaxIdleConnsPerHost = keptConnections, keptConnections
		})
}

// keptConnections is how many connections stay open for the next request. Whoever reads many small
// objects at once would otherwise connect anew for nearly each: the SDK keeps ten.
const keptConnections = 128

// httpClient does not follow redirects: the signature holds for one host, and the answer names the
// region that was meant. A nil watched has no watchdog.
func httpClient(b *awshttp.BuildableClient, watched *limits) *http.Client {
	c := b.Freeze().(*http.Client)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if watched != nil {
		c.Transport = &watchdog{c.Transport, watched}
	}
	c.Transport = &pageFilter{c.Transport}
	return c
}

// pageFilter refuses a web page where a bucket's answer should be. Otherwise what a captive portal
// or a proxy sends with 200 would pass for an object or a success.
type pageFilter struct{ next http.RoundTripper }

func (f *pageFilter) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := f.next.RoundTrip(req)
	if err != nil || resp.StatusCode/100 != 2 {
		return resp, err
	}
	page := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	if page && resp.Header.Get("Etag") == "" && resp.Header.Get("X-Amz-Request-Id") == "" {
		return nil, errors.Join(errNotS3, resp.Body.Close())
	}
	return resp, nil
}
