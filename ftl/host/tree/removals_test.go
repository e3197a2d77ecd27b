package tree

import (
	"testing"
	"time"
)

func TestRemovalsOfADay(t *testing.T) {
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name  string
		count Removals
		later time.Duration
		local int
		left  int
	}{
		{"none yet, of few", Removals{}, 0, 3, 5},
		{"none yet, of many", Removals{}, 0, 20, 10},
		{"some have gone", Removals{Since: began, Had: 20, Gone: 4}, time.Hour, 16, 6},
		{"as many as may", Removals{Since: began, Had: 20, Gone: 10}, 23 * time.Hour, 10, 0},
		{"more, as the limit was another one", Removals{Since: began, Had: 4, Gone: 9}, time.Hour, 1, 0},
		{"others have come", Removals{Since: began, Had: 6, Came: 30, Gone: 31}, time.Hour, 5, 4},
		{"the day is over", Removals{Since: began, Had: 20, Gone: 10}, 24 * time.Hour, 10, 5},
		{"the clock was set back", Removals{Since: began, Had: 20, Gone: 10}, -time.Hour, 10, 5},
	}
	for _, test := range tests {
		if got := test.count.On(began.Add(test.later), test.local).Left(); got != test.left {
			t.Errorf("%s: %d are left, want %d", test.name, got, test.left)
		}
	}
}

func TestWhatComesBeforeTheFirstRemovalIsNotCounted(t *testing.T) {
	var count Removals
	if count.NoteCame(); count != (Removals{}) {
		t.Errorf("got %+v, want none", count)
	}
	count.Since = time.Now()
	if count.NoteCame(); count.Came != 1 {
		t.Errorf("got %+v, want one", count)
	}
}
