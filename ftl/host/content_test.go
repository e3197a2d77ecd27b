package host

import (
	"testing"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

func TestDropOther(t *testing.T) {
	one, two := catalog.Digest{1}, catalog.Digest{2}
	a := letter(t, "a")
	tests := []struct {
		name          string
		blessed, have catalog.Digest
		current       string
		jump          *tree.Transition
		dropped       bool
	}{
		{"the same", one, one, "", nil, false},
		{"another", one, two, "", nil, true},
		{"blessed by an older ftl", catalog.Digest{}, two, "", nil, false},
		{"made by an older ftl", one, catalog.Digest{}, "", nil, false},
		{"another, which runs", one, two, "a", nil, false},
		{"another, to which a jump goes", one, two, "b", &tree.Transition{To: a}, false},
		{"another, from which a jump comes", one, two, "b", &tree.Transition{From: a}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			st := &tree.State{Ready: map[revision.Revision]tree.Ready{a: {Manifest: test.have}}, Jump: test.jump}
			marker := catalog.Marker{Entries: []catalog.Entry{{Revision: a, Manifest: test.blessed}}}
			if got := st.DropOther(marker, tree.Links{Current: letter(t, test.current)}); got != test.dropped || st.IsReady(a) == test.dropped {
				t.Errorf("dropped: %v, ready: %v; want dropped: %v", got, st.IsReady(a), test.dropped)
			}
		})
	}
}
