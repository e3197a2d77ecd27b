package tree

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

func TestParseState(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"the least", `{"format":1}`, ""},
		{"a newer format, whatever it has", `{"format":2,"jump":{"phase":"unheard of"}}`, ""},
		{"nothing", ``, "unexpected end"},
		{"cut off", `{"format":1,`, "unexpected end"},
		{"null", `null`, "it has no format"},
		{"an older format than there was", `{"format":0}`, "it has no format"},
		{"a list", `[]`, "cannot unmarshal"},
		{"a revision that is none", `{"format":1,"ready":{"no":{}}}`, "no"},
		{"a jump", `{"format":1,"jump":{"to":"pkg.a","phase":"un-jump"}}`, ""},
		{"a jump in a phase that there is not", `{"format":1,"jump":{"to":"pkg.a","phase":"takeoff"}}`, `the phase "takeoff"`},
		{"a jump to nothing", `{"format":1,"jump":{"phase":"swap"}}`, `goes to ""`},
		{"a jump of another package", `{"format":1,"jump":{"to":"other.a","phase":"swap"}}`, "not a revision of pkg"},
	}
	for _, test := range tests {
		err := new(State).parse([]byte(test.text), letter(t, "a").Package())
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// Whatever a state can hold comes back as it was written.
func TestStateIsReadAsItWasWritten(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	want := &State{
		Format: StateFormat,
		Ready:  map[revision.Revision]Ready{a: {Since: at}, b: {Since: at, File: true}},
		Seen:   Mark{8, b}, Acted: Mark{7, a}, Deferred: Deferral{Mark{8, b}, at, 3}, Looked: true,
		Failures: []Failure{{Revision: b, Hook: ftl.PreJump, Count: 2, At: at, Next: at.Add(time.Minute), Seen: Mark{8, b}, Message: "it failed", ByHand: true}},
		Rejected: map[revision.Revision]Rejection{b: {At: at, Reason: "it did not pass its check"}},
		Hold:     &Hold{By: "ops", At: at, Reason: "a freeze"},
		Removals: Removals{Since: at, Had: 9, Came: 1, Gone: 2, Told: true},
	}
	text, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got := new(State)
	if err := got.parse(text, a.Package()); err != nil {
		t.Fatal(err)
	}
	again, err := got.encode()
	if err != nil || string(again) != string(text) {
		t.Errorf("written again: %v\n%s\nwant\n%s", err, again, text)
	}
	got.read = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestStateOfANewerFormat(t *testing.T) {
	p := newPackage(t)
	if err := os.WriteFile(p.StatePath(), []byte(`{"format":2}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := p.ReadState()
	failure, ok := errors.AsType[*ftl.Error](err)
	if !ok || failure.Kind != ftl.Refused || !errors.Is(err, ErrState) || !strings.Contains(failure.Hint, "install the newer ftl") {
		t.Errorf("got %v, want it refused, and what helps", err)
	}
	called := false
	err = p.WithLock(t.Context(), Patience{}, func(*Locked) error { called = true; return nil })
	if called || !errors.Is(err, ErrState) {
		t.Errorf("with the lock: called %v, %v", called, err)
	}
	mustLock(t, p).Release() // it was given back
}

// Where a state is missing, what the links point to is ready, and nothing else.
func TestAdopt(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	for _, test := range []struct {
		name  string
		links Links
		trees []revision.Revision
		ready []revision.Revision
	}{
		{"nothing", Links{}, nil, nil},
		{"no links", Links{}, []revision.Revision{a, b}, nil},
		{"one link", Links{Current: b}, []revision.Revision{a, b}, []revision.Revision{b}},
		{"both", Links{Current: b, Previous: a}, []revision.Revision{a, b}, []revision.Revision{a, b}},
		{"a link to nothing", Links{Current: b, Previous: a}, []revision.Revision{b}, []revision.Revision{b}},
	} {
		p := newPackage(t)
		for _, r := range test.trees {
			if err := os.Mkdir(p.RevisionDir(r), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := lockPackage(t, p).Flip(test.links); err != nil {
			t.Fatal(err)
		}
		st, err := p.ReadState()
		if err != nil {
			t.Fatal(err)
		}
		if got := st.ReadyRevisions(); !reflect.DeepEqual(got, test.ready) {
			t.Errorf("%s: ready are %v, want %v", test.name, got, test.ready)
		}
	}
}

func TestStateIsForEverybodyToRead(t *testing.T) {
	p := newPackage(t)
	if err := lockPackage(t, p).WriteState(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(p.StatePath())
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("got %v, %v, want 0644", info.Mode(), err)
	}
	text, err := os.ReadFile(p.StatePath())
	if err != nil || !json.Valid(text) || !strings.HasSuffix(string(text), "}\n") {
		t.Errorf("%v: not a line of JSON at the end:\n%s", err, text)
	}
	if left, err := filepath.Glob(filepath.Join(p.Meta(), ".*")); err != nil || len(left) > 0 {
		t.Errorf("temporary files stay: %v, %v", left, err)
	}
}
