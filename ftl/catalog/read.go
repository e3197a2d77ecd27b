package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

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
	data, object, err := readOnce(ctx, bucket, key, limit)
	for _, pause := range rereads {
		if !errors.Is(err, errSpoiled) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, store.Object{}, context.Cause(ctx)
		case <-time.After(pause):
		}
		data, object, err = readOnce(ctx, bucket, key, limit)
	}
	if errors.Is(err, errSpoiled) {
		err = refused(fmt.Errorf("read %s: %w", key, err))
	}
	return data, object, err
}

// rereads are the pauses before wrong bytes are asked for again.
var rereads = [...]time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond}

func readOnce(ctx context.Context, bucket store.Bucket, key string, limit int64) ([]byte, store.Object, error) {
	body, object, err := bucket.Get(ctx, key, store.GetOptions{Length: limit})
	if err != nil {
		return nil, store.Object{}, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, limit))
	if err != nil {
		return nil, store.Object{}, err
	}
	want, sum := object.Metadata["sha256"], sha256.Sum256(data)
	if want != "" && int64(len(data)) == object.Size && want != hex.EncodeToString(sum[:]) {
		return nil, store.Object{}, errSpoiled
	}
	return data, object, nil
}
