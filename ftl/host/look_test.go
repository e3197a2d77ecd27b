package host

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
)

// markerOf returns a marker with one entry, and none for a zero mark.
func markerOf(m tree.Mark) catalog.Marker {
	if m == (tree.Mark{}) {
		return catalog.Marker{}
	}
	return catalog.Marker{Entries: []catalog.Entry{{Serial: m.Serial, Revision: m.Revision}}, Modified: time.Now()}
}

func TestMarkerThatCannotBeTheNewest(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	tests := []struct {
		name         string
		seen, marker tree.Mark
		empty        bool
		want, hint   string
	}{
		{"the first", tree.Mark{}, tree.Mark{Serial: 7, Revision: a}, false, "", ""},
		{"none yet", tree.Mark{}, tree.Mark{}, true, "", ""},
		{"the same", tree.Mark{Serial: 7, Revision: a}, tree.Mark{Serial: 7, Revision: a}, false, "", ""},
		{"a newer one", tree.Mark{Serial: 7, Revision: a}, tree.Mark{Serial: 8, Revision: b}, false, "", ""},
		{"a bare name after another", tree.Mark{Serial: 0, Revision: a}, tree.Mark{Serial: 0, Revision: b}, false, "", ""},
		{"an older one", tree.Mark{Serial: 7, Revision: a}, tree.Mark{Serial: 6, Revision: b}, false, "older than the one that blessed pkg.a", "ftl jump --master --serial 7 pkg.b"},
		{"gone", tree.Mark{Serial: 7, Revision: a}, tree.Mark{}, false, "the marker of pkg is gone", "bless the revision again: ftl jump --master pkg.a"},
		{"gone, and the serial is ahead of the clock", tree.Mark{Serial: 1 << 40, Revision: a}, tree.Mark{}, false, "is gone", "ftl jump --master --serial 1099511627776 pkg.a"},
		{"gone with all the rest", tree.Mark{Serial: 7, Revision: a}, tree.Mark{}, true, "has nothing of pkg any more", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPackage(t)
			err := p.checkMarker(&tree.State{Seen: test.seen}, markerOf(test.marker), test.empty)
			if test.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			failure, ok := errors.AsType[*ftl.Error](err)
			if !ok || failure.Kind != ftl.NotFound || !strings.Contains(err.Error(), test.want) || !strings.Contains(failure.Hint, test.hint) {
				t.Errorf("got %v, want %q with the hint %q", err, test.want, test.hint)
			}
		})
	}
}

func TestToFollow(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	tests := []struct {
		name  string
		held  bool
		delay time.Duration
		links tree.Links
		want  tree.Mark
	}{
		{"what is blessed", false, 0, tree.Links{Current: a}, tree.Mark{Serial: 8, Revision: b}},
		{"held", true, 0, tree.Links{Current: a}, tree.Mark{}},
		{"too young", false, time.Hour, tree.Links{Current: a}, tree.Mark{}},
		{"too young, and nothing is active", false, time.Hour, tree.Links{}, tree.Mark{Serial: 8, Revision: b}},
	}
	for _, test := range tests {
		p := newPackage(t)
		p.host.Delay = test.delay
		st := &tree.State{}
		if test.held {
			st.Hold = &tree.Hold{By: "ops"}
		}
		if got := p.toFollow(st, markerOf(tree.Mark{Serial: 8, Revision: b}), test.links); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// When a sync last read the bucket is the time of a file, which is made on demand.
func TestLastLook(t *testing.T) {
	p := newPackage(t)
	if got := p.LastLook(); !got.IsZero() {
		t.Errorf("before the first: got %v", got)
	}
	for range 2 {
		before := time.Now().Add(-time.Second)
		p.NoteLook()
		if got := p.LastLook(); got.Before(before) {
			t.Errorf("got %v, want it after %v", got, before)
		}
	}
}

func TestHoldSaysWhoWhenAndWhy(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		hold tree.Hold
		want string
	}{
		{tree.Hold{By: "ops", At: at, Reason: "a freeze"}, "held by ops since " + ftl.Clock(at) + ": a freeze"},
		{tree.Hold{By: "ops", At: at}, "held by ops since " + ftl.Clock(at)},
		{tree.Hold{At: at}, "held since " + ftl.Clock(at)},
	} {
		if got := test.hold.String(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
