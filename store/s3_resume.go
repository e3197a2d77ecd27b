package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// download reads an object, and continues with a new request where a connection broke, ended early
// or became too slow. The SDK retries a request only until its answer begins. Bytes that were read
// are not read again.
type download struct {
	b     *s3Bucket
	ctx   context.Context // of Get; the reader it returns lives as long
	op    string
	key   string
	opts  GetOptions
	o     Object
	at    int64 // bytes delivered
	left  int64 // bytes to deliver
	tries int   // connections that failed
	speed meter

	closed bool
	broken error         // of the connection, after the bytes that came before
	body   io.ReadCloser // of the present connection, nil when there is none
	stop   func()        // ends its request
}

// errRange says that a body is not the range that was asked for.
var errRange = errors.New("the bucket answered with another range")

func (b *s3Bucket) get(ctx context.Context, op, key string, opts GetOptions) (io.ReadCloser, Object, error) {
	d := &download{b: b, ctx: ctx, op: op, key: key, opts: opts, left: -1}
	for {
		err := d.connect()
		if err == nil {
			return d, d.o, nil
		}
		if at, is := isUnchanged(err); is {
			return nil, Object{Key: key, ETag: opts.Unless, Date: at}, unchanged(op, key)
		}
		if isBeyondEnd(err) {
			return b.getNothing(ctx, op, key, opts)
		}
		if !errors.Is(err, errRange) || !d.again() {
			return nil, Object{}, b.explain(ctx, op, key, err)
		}
	}
}

// getNothing is a read that begins at or beyond the end.
func (b *s3Bucket) getNothing(ctx context.Context, op, key string, opts GetOptions) (io.ReadCloser, Object, error) {
	o, err := b.Stat(ctx, key)
	if err != nil {
		return nil, Object{}, err
	}
	if opts.ETag != "" && opts.ETag != o.ETag {
		return nil, Object{}, precondition(op, key)
	}
	return http.NoBody, o, nil
}

func (d *download) Read(p []byte) (int, error) {
	if d.closed {
		return 0, &Error{Op: d.op, Key: d.key, Err: fs.ErrClosed}
	}
	for d.left > 0 && len(p) > 0 {
		n := 0
		if d.broken == nil {
			n, d.broken = d.readSome(p)
		}
		if n > 0 {
			return n, nil
		}
		if d.broken == nil {
			continue
		}
		if isAnswer(d.broken) || d.ctx.Err() != nil || !d.again() {
			return 0, d.b.explain(d.ctx, d.op, d.key, d.broken)
		}
		d.broken = nil
	}
	if d.left == 0 {
		return 0, io.EOF
	}
	return 0, nil
}

func (d *download) Close() error {
	d.closed = true
	d.disconnect()
	return nil
}

// disconnect ends the connection, if there is one. The unread rest is not wanted, so an error of
// the connection does not matter.
func (d *download) disconnect() {
	if d.body == nil {
		return
	}
	_ = d.body.Close()
	d.stop()
	d.body = nil
}

// readSome reads from the connection, made where there is none.
func (d *download) readSome(p []byte) (int, error) {
	if d.body == nil {
		if err := d.connect(); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	n, err := d.body.Read(p[:min(int64(len(p)), d.left)])
	d.at += int64(n)
	d.left -= int64(n)
	if err == nil && d.speed.slow(d.b.limits, n, time.Since(start)) {
		err = errSlow
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && d.left > 0 {
		d.disconnect()
		return n, err
	}
	return n, nil
}

// again reports whether there is a try left, and waits before it.
func (d *download) again() bool {
	if d.tries++; d.tries > d.b.limits.resumes {
		return false
	}
	return pause(d.ctx, d.b.limits.backoff, d.tries)
}

// pause waits a random time that grows with the tries, or for the context.
func pause(ctx context.Context, longest time.Duration, tries int) bool {
	wait := min(longest, 100*time.Millisecond<<tries)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(rand.N(wait) + 1):
		return true
	}
}

// connect asks for what is left of the range.
func (d *download) connect() error {
	ctx, cancel := context.WithCancelCause(d.ctx)
	timer := time.AfterFunc(d.b.limits.answer, func() { cancel(errNoAnswer) })
	out, err := d.b.down.GetObject(ctx, d.request())
	if timer.Stop(); err == nil {
		err = d.accept(out)
		if err != nil {
			_ = out.Body.Close()
		}
	}
	if err != nil {
		if errors.Is(context.Cause(ctx), errNoAnswer) {
			err = errNoAnswer
		}
		cancel(context.Canceled)
		return err
	}
	d.body, d.stop, d.speed = out.Body, func() { cancel(context.Canceled) }, meter{}
	return nil
}

func (d *download) request() *s3.GetObjectInput {
	in := &s3.GetObjectInput{
		Bucket:  &d.b.name,
		Key:     aws.String(d.b.prefix + d.key),
		IfMatch: quote(d.opts.ETag),
	}
	if d.left < 0 { // what follows has to be of the object that came first
		in.IfNoneMatch = quote(d.opts.Unless)
	}
	from := d.opts.Offset + d.at
	switch {
	case d.opts.Length > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", from, d.opts.Offset+d.opts.Length-1))
	case from > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", from))
	}
	return in
}

// accept checks that an answer is what was asked for, and skips to where that begins in its body.
func (d *download) accept(out *s3.GetObjectOutput) error {
	if out.ETag == nil || out.ContentLength == nil {
		return errNotS3
	}
	tag := unquote(out.ETag)
	if d.opts.ETag != "" && d.opts.ETag != tag {
		return ErrPrecondition // a server that ignores If-Match
	}
	if d.left < 0 && d.opts.Unless != "" && d.opts.Unless == tag {
		return &unchangedError{d.b.date(out.ResultMetadata)} // a server that ignores If-None-Match
	}
	from, size, err := bodyRange(out)
	if err != nil {
		return err
	}
	want := d.opts.Offset + d.at
	length := d.opts.length(size) - d.at
	whole := out.ContentRange == nil
	if whole && from+size < want || !whole && (from != want || *out.ContentLength != length) {
		return errRange
	}
	if d.left < 0 {
		d.left = length
		d.opts.ETag = tag // what follows must be of the same object
		d.o = Object{
			Key:      d.key,
			Size:     size,
			ETag:     tag,
			Modified: aws.ToTime(out.LastModified),
			Metadata: lower(out.Metadata),
			Date:     d.b.date(out.ResultMetadata),
		}
	}
	if whole && want > 0 {
		_, err = io.CopyN(io.Discard, out.Body, want)
	}
	return err
}

// bodyRange returns where a body begins in its object, and the object's size.
func bodyRange(out *s3.GetObjectOutput) (from, size int64, err error) {
	if out.ContentRange == nil {
		return 0, *out.ContentLength, nil
	}
	var to int64
	if _, err := fmt.Sscanf(*out.ContentRange, "bytes %d-%d/%d", &from, &to, &size); err != nil {
		return 0, 0, errRange
	}
	if from < 0 || to < from || to >= size || to-from+1 != *out.ContentLength {
		return 0, 0, errRange
	}
	return from, size, nil
}
