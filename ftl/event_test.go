package ftl_test

import (
	"slices"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
)

func TestHooksAreStepsOfTheSameName(t *testing.T) {
	var names []ftl.Step
	for _, name := range hooks.Names() {
		names = append(names, ftl.Step(name))
	}
	if !slices.Equal(names, ftl.Hooks()) {
		t.Errorf("package hooks has %q, and the steps are %q", names, ftl.Hooks())
	}
}

func TestOwnStepIsNoOther(t *testing.T) {
	all := append(ftl.Hooks(), ftl.Fetch, ftl.Unpack, ftl.Ready, ftl.Flip, ftl.Defer, ftl.Recover, ftl.Revert, ftl.Hold,
		ftl.Unhold, ftl.Remove, ftl.Spool, ftl.Subscribe, ftl.Bless, ftl.Halt, ftl.Retire, ftl.Adopt, ftl.Purge, ftl.Jump, ftl.Sync)
	for _, step := range all {
		if _, _, own := step.Own(); own {
			t.Errorf("%s is taken for a hook's own", step)
		}
		mine := ftl.OwnStep(ftl.PostJump, string(step))
		hook, name, own := mine.Own()
		if slices.Contains(all, mine) || hook != ftl.PostJump || name != string(step) || !own {
			t.Errorf("%s: got %s of %s, %v", mine, name, hook, own)
		}
	}
}
