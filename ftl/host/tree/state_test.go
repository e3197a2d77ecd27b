package tree

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

func TestMarkAfter(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	tests := []struct {
		name   string
		m, old Mark
		want   bool
	}{
		{"none, of none", Mark{}, Mark{}, false},
		{"the first", Mark{7, a}, Mark{}, true},
		{"a greater serial", Mark{8, a}, Mark{7, b}, true},
		{"the same revision again", Mark{8, a}, Mark{7, a}, true},
		{"the same entry", Mark{7, a}, Mark{7, a}, false},
		{"a lower serial", Mark{6, b}, Mark{7, a}, false},
		{"none, after one that was seen", Mark{}, Mark{7, a}, false},
		{"a bare name, the first", Mark{0, a}, Mark{}, true},
		{"another bare name", Mark{0, b}, Mark{0, a}, true},
		{"the same bare name", Mark{0, a}, Mark{0, a}, false},
		{"a bare name, after a serial", Mark{0, b}, Mark{7, a}, false},
		{"none, of a bare name", Mark{}, Mark{0, a}, false},
	}
	for _, test := range tests {
		if got := test.m.After(test.old); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestFailedHookWaitsLongerEachTime(t *testing.T) {
	st, r, now := new(State), letter(t, "a"), time.Now()
	for i, minutes := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		st.Fail(r, ftl.PostSync, errors.New("it failed"), now)
		due := now.Add(minutes * time.Minute)
		if err := st.Waiting(r, ftl.PostSync, due.Add(-time.Second)); err == nil {
			t.Errorf("failure %d: tried again before %d minutes", i+1, minutes)
		}
		if err := st.Waiting(r, ftl.PostSync, due); err != nil {
			t.Errorf("failure %d: after %d minutes: %v", i+1, minutes, err)
		}
		if got := st.Failures.Of(r, ftl.PostSync).Count; got != i+1 {
			t.Errorf("count %d, want %d", got, i+1)
		}
		now = due
	}
}

func TestWaitingIsOfOneHookOfOneRevision(t *testing.T) {
	st, r, now := new(State), letter(t, "a"), time.Now()
	st.Fail(r, ftl.PostSync, errors.New("it failed"), now)
	if err := st.Waiting(r, ftl.PreJump, now); err != nil {
		t.Errorf("another hook: %v", err)
	}
	if err := st.Waiting(letter(t, "b"), ftl.PostSync, now); err != nil {
		t.Errorf("another revision: %v", err)
	}
	err := st.Waiting(r, ftl.PostSync, now)
	if failure, ok := errors.AsType[*ftl.Error](err); !ok || !failure.Waiting || failure.Kind != ftl.HookFailed {
		t.Errorf("got %v, want a failure of a hook that is waiting", err)
	}
	st.Succeed(r, ftl.PostSync)
	if err := st.Waiting(r, ftl.PostSync, now); err != nil {
		t.Errorf("after a success: %v", err)
	}
}

func TestNewSerialEndsTheWait(t *testing.T) {
	st, r, now := new(State), letter(t, "a"), time.Now()
	st.Look(Mark{7, r})
	st.Fail(r, ftl.PreJump, errors.New("it failed"), now)
	st.Look(Mark{8, r})
	if err := st.Waiting(r, ftl.PreJump, now); err != nil {
		t.Error(err)
	}
}

func TestClockThatWasSetBackEndsTheWait(t *testing.T) {
	st, r, now := new(State), letter(t, "a"), time.Now()
	st.Fail(r, ftl.PreJump, errors.New("it failed"), now)
	if err := st.Waiting(r, ftl.PreJump, now.AddDate(-1, 0, 0)); err != nil {
		t.Error(err)
	}
}

func TestOverrule(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	st := new(State)
	st.Look(Mark{7, a})
	st.Overrule()
	if st.Acted != (Mark{7, a}) {
		t.Errorf("acted %v, want what was seen", st.Acted)
	}
	st.Look(Mark{6, b})
	if st.Seen != (Mark{7, a}) {
		t.Errorf("seen %v, which is older", st.Seen)
	}

	st = new(State)
	st.Overrule()
	st.Look(Mark{7, a})
	if (Mark{7, a}).After(st.Acted) || !(Mark{8, a}).After(st.Acted) {
		t.Errorf("before the first look: acted %v, want the first entry that is seen", st.Acted)
	}

	st = new(State)
	st.Look(Mark{})
	st.Overrule()
	if st.Look(Mark{7, a}); !st.Seen.After(st.Acted) {
		t.Errorf("the first blessing is not followed: acted %v", st.Acted)
	}
}

func TestStateSurvivesAWrite(t *testing.T) {
	p := newPackage(t)
	l := lockPackage(t, p)
	st := l.State
	st.Ready, st.Looked = map[revision.Revision]Ready{letter(t, "a"): {}}, true
	st.Look(Mark{7, letter(t, "a")})
	st.Jump = &Transition{To: letter(t, "a"), Phase: PhaseSwap, Tries: 2}
	if err := l.WriteState(); err != nil {
		t.Fatal(err)
	}
	got, err := p.ReadState()
	if err != nil {
		t.Fatal(err)
	}
	if !got.IsReady(letter(t, "a")) || got.Seen != st.Seen || *got.Jump != *st.Jump || !got.Looked {
		t.Errorf("got %+v, want %+v", got, st)
	}
}

func TestStateThatFtlDidNotWrite(t *testing.T) {
	for _, text := range []string{
		"", "null", "{}", `{"format":1`, `{"format":0}`,
		`{"format":1,"jump":{"to":"pkg.a","phase":"no such phase"}}`,
		`{"format":1,"jump":{"phase":"swap"}}`,
		`{"format":1,"jump":{"to":"other.a","phase":"swap"}}`,
	} {
		p := newPackage(t)
		if err := os.WriteFile(p.StatePath(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := p.ReadState(); !errors.Is(err, ErrState) {
			t.Errorf("%q: got %v, want a state that can't be read", text, err)
		}
		if err := p.WithLockMending(t.Context(), Patience{}, func(*Locked) error { return nil }); err != nil {
			t.Errorf("%q: set aside: %v", text, err)
		}
		if _, err := p.ReadState(); err != nil {
			t.Errorf("%q: after it was set aside: %v", text, err)
		}
	}
}

func TestAdoptWhatTheLinksPointTo(t *testing.T) {
	p := newPackage(t)
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(p.RevisionDir(letter(t, name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := lockPackage(t, p).Flip(Links{Current: letter(t, "b"), Previous: letter(t, "c")}); err != nil {
		t.Fatal(err)
	}
	st, err := p.ReadState()
	if err != nil {
		t.Fatal(err)
	}
	if got := st.ReadyRevisions(); len(got) != 1 || got[0] != letter(t, "b") {
		t.Errorf("ready are %v; want the one with a link and a tree", got)
	}
}
