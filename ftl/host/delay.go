package host

import (
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
)

// delayedUntil returns when a host may act on the marker's newest entry, and
// whether it has to wait for that: the entry has to be as old as the delay, by
// the bucket's clock alone. The way back waits for nothing, nor does a host that
// has nothing active yet.
func delayedUntil(marker catalog.Marker, delay time.Duration, current bool) (time.Time, bool) {
	active, blessed := marker.Active()
	if delay == 0 || !blessed || !current || active.Kind == catalog.KindJumpBack {
		return time.Time{}, false
	}
	now := marker.Date
	if now.IsZero() { // the bucket doesn't tell its time
		now = time.Now()
	}
	since := marker.Modified
	if blessed := time.Unix(active.Renews, 0); active.Renews > 0 && blessed.Before(since) { // to sign it again makes it no younger
		since = blessed
	}
	until := since.Add(delay)
	return until, now.Before(until)
}
