// Package store keeps bytes under keys in a bucket: an S3 bucket, or a
// directory that stands for one.
//
// Both keep one contract, the one [Bucket] states, and one test suite checks
// both against it. A key is a relative slash-separated path without empty, "."
// or ".." elements and without an element that begins with "."; it has at most
// 900 bytes of printable UTF-8, an element at most 200. What the bytes mean is
// the business of others; this is the only package that knows how to talk to S3.
//
// # Errors
//
// An error that is only a fact about the bucket's content satisfies
// [fs.ErrNotExist] (there is no such object) or [ErrPrecondition] (the
// condition of a write or a read did not hold). Every other failure to get an
// answer, from a dead network to missing permissions, is an [*Error] of
// another kind. Absence is never guessed: only the bucket's own "not found"
// is fs.ErrNotExist; a refusal is not, and satisfies [fs.ErrPermission].
package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"time"
)

// Bucket is a flat map from keys to bytes. Its methods may be called from
// several goroutines, and by several processes on several machines at once.
type Bucket interface {
	// List returns every object that is selected, however many pages that takes,
	// or an error: never a part. No match is not an error, nor is a directory
	// that is empty; a bucket that does not exist is.
	List(ctx context.Context, opts ListOptions) (Listing, error)

	// Stat returns what is known of one object without reading it.
	Stat(ctx context.Context, key string) (Object, error)

	// Get reads an object, or a range of it; a range that begins at or beyond
	// the end has no bytes. The caller closes the reader, which may be done twice;
	// what is read after that is fs.ErrClosed. A connection that breaks or stalls
	// is taken up again where it ended, some times, as long as the object is still
	// the same one; the reader ends with io.EOF only after the whole range. The
	// bytes are not verified.
	Get(ctx context.Context, key string, opts GetOptions) (io.ReadCloser, Object, error)

	// Put writes an object as a whole: it is there with all its bytes or not
	// at all. It reads body from its start to its end, more than once where a
	// try failed. When a condition is set, ErrPrecondition says that it did
	// not hold; that can also be the echo of an earlier try of the same Put
	// that was stored although its answer was lost, so the caller compares
	// what is there with what it wrote.
	Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error)

	// Delete removes an object. A key that is not there is not an error.
	Delete(ctx context.Context, key string) error
}

// ListOptions selects what List returns.
type ListOptions struct {
	Prefix string // of the key; "" is everything
	After  string // selects the keys that follow this one in lexical order; "" is all
	Limit  int    // selects only the first keys; 0 is all

	// Split makes a long listing faster. It gets the first and the last of the keys that have come,
	// and returns later keys, in their order, between which about as many keys lie. A bucket that
	// is far away then asks for what is between them at once. It may return any keys, and may be
	// nil.
	Split func(first, last string) []string
}

// Listing is the answer to List.
type Listing struct {
	Objects []Object  // in lexical order of the keys; without metadata
	More    bool      // the limit has left some out
	Date    time.Time // the bucket's clock at the end of the listing
}

// cut leaves only the first objects; 0 leaves all.
func (l *Listing) cut(limit int) {
	if limit > 0 && len(l.Objects) > limit {
		l.Objects, l.More = l.Objects[:limit], true
	}
}

// Object is what a bucket knows of an object beside its bytes.
type Object struct {
	Key      string
	Size     int64             // bytes, of the whole object also when a range was read
	ETag     string            // changes whenever other bytes replace the object; otherwise opaque
	Modified time.Time         // by the bucket's clock
	Metadata map[string]string // as given to Put, and "sha256" in hex; nil in a listing
	Date     time.Time         // the bucket's clock when it answered; zero in a listing
}

// GetOptions selects what Get reads.
type GetOptions struct {
	Offset int64  // bytes to leave out at the start
	Length int64  // bytes to read at most; 0 is all that follow Offset
	ETag   string // where set, any other object under the key is ErrPrecondition
	Unless string // where set, an object with this ETag is ErrUnchanged
}

// PutOptions says how Put writes. At most one of IfAbsent and IfMatch is set.
type PutOptions struct {
	SHA256   [sha256.Size]byte // of the body; the bucket refuses other bytes
	Metadata map[string]string // names of lower-case letters, digits and "-"; printable ASCII values; 2 KiB in all
	IfAbsent bool              // write only where there is no object
	IfMatch  string            // write only over the object with this ETag
}

// ErrPrecondition says that the object under a key is not the one that a
// conditional read or write named.
var ErrPrecondition = errors.New("the object is not as expected")

// ErrUnchanged says that the object under a key is still the one that a conditional read names.
var ErrUnchanged = errors.New("the object is unchanged")

// ErrNoConditions says that a bucket ignores or rejects conditional writes, so
// that two writers at the same time could overwrite each other unnoticed.
var ErrNoConditions = errors.New("the bucket does not support conditional writes")

// Error is a failure to get an answer from a bucket, or an answer that says
// nothing about its content: unreachable, denied, misconfigured.
type Error struct {
	Op   string // list, stat, get, put or delete
	Key  string // or the prefix of a listing
	Hint string // what the user can do, "" where nothing helps
	Err  error
}

func (e *Error) Error() string {
	if e.Key == "" {
		return e.Op + ": " + e.Err.Error()
	}
	return e.Op + " " + e.Key + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }
