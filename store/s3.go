package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go/middleware"
)

// s3Bucket is an S3 bucket, or the part of one whose keys begin with a prefix. Downloads and
// uploads have a client each, since they stall in different ways: see s3_client.go.
type s3Bucket struct {
	name   string
	prefix string // "" or with a slash at the end
	config aws.Config
	down   *s3.Client
	up     *s3.Client
	limits *limits
	warn   func(format string, args ...any)
	warned atomic.Bool // of the clock
}

func (b *s3Bucket) Stat(ctx context.Context, key string) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, &Error{Op: "stat", Key: key, Err: err}
	}
	head, stop := b.deadline(ctx)
	defer stop()
	out, err := b.down.HeadObject(head, &s3.HeadObjectInput{
		Bucket: &b.name,
		Key:    aws.String(b.prefix + key),
	})
	if err != nil && isAnswer(err) {
		// The answer to HEAD has no body, so it can't tell a missing object from a missing bucket,
		// nor say why it refuses. GET can.
		return b.statByGet(ctx, key)
	}
	if err != nil {
		return Object{}, b.explain(head, "stat", key, err)
	}
	if out.ETag == nil {
		return Object{}, notS3("stat", key)
	}
	return Object{
		Key:      key,
		Size:     aws.ToInt64(out.ContentLength),
		ETag:     unquote(out.ETag),
		Modified: aws.ToTime(out.LastModified),
		Metadata: lower(out.Metadata),
		Date:     b.date(out.ResultMetadata),
	}, nil
}

func (b *s3Bucket) statByGet(ctx context.Context, key string) (Object, error) {
	body, o, err := b.get(ctx, "stat", key, GetOptions{})
	if err != nil {
		return Object{}, err
	}
	_ = body.Close() // it was not read
	return o, nil
}

func (b *s3Bucket) Get(ctx context.Context, key string, opts GetOptions) (io.ReadCloser, Object, error) {
	err := checkKey(key)
	if err == nil {
		err = opts.check()
	}
	if err != nil {
		return nil, Object{}, &Error{Op: "get", Key: key, Err: err}
	}
	return b.get(ctx, "get", key, opts)
}

func (b *s3Bucket) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return &Error{Op: "delete", Key: key, Err: err}
	}
	limited, stop := b.deadline(ctx)
	defer stop()
	out, err := b.down.DeleteObject(limited, &s3.DeleteObjectInput{
		Bucket: &b.name,
		Key:    aws.String(b.prefix + key),
	})
	if err != nil {
		return ignoreAbsent(b.explain(limited, "delete", key, err))
	}
	b.date(out.ResultMetadata)
	return nil
}

// errNoAnswer is the cause of a context that deadline ended.
var errNoAnswer = errors.New("no answer in time")

// deadline bounds the time until an answer begins, over all tries of the SDK. The context it
// returns lasts until stop.
func (b *s3Bucket) deadline(ctx context.Context) (limited context.Context, stop func()) {
	limited, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(b.limits.answer, func() { cancel(errNoAnswer) })
	return limited, func() {
		timer.Stop()
		cancel(context.Canceled)
	}
}

// maxSkew is how far the clocks may be apart before the user should know. S3 refuses requests that
// are 15 minutes off, and the SDK then corrects.
const maxSkew = 5 * time.Minute

// date returns the bucket's clock, and warns once where ours is far from it.
func (b *s3Bucket) date(meta smithy.Metadata) time.Time {
	date, ok := middleware.GetServerTime(meta)
	if !ok || date.IsZero() {
		return time.Time{}
	}
	skew := time.Since(date).Round(time.Second)
	if skew.Abs() > maxSkew && b.warned.CompareAndSwap(false, true) {
		b.warn("the clock of this machine is %s off the bucket's", skew)
	}
	return date
}

// unquote returns the ETag in one form, as servers differ in where they quote it.
func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

func quote(etag string) *string {
	if etag == "" {
		return nil
	}
	return aws.String(fmt.Sprintf("%q", etag))
}

// lower returns metadata with the names in the form that they had in Put, as proxies may change it.
func lower(meta map[string]string) map[string]string {
	out := make(map[string]string, len(meta))
	for name, value := range meta {
		out[strings.ToLower(name)] = value
	}
	return out
}
