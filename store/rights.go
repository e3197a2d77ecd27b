package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

// MayPut reports whether the credentials may put an object under a key. It changes nothing, for
// which the bucket has to keep conditions: one that ignores them is ErrNoConditions, and has then
// put the body.
func MayPut(ctx context.Context, b Bucket, key string, body []byte) (bool, error) {
	if d, ok := b.(*directory); ok {
		return d.mayPut(ctx, key)
	}
	_, err := b.Put(ctx, key, bytes.NewReader(body), PutOptions{SHA256: sha256.Sum256(body), IfMatch: impossibleETag})
	switch {
	case errors.Is(err, ErrPrecondition):
		return true, nil
	case errors.Is(err, fs.ErrPermission):
		return false, nil
	case err == nil:
		return true, fmt.Errorf("put %s: %w: it replaced an object in spite of If-Match", key, ErrNoConditions)
	}
	return false, err
}

// mayPut asks the directory in which the object, or the first directory above it that is not there,
// would be made.
func (d *directory) mayPut(ctx context.Context, key string) (bool, error) {
	root, err := d.root(ctx, "put", key)
	if err != nil {
		return false, err
	}
	defer root.Close()
	dir := path.Dir(key)
	for dir != "." {
		_, err := root.Lstat(dir)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, d.failed("put", key, err)
		}
		dir = path.Dir(dir)
	}
	f, err := root.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, d.failed("put", key, err)
	}
	defer f.Close()
	return unix.Faccessat(int(f.Fd()), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS) == nil, nil
}

// Account is what a bucket is reached with.
type Account struct {
	Key    string // the public part of an S3 key, "" for a directory
	Source string // where it comes from, in the words of the SDK
}

// AccountOf returns what a bucket is reached with. That there are no credentials is an [*Error].
func AccountOf(ctx context.Context, b Bucket) (Account, error) {
	s3, ok := b.(*s3Bucket)
	if !ok {
		return Account{}, nil
	}
	creds, err := s3.config.Credentials.Retrieve(ctx)
	if err != nil {
		return Account{}, s3.explain(ctx, "get", "", err)
	}
	return Account{creds.AccessKeyID, creds.Source}, nil
}
