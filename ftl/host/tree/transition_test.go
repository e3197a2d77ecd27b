package tree

import (
	"encoding/json"
	"testing"

	"github.com/rhettg/ftl/revision"
)

func TestShownLinks(t *testing.T) {
	a, b, c := letter(t, "a"), letter(t, "b"), letter(t, "c")
	none := revision.Revision{}
	for _, test := range []struct {
		at            Phase
		now, want     Links // from a, before which c was, to b
		whileAnother  Links // is in that jump
		previousIsNew bool  // from a to b, which was previous
	}{
		{PhasePreJump, Links{a, c}, Links{a, c}, Links{a, c}, false},
		{PhaseUnJump, Links{a, c}, Links{a, c}, Links{b, a}, false},
		{PhaseUnJump, Links{a, b}, Links{a, b}, Links{a, b}, true},
		{PhaseSwap, Links{a, c}, Links{a, c}, Links{b, a}, false},
		{PhaseSwap, Links{a, a}, Links{a, c}, Links{b, a}, false},
		{PhaseSwap, Links{a, a}, Links{a, b}, Links{a, b}, true},
		{PhaseSwap, Links{b, a}, Links{b, a}, Links{b, a}, false},
		{PhasePostJump, Links{b, a}, Links{b, a}, Links{b, a}, false},
		{PhaseCheck, Links{b, a}, Links{b, a}, Links{b, a}, true},
		{PhaseRevertUnJump, Links{b, a}, Links{b, a}, Links{b, a}, false},
		{PhaseRevertSwap, Links{b, a}, Links{b, a}, Links{b, a}, false},
		{PhaseRevertSwap, Links{b, c}, Links{b, a}, Links{b, a}, false},
		{PhaseRevertSwap, Links{a, c}, Links{a, c}, Links{b, a}, false},
		{PhaseRevertPostJump, Links{a, c}, Links{a, c}, Links{b, a}, false},
		{PhaseRevertCheck, Links{a, b}, Links{a, b}, Links{b, a}, true},
	} {
		jump := &Transition{To: b, From: a, Previous: c, Phase: test.at}
		if test.previousIsNew {
			jump.Previous = b
		}
		if got := jump.Shown(test.now); got != test.want {
			t.Errorf("%s, %v: shown are %v, want %v", test.at, test.now, got, test.want)
		}
		if got := jump.Leaves(test.want); got != test.whileAnother {
			t.Errorf("%s, %v: a jump that is going on leaves %v, want %v", test.at, test.now, got, test.whileAnother)
		}
	}
	var over *Transition
	if got := over.Shown(Links{a, none}); got != (Links{a, none}) {
		t.Errorf("without a jump, shown are %v", got)
	}
}

// A state that an older ftl has written in the middle of a jump is read.
func TestOldTransitions(t *testing.T) {
	name := letter(t, "a").Package()
	for _, at := range Phases {
		text := `{"to": "` + letter(t, "b").String() + `", "from": "", "previous": "", "phase": "` + string(at) +
			`", "reason": "sync", "mark": {"serial": 3, "revision": "` + letter(t, "b").String() + `"}, "started": "2026-11-21T12:00:00Z", "tries": 1}`
		var jump Transition
		if err := json.Unmarshal([]byte(text), &jump); err != nil {
			t.Fatal(err)
		}
		if err := jump.check(name); err != nil {
			t.Errorf("%s: %v", at, err)
		}
		if jump.To != letter(t, "b") || jump.Mark.Serial != 3 || jump.Phase != at || jump.Tries != 1 {
			t.Errorf("%s: got %+v", at, jump)
		}
	}
	for _, bad := range []Transition{
		{To: letter(t, "b"), Phase: "landing"},
		{Phase: PhaseCheck},
		{To: letter(t, "b"), Phase: PhasePreJump, Unfinished: &Transition{To: letter(t, "a"), Phase: PhaseUnJump}},
		{To: letter(t, "b"), Phase: PhasePreJump, Unfinished: &Transition{Phase: PhasePostJump}},
	} {
		if bad.check(name) == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// What is left to do of the active revision is kept by the jump that comes in its place.
func TestUnfinished(t *testing.T) {
	kept := &Transition{To: letter(t, "a"), Phase: PhasePostJump}
	for _, test := range []struct {
		jump *Transition
		want *Transition
	}{
		{nil, nil},
		{&Transition{To: letter(t, "b"), Phase: PhasePreJump}, nil},
		{&Transition{To: letter(t, "b"), Phase: PhasePreJump, Unfinished: kept}, kept},
		{&Transition{To: letter(t, "a"), Phase: PhaseCheck, Failed: "it"}, &Transition{To: letter(t, "a"), Phase: PhaseCheck, Failed: "it"}},
	} {
		got := test.jump.LeftToDo()
		if (got == nil) != (test.want == nil) || got != nil && *got != *test.want {
			t.Errorf("%+v: got %+v, want %+v", test.jump, got, test.want)
		}
	}
}
