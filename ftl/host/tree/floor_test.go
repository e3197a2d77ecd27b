package tree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
)

// signedEntry is an entry that somebody has signed.
func signedEntry(t *testing.T, name string, serial int64, key string) catalog.Entry {
	t.Helper()
	r, err := revision.Parse("pkg." + name)
	if err != nil {
		t.Fatal(err)
	}
	return catalog.Entry{Revision: r, Serial: serial, At: time.Unix(serial, 0), Signer: trust.Signer{Fingerprint: key}}
}

// trusting trusts these keys.
func trusting(keys ...string) func(string) bool {
	return func(key string) bool { return strings.Contains(strings.Join(keys, " "), key) }
}

func TestFloor(t *testing.T) {
	l := lockPackage(t, newPackage(t))
	now := time.Unix(1000, 0)
	floor := func() *Floor {
		t.Helper()
		f, err := l.Tree.ReadFloor()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := floor(); f.IsSet() || f.Check(signedEntry(t, "a", 1, "k1"), trusting("k1"), now) != nil {
		t.Error("a host without a floor refuses")
	}
	for _, entry := range []catalog.Entry{signedEntry(t, "a", 500, "k1"), signedEntry(t, "b", 400, "k1"), signedEntry(t, "c", 700, "k2")} {
		if err := l.RaiseFloor(entry); err != nil {
			t.Fatal(err)
		}
	}
	f := floor()
	for _, test := range []struct {
		name   string
		serial int64
		key    string
		counts string
		want   error
	}{
		{"d", 701, "k1", "k1 k2", nil},
		{"c", 700, "k2", "k1 k2", nil},
		{"c", 700, "k1", "k1 k2", ErrEquivocation}, // at another time, so with another content
		{"d", 700, "k2", "k1 k2", ErrEquivocation},
		{"a", 500, "k1", "k1 k2", ErrRollback},
		{"a", 500, "k1", "k1", nil}, // as the other key counts no more
		{"d", 500, "k1", "k1", ErrEquivocation},
		{"d", 400, "k1", "k1", ErrRollback},
		{"d", 1, "k3", "k3", nil},
	} {
		entry := signedEntry(t, test.name, test.serial, test.key)
		if test.name == "c" && test.key == "k1" {
			entry.Note = "other"
		}
		if err := f.Check(entry, trusting(strings.Fields(test.counts)...), now); !errors.Is(err, test.want) {
			t.Errorf("%s with the serial %d by %s, where %s count: got %v, want %v", test.name, test.serial, test.key, test.counts, err, test.want)
		}
	}
	day := int64(24 * 60 * 60)
	if err := f.Check(signedEntry(t, "d", 1000+day, "k1"), trusting("k1"), now); err != nil {
		t.Errorf("a day ahead: %v", err)
	}
	if err := f.Check(signedEntry(t, "d", 1001+day, "k1"), trusting("k1"), now); err == nil {
		t.Error("more than a day ahead is accepted")
	}
	if since := f.Since(trusting("k1")); since.Unix() != 500 {
		t.Errorf("since %v, want 500", since.Unix())
	}
}

// A floor that can't be read is none that is not there.
func TestFloorUnreadable(t *testing.T) {
	l := lockPackage(t, newPackage(t))
	path := filepath.Join(l.Tree.Meta(), "floor")
	for _, text := range []string{"", "{", "{}", `{"format":1,"keys":{}}`, `{"format":2,"keys":{"k":{"serial":1}}}`, `{"keys":{"k":{"serial":1,"entry":"x"}}}`} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Tree.ReadFloor(); err == nil {
			t.Errorf("%q was read", text)
		}
		if err := l.RaiseFloor(signedEntry(t, "a", 1, "k1")); err == nil {
			t.Errorf("%q was raised", text)
		}
	}
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Tree.ReadFloor(); err == nil {
		t.Error("a directory was read")
	}
}

