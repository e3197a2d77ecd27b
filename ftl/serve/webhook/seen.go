package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rhettg/ftl/store"
)

// What was done is noted in the bucket, so that a request which is sent again does nothing, also at
// another server. A conditional write decides who is first.
const (
	seenPrefix = "_ftl/serve/seen/"
	seenFor    = 24 * time.Hour
	sweepEvery = time.Hour
	maxSeen    = 256 << 10 // bytes
)

// seen is the note of a request.
type seen struct {
	Format int             `json:"format"`
	Op     string          `json:"op"` // of who wrote it, so that it knows its own
	At     time.Time       `json:"at"`
	Body   string          `json:"body"`             // SHA-256
	Status int             `json:"status,omitempty"` // 0 while it has no answer
	Answer json.RawMessage `json:"answer,omitempty"`

	key, etag string
}

// seenOf returns the note that a request would have, nil where it needs none: with a token it is
// the sender who says that two requests are the same, and a body that names the newest entry is
// good for that one alone.
func (h *Hook) seenOf(p proof, request *request, body []byte) *seen {
	var id string
	switch {
	case p.kind == byStandard:
		id = p.id
	case p.kind == byHub && !request.older && !request.at.IsZero():
		id = fmt.Sprintf("%x", sha256.Sum256(body))
	case p.kind == byToken && request.id != "":
		id = request.id
	default:
		return nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", p.kind, p.secret, id))
	return &seen{
		Format: 1, Op: rand.Text(), At: h.Now().UTC().Truncate(time.Second), Body: fmt.Sprintf("%x", sha256.Sum256(body)), key: fmt.Sprintf("%s%x", seenPrefix, sum),
	}
}

// before refuses a request that was seen before.
func (h *Hook) before(ctx context.Context, s *seen) (*problem, error) {
	reader, object, err := h.Bucket.Get(ctx, s.key, store.GetOptions{})
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	text, err := io.ReadAll(io.LimitReader(reader, maxSeen))
	if err != nil {
		return nil, err
	}
	first := seen{key: s.key, etag: object.ETag}
	if err := json.Unmarshal(text, &first); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.key, err)
	}
	if first.Op == s.Op { // the echo of our own write
		s.etag = object.ETag
		return nil, nil
	}
	at := first.At.Format(time.RFC3339)
	switch {
	case first.Body != s.Body:
		return refuse(http.StatusConflict, "another request had the same id at "+at), nil
	case first.Status == 0:
		return refuse(http.StatusConflict, "the same request was begun at "+at+", and has no answer yet"), nil
	}
	p := refuse(http.StatusConflict, "already done at "+at)
	p.First = first.Answer
	return p, nil
}

// claim notes that a request is begun, or refuses it where somebody else was first.
func (h *Hook) claim(ctx context.Context, s *seen) (*problem, error) {
	h.sweep(ctx)
	err := h.put(ctx, s, store.PutOptions{IfAbsent: true})
	if errors.Is(err, store.ErrPrecondition) {
		return h.before(ctx, s)
	}
	return nil, err
}

// end notes the answer. What has failed for reasons that pass is forgotten, so that it can be sent
// again.
func (h *Hook) end(ctx context.Context, s *seen, status int, answer any) {
	var err error
	if status >= http.StatusInternalServerError {
		err = h.Bucket.Delete(ctx, s.key)
	} else if s.Answer, err = json.Marshal(answer); err == nil {
		s.Status = status
		err = h.put(ctx, s, store.PutOptions{IfMatch: s.etag})
	}
	if err != nil {
		h.Log.Warn("the answer of a deployment can't be noted", "error", err.Error())
	}
}

func (h *Hook) put(ctx context.Context, s *seen, opts store.PutOptions) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	opts.SHA256 = sha256.Sum256(text)
	object, err := h.Bucket.Put(ctx, s.key, bytes.NewReader(text), opts)
	if err == nil {
		s.etag = object.ETag
	}
	return err
}

// sweep removes notes that are older than a day, once an hour. That it can't is no reason to refuse
// anything.
func (h *Hook) sweep(ctx context.Context) {
	h.mu.Lock()
	due := h.Now().Sub(h.swept) >= sweepEvery
	if due {
		h.swept = h.Now()
	}
	h.mu.Unlock()
	if !due {
		return
	}
	listing, err := h.Bucket.List(ctx, store.ListOptions{Prefix: seenPrefix})
	for _, object := range listing.Objects {
		if err == nil && listing.Date.Sub(object.Modified) > seenFor {
			err = h.Bucket.Delete(ctx, object.Key)
		}
	}
	if err != nil {
		h.Log.Warn("old notes of deployments can't be removed", "error", err.Error())
	}
}
