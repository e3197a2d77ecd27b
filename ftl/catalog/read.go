package catalog

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rhettg/ftl/ftl/internal/spill"
	"github.com/rhettg/ftl/store"
)

// errSpoiled says that bytes came which are not those that were written.
var errSpoiled = errors.New("its bytes are not those that were written; something on the way spoils them")

// readObject reads an object, so many bytes at most. Where all of it came, it is
// compared with the digest that ftl keeps beside its objects: a marker with one
// wrong byte would bless another revision, or one that no later entry can follow.
// Wrong bytes are asked for some times more, and then refused: a store that keeps digests apart
// from the bytes may show the one without the other while somebody writes. What other software
// wrote has no digest.
func readObject(ctx context.Context, bucket store.Bucket, key string, limit int64) ([]byte, store.Object, error) {
	var data bytes.Buffer
	object, err := copyObject(ctx, bucket, key, limit, func() io.Writer { data.Reset(); return &data })
	if err != nil {
		return nil, store.Object{}, err
	}
	return data.Bytes(), object, nil
}

// spillObject is readObject for what may be large. The caller closes the bytes.
func spillObject(ctx context.Context, bucket store.Bucket, key string, limit int64, create spill.Create) (*spill.Buffer, store.Object, error) {
	data := spill.New(create)
	var closing error
	object, err := copyObject(ctx, bucket, key, limit, func() io.Writer {
		closing = errors.Join(closing, data.Close())
		data = spill.New(create)
		return data
	})
	if err = cmp.Or(err, closing); err != nil {
		data.Close()
		return nil, store.Object{}, err
	}
	return data, object, nil
}

// copyObject reads an object into what to returns, which is called anew for each try.
func copyObject(ctx context.Context, bucket store.Bucket, key string, limit int64, to func() io.Writer) (store.Object, error) {
	object, err := copyOnce(ctx, bucket, key, limit, to())
	for _, pause := range rereads {
		if !errors.Is(err, errSpoiled) {
			break
		}
		select {
		case <-ctx.Done():
			return store.Object{}, context.Cause(ctx)
		case <-time.After(pause):
		}
		object, err = copyOnce(ctx, bucket, key, limit, to())
	}
	if errors.Is(err, errSpoiled) {
		err = refused(fmt.Errorf("read %s: %w", key, err))
	}
	return object, err
}

// rereads are the pauses before wrong bytes are asked for again.
var rereads = [...]time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond}

func copyOnce(ctx context.Context, bucket store.Bucket, key string, limit int64, to io.Writer) (store.Object, error) {
	body, object, err := bucket.Get(ctx, key, store.GetOptions{Length: limit})
	if err != nil {
		return store.Object{}, err
	}
	defer body.Close()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, hash), io.LimitReader(body, limit))
	if err != nil {
		return store.Object{}, err
	}
	want := object.Metadata["sha256"]
	if want != "" && n == object.Size && want != hex.EncodeToString(hash.Sum(nil)) {
		return store.Object{}, errSpoiled
	}
	return object, nil
}
