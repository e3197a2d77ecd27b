package host

import (
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/master"
)

func TestDelayIsByTheBucketsClock(t *testing.T) {
	written := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC) // not the clock of this machine
	entry := func(kind string) []master.Entry { return []master.Entry{{Revision: letter(t, "a"), Kind: kind}} }
	tests := []struct {
		name    string
		entries []master.Entry
		age     time.Duration
		delay   time.Duration
		current bool
		want    bool
	}{
		{"young", entry(master.KindJump), time.Hour, 2 * time.Hour, true, true},
		{"a moment before", entry(master.KindJump), 2*time.Hour - 1, 2 * time.Hour, true, true},
		{"old enough", entry(master.KindJump), 2 * time.Hour, 2 * time.Hour, true, false},
		{"no delay", entry(master.KindJump), 0, 0, true, false},
		{"written in the bucket's future", entry(master.KindJump), -time.Second, time.Minute, true, true},
		{"the way back", entry(master.KindJumpBack), 0, 2 * time.Hour, true, false},
		{"a host with nothing active", entry(master.KindJump), 0, 2 * time.Hour, false, false},
		{"an entry without a kind", entry(""), 0, 2 * time.Hour, true, true},
		{"nothing blessed", nil, 0, 2 * time.Hour, true, false},
	}
	for _, test := range tests {
		marker := master.Marker{Entries: test.entries, Modified: written, Date: written.Add(test.age)}
		until, got := delayedUntil(marker, test.delay, test.current)
		if got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
		if got && !until.Equal(written.Add(test.delay)) {
			t.Errorf("%s: until %v", test.name, until)
		}
	}
}
