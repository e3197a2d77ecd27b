package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// List reads page after page. A listing that is not complete is an error, also if a server sends
// the same page for ever: the SDK's paginator would either loop, or end there as if that were all.
func (b *s3Bucket) List(ctx context.Context, opts ListOptions) (Listing, error) {
	if checkKey(opts.Prefix+"x") != nil {
		return b.listNothing(ctx)
	}
	l := s3Lister{b: b, opts: opts}
	seen := map[string]bool{}
	for token := ""; ; {
		next, err := l.page(ctx, token)
		if err != nil {
			return Listing{}, err
		}
		if next == "" || opts.Limit > 0 && len(l.out.Objects) >= opts.Limit {
			l.out.More = next != ""
			return l.sorted(), nil
		}
		if seen[next] {
			return Listing{}, l.failed(errors.New("the bucket repeats a page of its listing"))
		}
		if seen[next] = true; len(seen) >= b.limits.pages {
			return Listing{}, l.failed(fmt.Errorf("more than %d pages", b.limits.pages))
		}
		token = next
	}
}

// listNothing answers for a prefix that no key has. Not every server takes one, such as "../"; but
// whether there is a bucket, only the server can tell.
func (b *s3Bucket) listNothing(ctx context.Context) (Listing, error) {
	l := s3Lister{b: b, opts: ListOptions{Limit: 1}}
	if _, err := l.page(ctx, ""); err != nil {
		return Listing{}, err
	}
	return Listing{Date: l.out.Date}, nil
}

// maxPage is how many keys S3 lists in a page.
const maxPage = 1000

// s3Lister collects the pages of a listing.
type s3Lister struct {
	b    *s3Bucket
	opts ListOptions
	out  Listing
}

// page adds a page and returns the token of the next one, "" after the last.
func (l *s3Lister) page(ctx context.Context, token string) (next string, err error) {
	ctx, stop := l.b.deadline(ctx)
	defer stop()
	in := &s3.ListObjectsV2Input{Bucket: &l.b.name, Prefix: aws.String(l.b.prefix + l.opts.Prefix)}
	if token != "" {
		in.ContinuationToken = &token
	}
	if l.opts.After != "" {
		in.StartAfter = aws.String(l.b.prefix + l.opts.After)
	}
	if lacking := l.opts.Limit - len(l.out.Objects); l.opts.Limit > 0 && lacking < maxPage {
		in.MaxKeys = aws.Int32(int32(lacking))
	}
	out, err := l.b.down.ListObjectsV2(ctx, in)
	if err != nil {
		return "", l.b.explain(ctx, "list", l.opts.Prefix, err)
	}
	if out.Name == nil {
		// The SDK reads any XML, and a web page, as a listing of nothing.
		return "", notS3("list", l.opts.Prefix)
	}
	l.add(out)
	if !aws.ToBool(out.IsTruncated) {
		return "", nil
	}
	if aws.ToString(out.NextContinuationToken) == "" {
		return "", l.failed(errors.New("the listing ends before it is complete"))
	}
	return *out.NextContinuationToken, nil
}

// add leaves out names that are not keys, such as the "folder/" of a web console.
func (l *s3Lister) add(out *s3.ListObjectsV2Output) {
	for _, o := range out.Contents {
		key, ok := strings.CutPrefix(aws.ToString(o.Key), l.b.prefix)
		if !ok || checkKey(key) != nil || !strings.HasPrefix(key, l.opts.Prefix) || key <= l.opts.After {
			continue
		}
		l.out.Objects = append(l.out.Objects, Object{
			Key:  key,
			Size: aws.ToInt64(o.Size),
			ETag: unquote(o.ETag),
			// Some servers have milliseconds here and nowhere else: an object would be younger than the
			// bucket's own clock.
			Modified: aws.ToTime(o.LastModified).Truncate(time.Second),
		})
	}
	l.out.Date = l.b.date(out.ResultMetadata)
}

// sorted returns each key once, in order, which not every server keeps.
func (l *s3Lister) sorted() Listing {
	byKey := func(a, b Object) int { return strings.Compare(a.Key, b.Key) }
	slices.SortStableFunc(l.out.Objects, byKey)
	l.out.Objects = slices.CompactFunc(l.out.Objects, func(a, b Object) bool { return a.Key == b.Key })
	l.out.cut(l.opts.Limit)
	return l.out
}

func (l *s3Lister) failed(err error) error {
	return &Error{Op: "list", Key: l.opts.Prefix, Err: err}
}
