package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go/middleware"
)

// Put sends the digest ahead, which makes S3 refuse other bytes, and also makes the SDK send the
// body as it is: its own checksums would come after the body in an encoding that many other servers
// can't read.
func (b *s3Bucket) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	err := checkKey(key)
	meta, metaErr := opts.metadata()
	if err == nil {
		err = metaErr
	}
	var size int64
	if err == nil {
		size, err = body.Seek(0, io.SeekEnd)
	}
	if err == nil && size == 0 && opts.SHA256 != sha256.Sum256(nil) {
		err = errDigest // an empty body is never read
	}
	if err != nil {
		return Object{}, &Error{Op: "put", Key: key, Err: err}
	}
	u := &upload{b: b, key: key, size: size, meta: meta, opts: opts}
	for try := 1; ; try++ {
		o, err := u.send(ctx, body)
		if err == nil {
			return o, nil
		}
		// Another write to the key was under way. Whether the condition holds is known once that
		// has ended.
		if !isConflict(err) || try > b.limits.conflicts || !pause(ctx, b.limits.backoff, try) {
			return Object{}, b.explainPut(ctx, key, opts, err)
		}
	}
}

// upload is one Put.
type upload struct {
	b    *s3Bucket
	key  string
	size int64
	meta map[string]string
	opts PutOptions
}

func (u *upload) send(ctx context.Context, r io.ReadSeeker) (Object, error) {
	body := &checkedBody{r: r, size: u.size, want: u.opts.SHA256}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return Object{}, err
	}
	if u.size > u.b.limits.single {
		return u.sendParts(ctx, body)
	}
	in := &s3.PutObjectInput{
		Bucket:         &u.b.name,
		Key:            aws.String(u.b.prefix + u.key),
		Body:           body,
		ContentLength:  &u.size,
		ContentType:    aws.String(contentType),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(u.opts.SHA256[:])),
		Metadata:       u.meta,
		IfMatch:        quote(u.opts.IfMatch),
		IfNoneMatch:    u.ifNoneMatch(),
	}
	if u.size == 0 {
		in.Body = bytes.NewReader(nil)
	}
	return u.sendWhole(ctx, in)
}

// sendWhole bounds the time for a small body, such as a marker, over all tries. For a large one,
// the watchdog bounds each try.
func (u *upload) sendWhole(ctx context.Context, in *s3.PutObjectInput) (Object, error) {
	if float64(u.size) <= float64(u.b.limits.floor)*u.b.limits.window.Seconds() {
		limited, stop := u.b.deadline(ctx)
		defer stop()
		ctx = limited
	}
	out, err := u.b.up.PutObject(ctx, in)
	if err != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		err = errNoAnswer
	}
	if err != nil {
		return Object{}, err
	}
	return u.object(out.ETag, out.ResultMetadata)
}

const contentType = "application/octet-stream"

// abortTimeout is for giving up the parts of an upload whose context has ended.
const abortTimeout = 10 * time.Second

// sendParts sends what is too large for one request. S3 only checks the digest of each part, so the
// digest of the whole is checked here, before the parts become an object.
func (u *upload) sendParts(ctx context.Context, body *checkedBody) (Object, error) {
	manager := transfermanager.New(u.b.up, func(o *transfermanager.Options) {
		o.PartSizeBytes = u.b.limits.part
		o.MultipartUploadThreshold = u.b.limits.part
		o.FailTimeout = abortTimeout
		o.ChecksumAlgorithm = tmtypes.ChecksumAlgorithmSha256
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	})
	out, err := manager.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket:        &u.b.name,
		Key:           aws.String(u.b.prefix + u.key),
		Body:          struct{ io.Reader }{body}, // no Seek: it would begin anew in the middle
		ContentLength: &u.size,
		ContentType:   aws.String(contentType),
		Metadata:      u.meta,
		IfMatch:       quote(u.opts.IfMatch),
		IfNoneMatch:   u.ifNoneMatch(),
	})
	if err != nil {
		return Object{}, err
	}
	return u.object(out.ETag, out.ResultMetadata)
}

func (u *upload) ifNoneMatch() *string {
	if !u.opts.IfAbsent {
		return nil
	}
	return aws.String("*")
}

func (u *upload) object(etag *string, meta smithy.Metadata) (Object, error) {
	if etag == nil {
		return Object{}, errNotS3
	}
	date := u.b.date(meta)
	return Object{
		Key:      u.key,
		Size:     u.size,
		ETag:     unquote(etag),
		Modified: date,
		Metadata: u.meta,
		Date:     date,
	}, nil
}

// checkedBody withholds the last bytes of a body whose digest is wrong. So no server can store it,
// not even one that ignores the digest in the request.
type checkedBody struct {
	r      io.ReadSeeker
	size   int64
	want   [sha256.Size]byte
	at     int64
	digest hash.Hash // nil after a jump into the middle
}

func (c *checkedBody) Read(p []byte) (int, error) {
	if c.at >= c.size {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.size-c.at)])
	c.at += int64(n)
	if err == io.EOF && c.at < c.size {
		err = errors.New("the body became shorter while it was read")
	}
	if c.digest == nil {
		return n, err
	}
	c.digest.Write(p[:n])
	if c.at == c.size && [sha256.Size]byte(c.digest.Sum(nil)) != c.want {
		return 0, errDigest
	}
	return n, err
}

func (c *checkedBody) Seek(offset int64, whence int) (int64, error) {
	at, err := c.r.Seek(offset, whence)
	if err != nil {
		return at, err
	}
	if at != c.at {
		c.digest = nil
	}
	if c.at = at; at == 0 {
		c.digest = sha256.New()
	}
	return at, nil
}
