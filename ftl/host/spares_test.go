package host

import (
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// Only a tree is used that nobody needs.
func TestChooseSpare(t *testing.T) {
	a, b, c := letter(t, "a"), letter(t, "b"), letter(t, "c")
	for name, test := range map[string]struct {
		change func(st *tree.State, cur *tree.Links)
		want   revision.Revision
	}{
		"the newest":     {want: b},
		"current":        {change: func(_ *tree.State, cur *tree.Links) { cur.Current = b }, want: a},
		"previous":       {change: func(_ *tree.State, cur *tree.Links) { cur.Previous = b }, want: a},
		"a jump to it":   {change: func(st *tree.State, _ *tree.Links) { st.Jump = &tree.Transition{To: b, From: c} }, want: a},
		"a jump from it": {change: func(st *tree.State, _ *tree.Links) { st.Jump = &tree.Transition{To: c, From: b} }, want: a},
		"not ready":      {change: func(st *tree.State, _ *tree.Links) { delete(st.Ready, b) }, want: a},
		"a file":         {change: func(st *tree.State, _ *tree.Links) { st.Ready[b] = tree.Ready{File: true} }, want: a},
		"its pre-remove failed": {change: func(st *tree.State, _ *tree.Links) {
			st.Fail(b, ftl.PreRemove, errNotInBucket, time.Now())
		}, want: a},
	} {
		st := &tree.State{Ready: map[revision.Revision]tree.Ready{a: {}, b: {}, c: {}}}
		cur := tree.Links{Current: c}
		if test.change != nil {
			test.change(st, &cur)
		}
		s := &spares{left: []revision.Revision{a, b}}
		got, ok := s.choose(st, cur)
		if got != test.want || ok != (test.want != revision.Revision{}) {
			t.Errorf("%s: got %v, %v, want %v", name, got, ok, test.want)
		}
	}
}
