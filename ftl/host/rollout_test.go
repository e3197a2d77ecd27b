package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// waves is a fleet of hosts that run a revision, when another one is rolled out to them.
type waves struct {
	*fleetOf
	hosts    []*host.Host // in the order of the rollout
	old, new revision.Revision
}

// spoolTree spools a directory with hooks.
func (f *fleetOf) spoolTree(name string, hooks map[string]string) revision.Revision {
	f.Helper()
	dir := filepath.Join(f.TempDir(), name)
	if err := os.MkdirAll(filepath.Join(dir, "ftl"), 0o755); err != nil {
		f.Fatal(err)
	}
	hooks["ftl.note"] = "" // so that no directory is empty
	for hook, script := range hooks {
		path := filepath.Join(dir, "ftl", hook)
		if hook == "ftl.note" {
			path = filepath.Join(dir, "note")
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	r, err := f.master.Spool(f.Context(), dir, master.SpoolOptions{})
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// rollOut has n hosts run one revision, and blesses another one with these hooks in waves.
func rollOut(t *testing.T, n int, hooks map[string]string, opts rollout.Options) *waves {
	t.Helper()
	w := &waves{fleetOf: newFleet(t)}
	w.old = w.spoolTree("tool", map[string]string{})
	w.bless(w.old)
	for i := range n {
		h := w.newHost(fmt.Sprintf("web-%d", i))
		h.CheckTimeout = 1500 * time.Millisecond // which leaves time for one try
		w.subscribe(h, "tool")
		w.sync(h)
		w.hosts = append(w.hosts, h)
	}
	w.new = w.spoolTree("tool", hooks)
	slices.SortFunc(w.hosts, func(a, b *host.Host) int {
		if rollout.PlaceOf(w.new, a.Node) < rollout.PlaceOf(w.new, b.Node) {
			return -1
		}
		return 1
	})
	w.jump(opts)
	return w
}

// jump blesses the new revision in waves.
func (w *waves) jump(opts rollout.Options) {
	w.Helper()
	hosts, _, err := (&fleet.Fleet{Catalog: w.master.Bucket}).Read(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	members := fleet.Roster(hosts, w.new.Package())
	if err := w.master.Jump(w.Context(), w.new, master.JumpOptions{Rollout: &opts, Fleet: master.Fleet{Members: members, OK: len(members)}}); err != nil {
		w.Fatal(err)
	}
}

// all syncs every host, and returns those that run the new revision, in the order of the rollout.
func (w *waves) all() (running []int) {
	w.Helper()
	for i, h := range w.hosts {
		if err := h.Sync(w.Context(), nil, host.SyncOptions{Cron: true}); err != nil {
			w.Logf("host %d: %v", i, err)
		}
		if w.current(h, "tool") == w.new.ID() {
			running = append(running, i)
		}
	}
	return running
}

// votes returns the last word of each host, in the order of the rollout.
func (w *waves) votes() []rollout.Kind {
	w.Helper()
	marker, err := w.master.Bucket.Marker(w.Context(), w.new.Package())
	if err != nil {
		w.Fatal(err)
	}
	votes, err := w.master.Bucket.Votes(w.Context(), w.new.Package(), marker.Entries[0].Serial)
	if err != nil {
		w.Fatal(err)
	}
	slices.SortFunc(votes.Votes, func(a, b rollout.Vote) int { return a.At.Compare(b.At) })
	last := make([]rollout.Kind, len(w.hosts))
	for _, v := range votes.Votes {
		i := slices.IndexFunc(w.hosts, func(h *host.Host) bool { return h.Node == v.Host })
		last[i] = v.Kind
	}
	return last
}

func steps(t *testing.T, text string) []rollout.Step {
	t.Helper()
	s, err := rollout.ParseSteps(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A good revision goes wave by wave, each when the one before is well.
func TestRolloutOfAGoodRevision(t *testing.T) {
	w := rollOut(t, 4, map[string]string{"check": "true"}, rollout.Options{Waves: steps(t, "1,2"), Soak: time.Millisecond})
	if got := w.all(); !slices.Equal(got, []int{0}) {
		t.Fatalf("at first %v run it, want the first host", got)
	}
	if got := w.votes(); got[0] != rollout.OK || got[1] != "" {
		t.Errorf("the votes are %q", got)
	}
	if got := w.all(); !slices.Equal(got, []int{0, 1}) { // the first says that it is well, and the second hears it
		t.Fatalf("then %v run it, want two", got)
	}
	if got := w.all(); len(got) != 4 {
		t.Fatalf("then %v run it, want all", got)
	}
	w.all()
	if got := w.votes(); slices.ContainsFunc(got, func(k rollout.Kind) bool { return k != rollout.Well }) {
		t.Errorf("the votes are %q, want all well", got)
	}
	w.all() // which learns that it has settled
	w.all() // which finds nothing to do
	before := w.bucket.reads.Load() + w.bucket.lists.Load()
	w.all()
	if n := w.bucket.reads.Load() + w.bucket.lists.Load() - before; n != 4 {
		t.Errorf("after it has settled, 4 hosts make %d requests, want 4", n)
	}
}

// A revision that fails on the first host reaches no other.
func TestRolloutOfABadRevision(t *testing.T) {
	for name, hooks := range map[string]map[string]string{
		"check":     {"check": "exit 1"},
		"post-jump": {"post-jump": "exit 1", "check": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			w := rollOut(t, 4, hooks, rollout.Options{Waves: steps(t, "1,2"), Soak: time.Millisecond})
			for range 3 {
				if got := w.all(); len(got) > 0 {
					t.Fatalf("%v run it", got)
				}
			}
			if got := w.votes(); !slices.Equal(got, []rollout.Kind{rollout.Bad, "", "", ""}) {
				t.Errorf("the votes are %q, want one bad", got)
			}
			statuses, err := w.hosts[2].Status(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			first, held := statuses[0].First()
			if !held || statuses[0].Condition != ftl.Pending || !strings.Contains(first.Message, "halted") || !strings.Contains(first.Message, w.hosts[0].Node) {
				t.Errorf("a host that waits says %+v", first)
			}
		})
	}
}

// A revision that fails later is left again, and goes no further.
func TestRolloutOfARevisionThatFailsLater(t *testing.T) {
	flag := filepath.Join(t.TempDir(), "broken")
	w := rollOut(t, 4, map[string]string{"check": "test ! -e " + flag}, rollout.Options{Waves: steps(t, "1,2"), Soak: time.Hour})
	w.all()
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := w.all(); len(got) > 0 {
		t.Errorf("%v run it", got)
	}
	if got := w.votes(); got[0] != rollout.Bad {
		t.Errorf("the votes are %q", got)
	}
}

// Two lookers-on and a person: what is done by hand is voted for, too.
func TestRolloutAndJumpsByHand(t *testing.T) {
	w := rollOut(t, 3, map[string]string{"check": "true"}, rollout.Options{Waves: steps(t, "1"), Soak: time.Millisecond})
	if err := w.hosts[2].Jump(t.Context(), w.new, host.JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	w.sync(w.hosts[2])
	if got := w.votes(); got[2] != rollout.Well && got[2] != rollout.OK {
		t.Errorf("after a jump to it by hand the votes are %q", got)
	}
	w.sync(w.hosts[0])
	if err := w.hosts[0].JumpBack(t.Context(), w.new.Package(), host.JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // of two votes in the same second the later kind counts, which is what a directory does not show
	w.sync(w.hosts[0])
	if got := w.votes(); got[0] != rollout.Out {
		t.Errorf("after a jump away by hand the votes are %q", got)
	}
}

// A host with nothing active takes what the fleet had before, and its place later.
func TestRolloutAndANewHost(t *testing.T) {
	w := rollOut(t, 4, map[string]string{"check": "true"}, rollout.Options{Waves: steps(t, "1"), Soak: time.Hour})
	var late *host.Host
	for i := 0; ; i++ { // one whose wave is not the first
		name := fmt.Sprintf("new-%d", i)
		if rollout.PlaceOf(w.new, name) > rollout.PlaceOf(w.new, w.hosts[0].Node) {
			late = w.newHost(name)
			break
		}
	}
	w.subscribe(late, "tool")
	w.sync(late)
	if got := w.current(late, "tool"); got != w.old.ID() {
		t.Errorf("a new host runs %s, want what the fleet had before, %s", got, w.old.ID())
	}
	if err := w.master.Resume(t.Context(), w.new.Package(), master.ResumeOptions{Change: master.Finish}); err != nil {
		t.Fatal(err)
	}
	w.sync(late)
	if got := w.current(late, "tool"); got != w.new.ID() {
		t.Errorf("after it was opened to all a new host runs %s, want %s", got, w.new.ID())
	}
}

// On a halt that wants it, those who run the revision go back.
func TestRolloutThatGoesBack(t *testing.T) {
	w := rollOut(t, 3, map[string]string{"check": "true"}, rollout.Options{Waves: steps(t, "1"), Soak: time.Hour, Back: true})
	if got := w.all(); !slices.Equal(got, []int{0}) {
		t.Fatalf("%v run it", got)
	}
	if err := w.master.Halt(t.Context(), w.new.Package()); err != nil {
		t.Fatal(err)
	}
	if got := w.all(); len(got) > 0 {
		t.Errorf("%v run it after the halt", got)
	}
	if got := w.current(w.hosts[0], "tool"); got != w.old.ID() {
		t.Errorf("the host runs %s, want %s", got, w.old.ID())
	}
}

// No more hosts than may change at the same time.
func TestRolloutAtOnce(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	hook := fmt.Sprintf("echo begin >>%s; sleep 0.05; echo end >>%s", log, log)
	w := rollOut(t, 6, map[string]string{"post-jump": hook}, rollout.Options{AtOnce: rollout.Amount{Count: 2}, Soak: time.Millisecond})
	for range 20 {
		done := make(chan error, len(w.hosts))
		for _, h := range w.hosts {
			go func() { done <- h.Sync(t.Context(), nil, host.SyncOptions{Cron: true}) }()
		}
		for range w.hosts {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if len(w.all()) == len(w.hosts) {
			break
		}
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	busy, most := 0, 0
	for line := range strings.Lines(string(text)) {
		if line == "begin\n" {
			busy++
		} else {
			busy--
		}
		most = max(most, busy)
	}
	if n := strings.Count(string(text), "begin"); n != 6 || most > 2 {
		t.Errorf("%d hosts changed, up to %d at the same time; want 6, 2", n, most)
	}
	for number := 1; number <= 2; number++ {
		if slot, _, err := w.master.Bucket.Slot(t.Context(), w.new.Package(), number); err != nil || slot.Host != (catalog.Node{}) {
			t.Errorf("slot %d is held: %+v, %v", number, slot, err)
		}
	}
}

// A host that can't read the votes keeps what it runs.
func TestRolloutThatCanNotBeRead(t *testing.T) {
	w := rollOut(t, 2, map[string]string{"check": "true"}, rollout.Options{Waves: steps(t, "1"), Soak: time.Millisecond})
	w.bucket.denied.Store(true) // it can't say that it begins
	if err := w.hosts[0].Sync(t.Context(), nil, host.SyncOptions{Cron: true}); err == nil {
		t.Error("a host that may not vote says nothing")
	}
	if got := w.current(w.hosts[0], "tool"); got != w.old.ID() {
		t.Errorf("it runs %s, want %s", got, w.old.ID())
	}
	w.bucket.denied.Store(false)
	w.sync(w.hosts[0])
	if got := w.current(w.hosts[0], "tool"); got != w.new.ID() {
		t.Errorf("when it may again it runs %s, want %s", got, w.new.ID())
	}
}
