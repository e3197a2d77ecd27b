package host

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

func TestMarkAfter(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	tests := []struct {
		name   string
		m, old mark
		want   bool
	}{
		{"none, of none", mark{}, mark{}, false},
		{"the first", mark{7, a}, mark{}, true},
		{"a greater serial", mark{8, a}, mark{7, b}, true},
		{"the same revision again", mark{8, a}, mark{7, a}, true},
		{"the same entry", mark{7, a}, mark{7, a}, false},
		{"a lower serial", mark{6, b}, mark{7, a}, false},
		{"none, after one that was seen", mark{}, mark{7, a}, false},
		{"a bare name, the first", mark{0, a}, mark{}, true},
		{"another bare name", mark{0, b}, mark{0, a}, true},
		{"the same bare name", mark{0, a}, mark{0, a}, false},
		{"a bare name, after a serial", mark{0, b}, mark{7, a}, false},
		{"none, of a bare name", mark{}, mark{0, a}, false},
	}
	for _, test := range tests {
		if got := test.m.after(test.old); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestFailedHookWaitsLongerEachTime(t *testing.T) {
	st, r, now := new(state), letter(t, "a"), time.Now()
	for i, minutes := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		st.fail(r, hooks.PostSync, errors.New("it failed"), now)
		due := now.Add(minutes * time.Minute)
		if err := st.waiting(r, hooks.PostSync, due.Add(-time.Second)); err == nil {
			t.Errorf("failure %d: tried again before %d minutes", i+1, minutes)
		}
		if err := st.waiting(r, hooks.PostSync, due); err != nil {
			t.Errorf("failure %d: after %d minutes: %v", i+1, minutes, err)
		}
		if got := st.failure(r, hooks.PostSync).Count; got != i+1 {
			t.Errorf("count %d, want %d", got, i+1)
		}
		now = due
	}
}

func TestWaitingIsOfOneHookOfOneRevision(t *testing.T) {
	st, r, now := new(state), letter(t, "a"), time.Now()
	st.fail(r, hooks.PostSync, errors.New("it failed"), now)
	if err := st.waiting(r, hooks.PreJump, now); err != nil {
		t.Errorf("another hook: %v", err)
	}
	if err := st.waiting(letter(t, "b"), hooks.PostSync, now); err != nil {
		t.Errorf("another revision: %v", err)
	}
	err := st.waiting(r, hooks.PostSync, now)
	if failure, ok := errors.AsType[*ftl.Error](err); !ok || !failure.Waiting || failure.Kind != ftl.HookFailed {
		t.Errorf("got %v, want a failure of a hook that is waiting", err)
	}
	st.succeed(r, hooks.PostSync)
	if err := st.waiting(r, hooks.PostSync, now); err != nil {
		t.Errorf("after a success: %v", err)
	}
}

func TestNewSerialEndsTheWait(t *testing.T) {
	st, r, now := new(state), letter(t, "a"), time.Now()
	st.look(mark{7, r})
	st.fail(r, hooks.PreJump, errors.New("it failed"), now)
	st.look(mark{8, r})
	if err := st.waiting(r, hooks.PreJump, now); err != nil {
		t.Error(err)
	}
}

func TestClockThatWasSetBackEndsTheWait(t *testing.T) {
	st, r, now := new(state), letter(t, "a"), time.Now()
	st.fail(r, hooks.PreJump, errors.New("it failed"), now)
	if err := st.waiting(r, hooks.PreJump, now.AddDate(-1, 0, 0)); err != nil {
		t.Error(err)
	}
}

func TestOverrule(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	st := new(state)
	st.look(mark{7, a})
	st.overrule()
	if st.Acted != (mark{7, a}) {
		t.Errorf("acted %v, want what was seen", st.Acted)
	}
	st.look(mark{6, b})
	if st.Seen != (mark{7, a}) {
		t.Errorf("seen %v, which is older", st.Seen)
	}

	st = new(state)
	st.overrule()
	st.look(mark{7, a})
	if (mark{7, a}).after(st.Acted) || !(mark{8, a}).after(st.Acted) {
		t.Errorf("before the first look: acted %v, want the first entry that is seen", st.Acted)
	}

	st = new(state)
	st.look(mark{})
	st.overrule()
	if st.look(mark{7, a}); !st.Seen.after(st.Acted) {
		t.Errorf("the first blessing is not followed: acted %v", st.Acted)
	}
}

func TestStateSurvivesAWrite(t *testing.T) {
	p := newPackage(t)
	st := &state{Format: stateFormat, Ready: map[revision.Revision]ready{letter(t, "a"): {}}, Looked: true}
	st.look(mark{7, letter(t, "a")})
	st.Jump = &flight{To: letter(t, "a"), Phase: phaseSwap, Tries: 2}
	if err := p.writeState(st); err != nil {
		t.Fatal(err)
	}
	got, err := p.readState()
	if err != nil {
		t.Fatal(err)
	}
	if !got.isReady(letter(t, "a")) || got.Seen != st.Seen || *got.Jump != *st.Jump || !got.Looked {
		t.Errorf("got %+v, want %+v", got, st)
	}
}

func TestStateThatFtlDidNotWrite(t *testing.T) {
	for _, text := range []string{
		"", "null", "{}", `{"format":1`, `{"format":0}`,
		`{"format":1,"jump":{"to":"pkg.a","phase":"landing"}}`,
		`{"format":1,"jump":{"phase":"swap"}}`,
		`{"format":1,"jump":{"to":"other.a","phase":"swap"}}`,
	} {
		p := newPackage(t)
		if err := os.WriteFile(p.statePath(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := p.readState(); !errors.Is(err, errState) {
			t.Errorf("%q: got %v, want a state that can't be read", text, err)
		}
		if _, err := p.readOrAdoptState(); err != nil {
			t.Errorf("%q: set aside: %v", text, err)
		}
		if _, err := p.readState(); err != nil {
			t.Errorf("%q: after it was set aside: %v", text, err)
		}
	}
}

func TestAdoptWhatTheLinksPointTo(t *testing.T) {
	p := newPackage(t)
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(p.revisionDir(letter(t, name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.flip(links{current: letter(t, "b"), previous: letter(t, "c")}); err != nil {
		t.Fatal(err)
	}
	st, err := p.readState()
	if err != nil {
		t.Fatal(err)
	}
	if got := st.readyRevisions(); len(got) != 1 || got[0] != letter(t, "b") {
		t.Errorf("ready are %v; want the one with a link and a tree", got)
	}
}

// newPackage returns an empty package called pkg of a host of its own.
func newPackage(t *testing.T) *pkg {
	t.Helper()
	h := &Host{Root: t.TempDir(), Command: "ftl test", Warn: t.Logf}
	p := h.open(letter(t, "a").Package())
	if err := os.Mkdir(filepath.Join(h.Root, "pkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := p.prepare(); err != nil {
		t.Fatal(err)
	}
	return p
}
