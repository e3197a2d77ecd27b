package host

import (
	"testing"

	"github.com/rhettg/ftl/ftl/host/tree"
)

// Both rows of phases come to an end, through each of their phases, and only a hook can fail in
// another way than that the phase is still to be done.
func TestRules(t *testing.T) {
	reached := make(map[tree.Phase]bool)
	for _, first := range []tree.Phase{tree.PhasePreJump, tree.PhaseRevertUnJump} {
		for at := first; at != tree.PhaseNone; at = rules[at].next {
			if reached[at] {
				t.Fatalf("%s comes twice", at)
			}
			reached[at] = true
			if rules[at].back != rules[first].back {
				t.Errorf("%s is not on the same way as %s", at, first)
			}
		}
	}
	for _, at := range tree.Phases {
		if r, known := rules[at]; !known || r.back != at.GoesBack() {
			t.Errorf("%s: the rule %v, which is of the way back: %v", at, r, at.GoesBack())
		}
	}
	for at, r := range rules {
		if !reached[at] {
			t.Errorf("nothing leads to %s", at)
		}
		if (r.hook == "") != (r.failure == stops) {
			t.Errorf("%s runs %q, and its failure leads to %d", at, r.hook, r.failure)
		}
	}
}