// What a key has signed that counts no more stands in nobody's way; what one has signed that counts
// does.
func TestFollowAfterAKeyIsRemoved(t *testing.T) {
	floor := &Floor{Keys: map[string]Followed{"stolen": {Serial: 900}, "good": {Serial: 500}}}
	for _, test := range []struct {
		seen    int64
		serial  int64
		counts  string
		follows bool
	}{
		{900, 600, "good", true},
		{900, 900, "good", true},
		{900, 901, "good", false}, // newer anyway
		{900, 600, "good stolen", false},
		{500, 400, "good", false},
		{800, 600, "good", false}, // nobody knows who that was
	} {
		st := &State{Seen: MarkOf(signedEntry(t, "x", test.seen, "")), Acted: MarkOf(signedEntry(t, "x", test.seen, ""))}
		entry := signedEntry(t, "a", test.serial, "good")
		if got := st.Follow(entry, floor, trusting(strings.Fields(test.counts)...)); got != test.follows || got && (st.Seen != MarkOf(entry) || st.IsDone(entry)) {
			t.Errorf("%+v: got %v, seen %v, acted %v", test, got, st.Seen, st.Acted)
		}
	}
}

func TestRenew(t *testing.T) {
	for _, test := range []struct {
		acted, renews, serial int64
		done                  bool
	}{
		{100, 100, 200, true},
		{150, 100, 200, true}, // it has seen another renewal between
		{99, 100, 200, false},
		{Overruled, 100, 200, false},
		{100, 0, 200, false},
	} {
		st := &State{Acted: Mark{Serial: test.acted}}
		entry := signedEntry(t, "a", test.serial, "")
		entry.Renews = test.renews
		if st.Renew(entry); st.IsDone(entry) != test.done {
			t.Errorf("%+v: done %v", test, st.IsDone(entry))
		}
	}
}

// signs trusts these keys with revisions.
type signs string

func (s signs) CanSign(_ revision.Package, key string) bool { return string(s) == key }

func TestSetApart(t *testing.T) {
	digest := catalog.Digest{1}
	name := func(id string) revision.Revision { return signedEntry(t, id, 1, "").Revision }
	state := func() *State {
		return &State{Ready: map[revision.Revision]Ready{
			name("good"): {Manifest: digest, Signer: "k"}, name("unsigned"): {Manifest: digest}, name("adopted"): {Signer: "k"},
			name("removed"): {Manifest: digest, Signer: "old"}, name("current"): {}, name("to"): {},
		}, Jump: &Transition{To: name("to")}}
	}
	ready := func(s *State) string { return fmt.Sprint(s.ReadyRevisions()) }
	st := state()
	if !st.SetApart(signs("k"), Links{Current: name("current"), Previous: name("removed")}) || st.SetApart(signs("k"), Links{Current: name("current")}) {
		t.Error("it is done once")
	}
	if got := ready(st); got != "[pkg.current pkg.good pkg.to]" {
		t.Errorf("ready are %s", got)
	}
	if st.IsVerified(name("current"), signs("k")) || !st.IsVerified(name("good"), signs("k")) || !st.IsVerified(name("current"), nil) {
		t.Error("what runs is not verified, but where nobody asks")
	}
	if st.SetApart(signs("old"), Links{Current: name("current")}); ready(st) != "[pkg.current pkg.removed pkg.to]" {
		t.Errorf("with another key ready are %s", ready(st))
	}
	if st.SetApart(nil, Links{}); len(st.Unverified) > 0 || len(st.Ready) != 6 {
		t.Errorf("where nobody asks, %v are set apart", st.Unverified)
	}
}

// A package that time alone may change is not at rest once it has.
func TestAtRestUntil(t *testing.T) {
	now := time.Now()
	for again, rests := range map[time.Time]bool{{}: true, now.Add(time.Second): true, now: false, now.Add(-time.Hour): false} {
		st := &State{Looked: true, LookAgain: again}
		if st.AtRest(now) != rests {
			t.Errorf("to look again at %v, now %v: at rest %v, want %v", again, now, !rests, rests)
		}
	}
}
