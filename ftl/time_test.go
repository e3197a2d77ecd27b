package ftl

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTimeThatIsUnknownIsNull(t *testing.T) {
	then := time.Date(2026, 11, 21, 14, 52, 9, 0, time.UTC)
	text, err := json.Marshal([]Time{{}, At(then)})
	if want := `[null,"2026-11-21T14:52:09Z"]`; err != nil || string(text) != want {
		t.Fatalf("got %s, %v, want %s", text, err, want)
	}
	back := []Time{At(then), {}}
	if err := json.Unmarshal(text, &back); err != nil || !back[0].IsZero() || !back[1].Equal(then) {
		t.Errorf("got %v, %v, want the same times", back, err)
	}
}

func TestClockHasAZone(t *testing.T) {
	was := time.Local
	t.Cleanup(func() { time.Local = was })
	then := time.Date(2026, 11, 21, 14, 52, 9, 0, time.UTC)
	for _, test := range []struct {
		zone *time.Location
		want string
	}{
		{time.UTC, "2026-11-21 14:52:09Z"},
		{time.FixedZone("", 5*3600+1800), "2026-11-21 20:22:09+05:30"},
		{time.FixedZone("", -3*3600), "2026-11-21 11:52:09-03:00"},
	} {
		time.Local = test.zone
		if got := Clock(then); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	if got := Clock(time.Time{}); got != "-" {
		t.Errorf("got %q for a time that is unknown", got)
	}
}
