package host

import (
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

func TestMoveOfRecovery(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	for at, want := range map[tree.Phase]move{
		tree.PhasePreJump: dropInterrupted, tree.PhaseUnJump: finishInterrupted, tree.PhaseSwap: finishInterrupted,
		tree.PhasePostJump: atRest, tree.PhaseCheck: atRest,
		tree.PhaseRevertUnJump: finishInterrupted, tree.PhaseRevertSwap: finishInterrupted,
		tree.PhaseRevertPostJump: finishInterrupted, tree.PhaseRevertCheck: finishInterrupted,
	} {
		jump := &tree.Transition{To: b, From: a, Phase: at}
		if got := moveOfRecovery(jump, all); got != want {
			t.Errorf("%s: got %d, want %d", at, got, want)
		}
		if want == finishInterrupted && !rules[jump.Phase].back {
			want = undoInterrupted
		}
		if got := moveOfRecovery(jump, nothing); got != want {
			t.Errorf("%s, and the revision has vanished: got %d, want %d", at, got, want)
		}
	}
	if got := moveOfRecovery(nil, all); got != atRest {
		t.Errorf("without a jump: got %d", got)
	}
}

func all(revision.Revision) bool     { return true }
func nothing(revision.Revision) bool { return false }

func TestMoveByHand(t *testing.T) {
	a, b, c := letter(t, "a"), letter(t, "b"), letter(t, "c")
	before, after := tree.Links{Current: a, Previous: c}, tree.Links{Current: b, Previous: a}
	jump := func(at tree.Phase) *tree.Transition { return &tree.Transition{To: b, From: a, Previous: c, Phase: at} }
	for _, test := range []struct {
		name   string
		jump   *tree.Transition
		shown  tree.Links
		to     revision.Revision
		usable func(revision.Revision) bool
		want   move
	}{
		{"another one", nil, before, b, all, beginJump},
		{"one that is not here", nil, before, b, nothing, fetchFirst},
		{"the active one", nil, before, a, all, confirmActive},
		{"the active one, of which the tree has vanished", nil, tree.Links{}, a, nothing, fetchFirst},

		{"the same, interrupted in pre-jump", jump(tree.PhasePreJump), before, b, all, dropInterrupted},
		{"the same, in un-jump", jump(tree.PhaseUnJump), before, b, all, takeOver},
		{"the same, in the flip", jump(tree.PhaseSwap), before, b, all, takeOver},
		{"the same, after the flip", jump(tree.PhaseSwap), after, b, all, recordFlip},
		{"the same, in post-jump", jump(tree.PhasePostJump), after, b, all, startActive},
		{"the same, in un-jump, and it has vanished", jump(tree.PhaseUnJump), before, b, nothing, undoInterrupted},

		{"the old one, in un-jump", jump(tree.PhaseUnJump), before, a, all, undoInterrupted},
		{"the old one, after the flip", jump(tree.PhaseSwap), after, a, all, recordFlip},
		{"the old one, in post-jump", jump(tree.PhasePostJump), after, a, all, beginJump},
		{"a third one, in un-jump", jump(tree.PhaseUnJump), before, c, all, undoInterrupted},
		{"a third one, in the check", jump(tree.PhaseCheck), after, c, all, beginJump},

		{"the rejected one, on the way back", jump(tree.PhaseRevertUnJump), after, b, all, finishInterrupted},
		{"the old one, on the way back", jump(tree.PhaseRevertSwap), after, a, all, finishInterrupted},
		{"a third one, at the end of the way back", jump(tree.PhaseRevertCheck), before, c, all, finishInterrupted},
	} {
		if got := moveByHand(&tree.State{Jump: test.jump}, test.shown, request{to: test.to}, test.usable); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
	if got := moveByHand(&tree.State{Inconsistent: "neither works"}, before, request{to: a}, all); got != startActive {
		t.Errorf("the active one, which does not work: got %d", got)
	}
}

func TestMoveOfSync(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	cur := tree.Links{Current: a}
	newest := tree.Mark{Serial: 8, Revision: b}
	failedJump := func(tries int) *tree.Transition {
		return &tree.Transition{To: a, Phase: tree.PhasePostJump, Failed: "it failed", Tries: tries}
	}
	for _, test := range []struct {
		name    string
		change  func(*tree.State)
		newest  tree.Mark
		want    move
		waiting bool
	}{
		{"a new entry", func(*tree.State) {}, newest, beginJump, false},
		{"one that is not ready", func(s *tree.State) { delete(s.Ready, b) }, newest, atRest, false},
		{"one that is done with", func(s *tree.State) { s.Acted = newest }, newest, atRest, false},
		{"none", func(*tree.State) {}, tree.Mark{}, atRest, false},
		{"held", func(s *tree.State) { s.Hold = &tree.Hold{} }, newest, atRest, false},
		{"of the active one", func(*tree.State) {}, tree.Mark{Serial: 8, Revision: a}, confirmActive, false},
		{"of the active one, with other words", func(*tree.State) {}, tree.Mark{Serial: 8, Revision: a}, startActive, false},
		{"of the active one, which failed", func(s *tree.State) { s.Jump = failedJump(9) }, tree.Mark{Serial: 8, Revision: a}, startActive, false},
		{"of the active one, which does not work", func(s *tree.State) { s.Inconsistent = "it" }, tree.Mark{Serial: 8, Revision: a}, startActive, false},
		{"its pre-jump failed", func(s *tree.State) { s.Fail(b, ftl.PreJump, tree.ErrState, now) }, newest, beginJump, true},
		{"beside a failed post-jump", func(s *tree.State) { s.Jump = failedJump(1) }, newest, beginJump, false},
		{"none, and post-jump failed", func(s *tree.State) { s.Jump = failedJump(1) }, tree.Mark{}, retryActive, false},
		{"none, and post-jump failed too often", func(s *tree.State) { s.Jump = failedJump(4) }, tree.Mark{}, atRest, true},
		{"none, and nothing works", func(s *tree.State) { s.Inconsistent = "it" }, tree.Mark{}, atRest, true},
	} {
		st := &tree.State{Ready: map[revision.Revision]tree.Ready{a: {}, b: {}}, Seen: newest}
		test.change(st)
		got, err := moveOfSync(st, cur, test.newest, test.name == "of the active one, with other words", now)
		if got != test.want || (err != nil) != test.waiting {
			t.Errorf("%s: got %d and %v, want %d", test.name, got, err, test.want)
		}
	}
}
