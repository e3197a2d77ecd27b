package host

import (
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
)

// renewal is an entry that signs one of a moment again.
func renewal(t *testing.T, of time.Time) []catalog.Entry {
	t.Helper()
	return []catalog.Entry{{Revision: letter(t, "a"), Kind: catalog.KindRenew, Renews: of.Unix()}}
}

func TestDelayIsByTheBucketsClock(t *testing.T) {
	written := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC) // not the clock of this machine
	entry := func(kind string) []catalog.Entry { return []catalog.Entry{{Revision: letter(t, "a"), Kind: kind}} }
	tests := []struct {
		name    string
		entries []catalog.Entry
		age     time.Duration
		delay   time.Duration
		current bool
		want    bool
	}{
		{"young", entry(catalog.KindJump), time.Hour, 2 * time.Hour, true, true},
		{"a moment before", entry(catalog.KindJump), 2*time.Hour - 1, 2 * time.Hour, true, true},
		{"old enough", entry(catalog.KindJump), 2 * time.Hour, 2 * time.Hour, true, false},
		{"no delay", entry(catalog.KindJump), 0, 0, true, false},
		{"written in the bucket's future", entry(catalog.KindJump), -time.Second, time.Minute, true, true},
		{"the way back", entry(catalog.KindJumpBack), 0, 2 * time.Hour, true, false},
		{"a host with nothing active", entry(catalog.KindJump), 0, 2 * time.Hour, false, false},
		{"an entry without a kind", entry(""), 0, 2 * time.Hour, true, true},
		{"signed again, and blessed long ago", renewal(t, written.Add(-3*time.Hour)), 0, 2 * time.Hour, true, false},
		{"signed again, and blessed just now", renewal(t, written), 0, 2 * time.Hour, true, true},
		{"nothing blessed", nil, 0, 2 * time.Hour, true, false},
	}
	for _, test := range tests {
		marker := catalog.Marker{Entries: test.entries, Modified: written, Date: written.Add(test.age)}
		until, got := delayedUntil(marker, test.delay, test.current)
		if got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
		if got && !until.Equal(written.Add(test.delay)) {
			t.Errorf("%s: until %v", test.name, until)
		}
	}
}
