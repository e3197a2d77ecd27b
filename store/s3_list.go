package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// List asks for page after page. A listing that can't be had whole is an error,
// also where a server sends the same page for ever: the SDK's paginator would
// either loop or end there as if that were all.
func (b *s3Bucket) List(ctx context.Context, opts ListOptions) (Listing, error) {
	l := s3Lister{b: b, opts: opts}
	seen := map[string]bool{}
	for token := ""; ; {
		next, err := l.page(ctx, token)
		if err != nil {
			return Listing{}, err
		}
		if next == "" {
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
	if l.opts.Delimiter != "" {
		in.Delimiter = &l.opts.Delimiter
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

// add leaves out what is no key, such as the "folder/" of a web console, as
// nothing could be done with it.
func (l *s3Lister) add(out *s3.ListObjectsV2Output) {
	for _, o := range out.Contents {
		key, ok := strings.CutPrefix(aws.ToString(o.Key), l.b.prefix)
		if !ok || checkKey(key) != nil || !strings.HasPrefix(key, l.opts.Prefix) {
			continue
		}
		l.out.Objects = append(l.out.Objects, Object{
			Key:      key,
			Size:     aws.ToInt64(o.Size),
			ETag:     unquote(o.ETag),
			Modified: aws.ToTime(o.LastModified),
		})
	}
	for _, p := range out.CommonPrefixes {
		prefix, ok := strings.CutPrefix(aws.ToString(p.Prefix), l.b.prefix)
		if ok && checkKey(strings.TrimSuffix(prefix, "/")) == nil {
			l.out.Prefixes = append(l.out.Prefixes, prefix)
		}
	}
	l.out.Date = l.b.date(out.ResultMetadata)
}

// sorted returns each key once, in order, which not every server keeps.
func (l *s3Lister) sorted() Listing {
	byKey := func(a, b Object) int { return strings.Compare(a.Key, b.Key) }
	slices.SortStableFunc(l.out.Objects, byKey)
	l.out.Objects = slices.CompactFunc(l.out.Objects, func(a, b Object) bool { return a.Key == b.Key })
	slices.Sort(l.out.Prefixes)
	l.out.Prefixes = slices.Compact(l.out.Prefixes)
	return l.out
}

func (l *s3Lister) failed(err error) error {
	return &Error{Op: "list", Key: l.opts.Prefix, Err: err}
}
