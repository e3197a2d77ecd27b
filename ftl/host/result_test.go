package host

import (
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
)

func TestJumpsSinceCountsEachOnce(t *testing.T) {
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(minute int, name ftl.Step, state ftl.State) tree.LogLine {
		return tree.LogLine{Time: start.Add(time.Duration(minute) * time.Minute), Name: name, State: state}
	}
	r := Result{Ended: start.Add(5 * time.Minute), log: []tree.LogLine{
		at(0, ftl.Jump, ftl.Success), // counted by the sync that ended then
		at(1, ftl.Jump, ftl.Success), at(1, ftl.Flip, ftl.Success), at(2, "post-jump", ftl.Failure), at(2, ftl.Jump, ftl.Failure),
		at(3, ftl.Revert, ftl.Running), at(4, ftl.Revert, ftl.Success), at(5, ftl.Jump, ftl.Failure),
		at(6, ftl.Jump, ftl.Success), // by hand, after this sync
	}}
	if well, failed, rejected := r.JumpsSince(start); well != 1 || failed != 2 || rejected != 1 {
		t.Errorf("got %d, %d and %d, want 1 that went well, 2 that failed and 1 of them rejected", well, failed, rejected)
	}
	if well, failed, rejected := r.JumpsSince(r.Ended); well+failed+rejected != 0 {
		t.Errorf("got %d, %d and %d a second time", well, failed, rejected)
	}
}
