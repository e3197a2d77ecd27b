package durable

import (
	"errors"
	"testing"
)

// An early sync that fails has to be told at the end: the kernel says it once.
func TestWriteBehindTellsOfAnEarlyFailure(t *testing.T) {
	const step = 1000
	for _, c := range []struct {
		name  string
		wrote int64
		syncs bool
	}{{"little", step - 1, false}, {"much", step, true}} {
		broken := errors.New("the disk is broken")
		syncs := 0
		b := writeBehind(step, func() error { syncs++; return broken })
		b.Wrote(c.wrote)
		err := b.End()
		if (syncs > 0) != c.syncs || errors.Is(err, broken) != c.syncs {
			t.Errorf("%s: %d syncs, End: %v", c.name, syncs, err)
		}
	}
}
