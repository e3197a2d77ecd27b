package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"

	"golang.org/x/sync/errgroup"
)

// ConditionsKey is that of the object which CheckConditions tries to overwrite.
const ConditionsKey = "_ftl/conditions"

// impossibleETag has the form of an ETag, but no object has it.
const impossibleETag = "00000000000000000000000000000000"

// CheckConditions returns an error that satisfies ErrNoConditions where the bucket ignores or
// rejects a condition of Put. It sends two small writes that must both fail, and a few more if the
// object that it tests with does not exist yet. A user who may not write gets the [*Error] of the
// denied write.
func CheckConditions(ctx context.Context, b Bucket) error {
	created, err := probeConditions(ctx, b)
	if err == nil && created {
		// Either the object was not there or its presence was ignored. Now it is.
		created, err = probeConditions(ctx, b)
	}
	if err == nil && created {
		err = noConditions("it replaced an object in spite of If-None-Match")
	}
	return err
}

// probeConditions reports whether a write that must not replace went through.
func probeConditions(ctx context.Context, b Bucket) (created bool, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := probe(ctx, b, PutOptions{IfAbsent: true})
		created = err == nil
		return unlessPrecondition(err)
	})
	g.Go(func() error {
		err := probe(ctx, b, PutOptions{IfMatch: impossibleETag})
		if err == nil {
			return noConditions("it replaced an object in spite of If-Match")
		}
		return unlessPrecondition(err)
	})
	return created, g.Wait()
}

func probe(ctx context.Context, b Bucket, opts PutOptions) error {
	body := []byte("ftl checks with this object that the bucket honours conditional writes\n")
	opts.SHA256 = sha256.Sum256(body)
	_, err := b.Put(ctx, ConditionsKey, bytes.NewReader(body), opts)
	return err
}

func unlessPrecondition(err error) error {
	if errors.Is(err, ErrPrecondition) {
		return nil
	}
	return err
}

func noConditions(text string) error {
	return &Error{Op: "put", Key: ConditionsKey, Hint: conditionsHint,
		Err: &summary{ErrNoConditions.Error() + ": " + text, ErrNoConditions}}
}

const conditionsHint = "two people who write at once could overwrite each other: use a server with If-None-Match and If-Match on PutObject, or a file:// bucket"
