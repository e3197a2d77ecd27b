package serve

import (
	"context"
	"time"

	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/serve/notify"
)

// lookOf is what a snapshot has that others may be told of.
func lookOf(s *Snapshot) notify.Look {
	l := notify.Look{Date: s.Date, Hosts: s.Hosts}
	for _, pkg := range s.Packages {
		b := fleet.Blessing{Package: pkg.Package, Marker: pkg.Marker}
		if r := pkg.Current(); r != nil {
			b.Count = r.Count
		}
		l.Blessings = append(l.Blessings, b)
	}
	return l
}

// notify tells others of each snapshot until the context ends. Nothing depends on it, so what fails
// is only logged.
func (s *Server) notify(ctx context.Context) {
	for {
		snapshot, changed := s.feed.get()
		if snapshot != nil && snapshot.Failure == "" && !snapshot.Date.IsZero() {
			if err := s.config.Notifier.Tell(ctx, lookOf(snapshot)); err != nil && ctx.Err() == nil {
				s.log.Warn("others can't be told", "error", err.Error())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if snapshot == nil {
			continue // the first look says what is no news, so it comes at once
		}
		select { // several snapshots in a row are one look
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}
