package serve

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A feed has the latest snapshot, and lets any number of viewers wait for the next one. Who is slow
// misses some, and gets the latest.
type feed struct {
	mutex   sync.Mutex
	latest  *Snapshot     // nil before the first one
	changed chan struct{} // closed when there is another one

	wake    chan struct{} // asks for a look now
	streams atomic.Int64  // viewers who follow
	asked   atomic.Int64  // when a page was asked for last, in Unix nanoseconds
}

func newFeed() *feed {
	return &feed{changed: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// get returns the latest snapshot, and a channel that is closed when there is another one.
func (f *feed) get() (*Snapshot, <-chan struct{}) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.latest, f.changed
}

func (f *feed) put(s *Snapshot) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.latest = s
	close(f.changed)
	f.changed = make(chan struct{})
}

// look asks for the bucket to be read now.
func (f *feed) look() {
	select {
	case f.wake <- struct{}{}:
	default: // somebody has asked already
	}
}

// watchedFor is how long whoever has asked for a page counts as watching.
const watchedFor = 30 * time.Second

func (f *feed) watched() bool {
	return f.streams.Load() > 0 || time.Since(time.Unix(0, f.asked.Load())) < watchedFor
}

// watch notes that somebody asks for a page. Where nobody has for a while, the picture may be old,
// so it is read anew.
func (f *feed) watch() {
	if !f.watched() {
		f.look()
	}
	f.asked.Store(time.Now().UnixNano())
}

// wait returns the latest snapshot, or the first one as soon as that is there; nil where it does
// not come in time.
func (f *feed) wait(ctx context.Context, limit time.Duration) *Snapshot {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		s, changed := f.get()
		if s != nil {
			return s
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return nil
		}
	}
}
