package tree

import (
	"os"
	"strings"
	"testing"
	"time"
)

// What a newer ftl has written stays, and what it belongs to goes with it.
func TestFieldsOfANewerFtlAreKept(t *testing.T) {
	const text = `{
		"format": 1, "newer": {"deep": [1, 12345678901234567890]}, "output": "of an older one",
		"ready": {"pkg.a": {"since": "2026-11-21T12:00:00Z", "newer": "of a"}, "pkg.b": {"since": "2026-11-21T12:00:00Z", "newer": "of b"}},
		"seen": {"serial": 7, "revision": "pkg.a", "newer": "of 7"},
		"acted": {"serial": 7, "revision": "pkg.a", "newer": "of 7 too"},
		"failures": [
			{"revision": "pkg.a", "hook": "post-sync", "at": "2026-11-21T12:00:00Z", "newer": "of the first"},
			{"revision": "pkg.b", "hook": "post-sync", "at": "2026-11-21T12:00:00Z", "newer": "of the second"}
		],
		"hold": {"by": "ops", "at": "2026-11-21T12:00:00Z", "newer": "of the hold"},
		"jump": {"to": "pkg.a", "phase": "swap", "started": "2026-11-21T12:00:00Z", "newer": "of the jump"}
	}`
	tests := []struct {
		name       string
		change     func(*State)
		kept, gone []string
	}{
		{
			"nothing", func(*State) {},
			[]string{`12345678901234567890`, `of a"`, `of b"`, `of 7"`, `of 7 too"`, `of the first"`, `of the second"`, `of the hold"`, `of the jump"`},
			[]string{`older one`},
		},
		{"a revision goes", func(st *State) { delete(st.Ready, letter(t, "a")) }, []string{`of b"`}, []string{`of a"`}},
		{"a revision comes anew", func(st *State) { st.Ready[letter(t, "a")] = Ready{Since: time.Now()} }, []string{`of b"`}, []string{`of a"`}},
		{"another entry was seen", func(st *State) { st.Seen.Serial = 8 }, []string{`of 7 too"`}, []string{`of 7"`}},
		{"a failure is over", func(st *State) { st.Succeed(letter(t, "a"), "post-sync") }, []string{`of the second"`}, []string{`of the first"`}},
		{"unhold", func(st *State) { st.Hold = nil }, nil, []string{`of the hold"`}},
		{"a jump goes on", func(st *State) { st.Jump.Phase = PhasePostJump }, []string{`of the jump"`}, nil},
		{"another jump", func(st *State) { st.Jump = &Transition{To: letter(t, "b"), Phase: PhaseSwap, Started: time.Now()} }, nil, []string{`of the jump"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPackage(t)
			if err := os.WriteFile(p.StatePath(), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			l := lockPackage(t, p)
			test.change(l.State)
			if err := l.WriteState(); err != nil {
				t.Fatal(err)
			}
			written, err := os.ReadFile(p.StatePath())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.kept {
				if !strings.Contains(string(written), want) {
					t.Errorf("%s is lost:\n%s", want, written)
				}
			}
			for _, unwanted := range test.gone {
				if strings.Contains(string(written), unwanted) {
					t.Errorf("%s is still there:\n%s", unwanted, written)
				}
			}
			if _, err := p.ReadState(); err != nil {
				t.Error(err)
			}
		})
	}
}
