package store

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

var (
	errStalled = errors.New("the connection stalled")
	errSlow    = errors.New("the connection is too slow")
)

// meter measures a transfer. The time that its user takes between two reads does not count.
type meter struct {
	took  time.Duration
	bytes int64
}

// slow adds a step and reports whether a window ended below the floor.
func (m *meter) slow(l *limits, n int, took time.Duration) bool {
	m.bytes += int64(n)
	if m.took += took; m.took < l.window {
		return false
	}
	slow := float64(m.bytes) < float64(l.floor)*l.window.Seconds()
	*m = meter{}
	return slow
}

// watchdog cancels a request that makes no progress.
type watchdog struct {
	next   http.RoundTripper
	limits *limits
}

func (w *watchdog) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	p := &progress{limits: w.limits, cancel: cancel}
	p.timer = time.AfterFunc(p.wait(req.ContentLength <= 0, 0), func() { cancel(errStalled) })
	watched := req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		watched.Body = &watchedBody{ReadCloser: req.Body, p: p, size: req.ContentLength, last: time.Now()}
	}
	resp, err := w.next.RoundTrip(watched)
	if err != nil {
		p.timer.Stop()
		if cause := context.Cause(ctx); cause != nil && req.Context().Err() == nil {
			err = cause
		}
		cancel(context.Canceled)
		return nil, err
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, p: p, done: true, size: -1}
	return resp, nil
}

// progress is when a request must next have moved.
type progress struct {
	limits *limits
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// sendBuffer is what a kernel may hold of a body after it was read.
const sendBuffer = 4 << 20

// wait returns how long the next step may take. After the end of the body, that includes sending
// what the kernel still holds of it.
func (p *progress) wait(sent bool, size int64) time.Duration {
	if !sent || p.limits.floor == 0 {
		return p.limits.idle
	}
	rest := time.Duration(min(size, sendBuffer)) * time.Second / time.Duration(p.limits.floor)
	return p.limits.idle + rest
}

// watchedBody reports to the watchdog that a body is read.
type watchedBody struct {
	io.ReadCloser
	p     *progress
	size  int64 // -1 is not known
	at    int64
	done  bool // of an answer: its end is the end of the request
	speed meter
	last  time.Time
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.at += int64(n)
	sent := err != nil || b.at == b.size
	b.p.timer.Reset(b.p.wait(sent, b.at))
	if now := time.Now(); !b.done && !sent {
		if b.speed.slow(b.p.limits, n, now.Sub(b.last)) {
			b.p.cancel(errSlow)
		}
		b.last = now
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	if b.done {
		b.p.timer.Stop()
		b.p.cancel(context.Canceled)
	}
	return err
}
