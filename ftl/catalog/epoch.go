package catalog

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/store"
)

// EpochKey is that of an object which changes with every command of an operator or a build box.
// While it stays as it is, nothing else that a host follows has changed.
const EpochKey = ours + "epoch"

// Touch changes the epoch. It belongs after every other change that a command makes: a host that
// sees the epoch of before looks again, and one that sees the new epoch sees all of the change.
func (c *Catalog) Touch(ctx context.Context) error {
	word := []byte(rand.Text() + "\n")
	_, err := c.Put(ctx, EpochKey, bytes.NewReader(word), store.PutOptions{SHA256: sha256.Sum256(word)})
	return err
}

// Epoch is how often a bucket was changed, comparable only for being the same.
type Epoch struct {
	ETag string    // "" where the bucket has none, as those of an older ftl
	Date time.Time // the bucket's clock
}

// Epoch returns the bucket's epoch, and whether it is another one than the one that is known, in
// one request. Where there is none, it always is.
func (c *Catalog) Epoch(ctx context.Context, known string) (Epoch, bool, error) {
	body, object, err := c.Get(ctx, EpochKey, store.GetOptions{Unless: known})
	switch {
	case errors.Is(err, store.ErrUnchanged):
		return Epoch{known, object.Date}, false, nil
	case errors.Is(err, fs.ErrNotExist):
		return Epoch{}, true, nil
	case err != nil:
		return Epoch{}, true, err
	}
	return Epoch{object.ETag, object.Date}, true, body.Close()
}
