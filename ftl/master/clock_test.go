package master

import (
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
)

// A blessing by a wrong clock would be followed by none that a right one makes.
func TestBlessWithAnyClock(t *testing.T) {
	right := time.Date(2028, 2, 28, 23, 59, 59, 0, time.UTC)
	for _, test := range []struct {
		name    string
		clock   time.Time
		refused bool
	}{
		{"right", right, false},
		{"a day ahead", right.Add(24 * time.Hour), false},
		{"over a day ahead", right.Add(24*time.Hour + time.Minute), true},
		{"a year ahead", right.AddDate(1, 0, 0), true},
		{"ten years behind", right.AddDate(-10, 0, 0), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMaster(t, at(openBucket(t), right))
			m.Now = func() time.Time { return right }
			r := spool(t, m, "tool", "x")
			m.Now = func() time.Time { return test.clock }
			err := m.Jump(t.Context(), r, JumpOptions{})
			if refused := isKind(err, ftl.Refused) && strings.Contains(err.Error(), "clock"); refused != test.refused || !refused && err != nil {
				t.Errorf("got %v; refused: %v, want %v", err, refused, test.refused)
			}
			active, blessed := readMarker(t, m.Bucket, "tool").Active()
			want := right.Unix() + 1 // as the bucket has a revision of that second
			if blessed == test.refused || blessed && active.Serial != want {
				t.Errorf("the serial is %d, want %d, by the bucket's clock, unless it is refused", active.Serial, want)
			}
		})
	}
}

// Nothing can be compared with the clock of a bucket that doesn't tell it.
func TestBucketWithoutClock(t *testing.T) {
	m := newMaster(t, at(openBucket(t), time.Time{}))
	if err := m.Jump(t.Context(), spool(t, m, "tool", "x"), JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	if active, _ := readMarker(t, m.Bucket, "tool").Active(); time.Since(time.Unix(active.Serial, 0)).Abs() > time.Hour {
		t.Errorf("the serial is %d, want the time here", active.Serial)
	}
}

// After the marker was lost, its serials rise above all that the bucket tells of a clock that was
// ahead, and above what the operator knows that hosts have seen.
func TestSerialRisesAfterDeletion(t *testing.T) {
	ahead := time.Now().Add(23 * time.Hour)
	m := newMaster(t, openBucket(t))
	m.Now = func() time.Time { return ahead }
	r := spool(t, m, "tool", "x")
	m.Now = nil
	serial := func(opts JumpOptions) int64 {
		t.Helper()
		if err := m.Jump(t.Context(), r, opts); err != nil {
			t.Fatal(err)
		}
		active, _ := readMarker(t, m.Bucket, "tool").Active()
		return active.Serial
	}
	first := serial(JumpOptions{})
	if first <= ahead.Unix() {
		t.Errorf("serial %d, want one above the newest id's time %d", first, ahead.Unix())
	}
	if err := m.Bucket.Delete(t.Context(), "tool.rev"); err != nil {
		t.Fatal(err)
	}
	seen := ahead.AddDate(1, 0, 0).Unix()
	if got := serial(JumpOptions{Above: seen}); got != seen+1 {
		t.Errorf("serial %d, want %d", got, seen+1)
	}
	if got := serial(JumpOptions{Above: seen}); got != seen+1 {
		t.Errorf("serial %d, want it to stay %d, as that is above already", got, seen+1)
	}
	if got := serial(JumpOptions{Above: seen + 10}); got != seen+11 {
		t.Errorf("serial %d, want %d: the active revision is blessed again", got, seen+11)
	}
	if got := serial(JumpOptions{Again: true}); got != seen+12 {
		t.Errorf("serial %d, want %d", got, seen+12)
	}
}
