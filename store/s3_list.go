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
	"golang.org/x/sync/errgroup"
)

// List reads page after page, or several ranges of keys at once where the caller knows some. A
// listing that is not complete is an error, also if a server sends the same page for ever: the
// SDK's paginator would either loop, or end there as if that were all.
func (b *s3Bucket) List(ctx context.Context, opts ListOptions) (Listing, error) {
	if checkKey(opts.Prefix+"x") != nil {
		return b.listNothing(ctx)
	}
	l := s3Lister{b: b, opts: opts}
	token, err := l.page(ctx, "")
	if err != nil {
		return Listing{}, err
	}
	if ranges := l.ranges(token); len(ranges) > 0 {
		err := l.parallel(ctx, ranges)
		if !errors.Is(err, errUnordered) {
			return l.sorted(), err
		}
	}
	if err := l.rest(ctx, token); err != nil {
		return Listing{}, err
	}
	return l.sorted(), nil
}

// rest reads all pages from the one with a token on.
func (l *s3Lister) rest(ctx context.Context, token string) error {
	seen := map[string]bool{}
	for {
		if l.isDone(token) {
			l.out.More = token != ""
			return nil
		}
		if l.part && !l.ordered {
			return errUnordered
		}
		if seen[token] {
			return l.failed(errors.New("the bucket repeats a page of its listing"))
		}
		if seen[token] = true; len(seen) >= l.b.limits.pages {
			return l.failed(fmt.Errorf("more than %d pages", l.b.limits.pages))
		}
		next, err := l.page(ctx, token)
		if err != nil {
			return err
		}
		token = next
	}
}

// isDone reports whether the pages so far have all that is wanted.
func (l *s3Lister) isDone(token string) bool {
	switch {
	case token == "":
		return true
	case l.opts.Limit > 0:
		return len(l.out.Objects) >= l.opts.Limit
	}
	return l.until != "" && l.ordered && l.last > l.until
}

// errUnordered says that a server does not list keys in their order, so that a page does not tell
// what comes after it.
var errUnordered = errors.New("the keys are not in their order")

// ranges returns what is left of a listing as ranges of keys, none where it is better read page
// after page.
func (l *s3Lister) ranges(token string) []keyRange {
	if token == "" || l.opts.Split == nil || l.opts.Limit > 0 || !l.ordered || len(l.out.Objects) == 0 {
		return nil
	}
	var ranges []keyRange
	after := l.last
	for _, key := range l.opts.Split(l.out.Objects[0].Key, l.last) {
		if key > after && len(ranges) < maxRanges-1 {
			ranges = append(ranges, keyRange{after, key})
			after = key
		}
	}
	return append(ranges, keyRange{after, ""})
}

// keyRange are the keys that follow one key, up to and with another one, "" for all.
type keyRange struct{ after, until string }

// maxRanges bounds how many ranges are read at once.
const maxRanges = 16

// parallel reads ranges of keys at once, and adds them to what has come.
func (l *s3Lister) parallel(ctx context.Context, ranges []keyRange) error {
	parts := make([]*s3Lister, len(ranges))
	group, ctx := errgroup.WithContext(ctx)
	for i, keys := range ranges {
		opts := l.opts
		opts.After = keys.after
		parts[i] = &s3Lister{b: l.b, opts: opts, part: true, until: keys.until}
		group.Go(func() error {
			token, err := parts[i].page(ctx, "")
			if err != nil {
				return err
			}
			return parts[i].rest(ctx, token)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, part := range parts {
		l.out.Objects = append(l.out.Objects, part.out.Objects...)
		if part.out.Date.After(l.out.Date) {
			l.out.Date = part.out.Date
		}
	}
	return nil
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
	b     *s3Bucket
	opts  ListOptions
	part  bool   // it reads one of several ranges
	until string // the last key that is wanted, "" for all
	out   Listing

	last    string // of the keys that the server has sent
	ordered bool   // they came in their order
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
	l.ordered = l.last == "" || l.ordered
	for _, o := range out.Contents {
		key, ok := strings.CutPrefix(aws.ToString(o.Key), l.b.prefix)
		l.ordered = l.ordered && key > l.last
		l.last = key
		if !ok || checkKey(key) != nil || !strings.HasPrefix(key, l.opts.Prefix) || key <= l.opts.After || l.until != "" && key > l.until {
			continue
		}
		l.out.Objects = append(l.out.Objects, Object{
			Key:  key,
			Size: aws.ToInt64(o.Size),
			ETag: unquote(o.ETag),
			// Some servers have milliseconds here and nowhere else: an object would be younger than
			// the bucket's own clock.
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
