package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/rollout"
)

// checked returns how often a check was asked, which notes that in a file.
func checked(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(text)
}

// flippedAgo has a host run what it runs for so long.
func (w *waves) flippedAgo(h *host.Host, ago time.Duration) {
	w.Helper()
	then, err := unix.TimeToTimespec(time.Now().Add(-ago))
	if err != nil {
		w.Fatal(err)
	}
	link := filepath.Join(h.Root, "tool", "current")
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, link, []unix.Timespec{then, then}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		w.Fatal(err)
	}
}

// The check is asked at each sync until the rollout is settled, but no longer than a day.
func TestHealthIsAskedForADay(t *testing.T) {
	asked := filepath.Join(t.TempDir(), "asked")
	w := rollOut(t, 2, map[string]string{"check": "printf x >>" + asked}, rollout.Options{Waves: steps(t, "1"), Soak: 48 * time.Hour})
	w.sync(w.hosts[0])
	for _, row := range []struct {
		ago  time.Duration
		want int
	}{{0, 1}, {23*time.Hour + 50*time.Minute, 1}, {24*time.Hour + time.Minute, 0}} {
		w.flippedAgo(w.hosts[0], row.ago)
		before := checked(t, asked)
		w.sync(w.hosts[0])
		if got := checked(t, asked) - before; got != row.want {
			t.Errorf("%v after the flip, a sync asks the check %d times, want %d", row.ago, got, row.want)
		}
	}
}

// A host that is well only after the rollout has settled says so: it would count as undecided, and
// whoever waits for it would wait until it is lost.
func TestWellAfterTheRolloutHasSettled(t *testing.T) {
	w := rollOut(t, 6, map[string]string{"check": "true"}, rollout.Options{Waves: steps(t, "1"), Soak: time.Millisecond})
	late := w.hosts[5]
	for range 2 {
		w.sync(w.hosts[0])
	}
	for _, h := range w.hosts[1:] {
		w.sync(h)
	}
	for _, h := range w.hosts[1:5] {
		w.sync(h)
	}
	if got := w.votes(); got[5] != rollout.OK {
		t.Fatalf("the votes are %q, want the last host undecided", got)
	}
	for range 2 {
		if err := late.Sync(t.Context(), nil, host.SyncOptions{Cron: true}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.votes(); got[5] != rollout.Well {
		t.Errorf("the votes are %q, want the last host well", got)
	}
}

// A host that can't list the votes goes on saying how it is: its silence would halt the rollout.
func TestVotesThatCanNotBeListed(t *testing.T) {
	w := rollOut(t, 2, map[string]string{"check": "true"}, rollout.Options{Waves: steps(t, "1"), Soak: time.Millisecond})
	w.sync(w.hosts[0])
	w.bucket.unlisted.Store(true)
	for _, h := range w.hosts {
		if err := h.Sync(t.Context(), nil, host.SyncOptions{Cron: true}); err == nil {
			t.Errorf("%s says nothing of votes that it could not list", h.Node)
		}
	}
	w.bucket.unlisted.Store(false)
	if got := w.votes(); !slices.Equal(got, []rollout.Kind{rollout.Well, ""}) {
		t.Errorf("the votes are %q, want the first host well", got)
	}
	if got := w.current(w.hosts[1], "tool"); got != w.old.ID() {
		t.Errorf("a host that does not know the votes runs %s", got)
	}
}

// A host that is held keeps what it runs, and says how that does.
func TestHealthOfAHostThatIsHeld(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	w := rollOut(t, 2, map[string]string{"check": "test ! -e " + broken}, rollout.Options{Waves: steps(t, "1"), Soak: time.Millisecond})
	h := w.hosts[0]
	w.sync(h)
	if err := h.Hold(t.Context(), w.new.Package(), "to look at it"); err != nil {
		t.Fatal(err)
	}
	w.sync(h)
	if got := w.votes()[0]; got != rollout.Well {
		t.Errorf("a host that is held votes %q, want well", got)
	}
	if err := os.WriteFile(broken, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := h.Sync(t.Context(), nil, host.SyncOptions{Cron: true}); err == nil {
		t.Error("nothing is said of the check that fails")
	}
	if got := w.votes()[0]; got != rollout.Bad {
		t.Errorf("when its check fails it votes %q, want bad", got)
	}
	if got := w.current(h, "tool"); got != w.new.ID() {
		t.Errorf("it runs %s, want %s, which it was told to keep", got, w.new.ID())
	}
}

// takeAway has another host hold the only slot, until a time.
func (w *waves) takeAway(until time.Time) {
	w.Helper()
	bucket, serial := w.master.Bucket, w.serial()
	slot, _, err := bucket.Slot(w.Context(), w.new.Package(), 1)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := bucket.Take(w.Context(), w.new.Package(), slot, catalog.NodeOf("gone"), serial, until); err != nil {
		w.Fatal(err)
	}
}

func (w *waves) serial() int64 {
	w.Helper()
	marker, err := w.master.Bucket.Marker(w.Context(), w.new.Package())
	if err != nil {
		w.Fatal(err)
	}
	return marker.Entries[0].Serial
}

// A host that is gone keeps its slot until its lease is over, and no longer.
func TestLeaseOfASlot(t *testing.T) {
	w := rollOut(t, 2, map[string]string{"check": "true"}, rollout.Options{Soak: time.Millisecond, AtOnce: rollout.Amount{Count: 1}})
	w.takeAway(time.Now().Add(time.Minute))
	if got := w.all(); len(got) > 0 {
		t.Fatalf("%v run it, and another host holds the slot", got)
	}
	w.takeAway(time.Now().Add(-time.Second))
	w.sync(w.hosts[0])
	if got := w.current(w.hosts[0], "tool"); got != w.new.ID() {
		t.Errorf("after the lease it runs %s, want %s", got, w.new.ID())
	}
	slot, _, err := w.master.Bucket.Slot(t.Context(), w.new.Package(), 1)
	if err != nil || slot.Host != (catalog.Node{}) {
		t.Errorf("the slot is not given back: %+v, %v", slot, err)
	}
}

// A host whose jump failed keeps its slot for as long as the blessing says, and a person may free
// it.
func TestSlotOfAHostThatFailed(t *testing.T) {
	w := rollOut(t, 2, map[string]string{"post-jump": "exit 1"}, rollout.Options{
		Soak: time.Millisecond, AtOnce: rollout.Amount{Count: 1}, Tolerate: new(1.0),
	})
	before := time.Now()
	w.all()
	slot, _, err := w.master.Bucket.Slot(t.Context(), w.new.Package(), 1)
	if err != nil || slot.Host == (catalog.Node{}) {
		t.Fatalf("nobody holds the slot: %+v, %v", slot, err)
	}
	marker, err := w.master.Bucket.Marker(t.Context(), w.new.Package())
	if err != nil {
		t.Fatal(err)
	}
	lease := marker.Entries[0].Rollout.Lease
	if lease < 5*time.Minute || slot.Until.Before(before.Add(lease-2*time.Second)) || slot.Until.After(time.Now().Add(lease+2*time.Second)) {
		t.Errorf("it is taken until %v, want the lease of %v from %v", slot.Until, lease, before)
	}
	if n, err := w.master.Release(t.Context(), w.new.Package(), slot.Host); n != 1 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if slot, _, err := w.master.Bucket.Slot(t.Context(), w.new.Package(), 1); err != nil || slot.Host != (catalog.Node{}) {
		t.Errorf("it is still held: %+v, %v", slot, err)
	}
}

// A host that lost its slot while its pre-jump ran does not change: somebody else may be at it.
func TestSlotThatWasLost(t *testing.T) {
	slots := filepath.Join(t.TempDir(), "slots")
	lose := fmt.Sprintf(`printf '{"host":"other","serial":1,"until":"2099-01-01T00:00:00Z","op":"x"}' >%s/tool/1`, slots)
	w := rollOut(t, 2, map[string]string{"pre-jump": lose, "check": "true"}, rollout.Options{Soak: time.Millisecond, AtOnce: rollout.Amount{Count: 1}})
	if err := os.Symlink(filepath.Join(w.dir, "_ftl", "slots"), slots); err != nil {
		t.Fatal(err)
	}
	if got := w.all(); len(got) > 0 {
		t.Errorf("%v run it without a slot", got)
	}
	for i, got := range w.votes() {
		if got != "" {
			t.Errorf("host %d votes %q, and has not begun", i, got)
		}
	}
}

// A host that does not know whether it has got a slot, as the answer was lost, or as it died, has
// it at its next sync.
func TestSlotWhoseAnswerWasLost(t *testing.T) {
	w := rollOut(t, 2, map[string]string{"check": "true"}, rollout.Options{Soak: time.Millisecond, AtOnce: rollout.Amount{Count: 1}})
	w.bucket.unanswered.Store(true)
	if err := w.hosts[0].Sync(t.Context(), nil, host.SyncOptions{Cron: true}); err == nil {
		t.Error("nothing is said of the slot that could not be taken")
	}
	w.bucket.unanswered.Store(false)
	if got := w.current(w.hosts[0], "tool"); got != w.old.ID() {
		t.Errorf("without knowing, it runs %s", got)
	}
	w.sync(w.hosts[0])
	if got := w.current(w.hosts[0], "tool"); got != w.new.ID() {
		t.Errorf("at its next sync it runs %s, want %s", got, w.new.ID())
	}
}

// What a host asks of the bucket for a rollout is bounded, whether it waits, changes, or is well
// and has nothing to do.
func TestRequestsOfARollout(t *testing.T) {
	w := rollOut(t, 3, map[string]string{"check": "true"}, rollout.Options{Waves: steps(t, "1"), Soak: time.Hour})
	requests := func(h *host.Host) [3]int64 {
		t.Helper()
		w.sync(h) // which notes what it has seen
		reads, lists, writes := w.bucket.reads.Load(), w.bucket.lists.Load(), w.bucket.writes.Load()
		if err := h.Sync(t.Context(), nil, host.SyncOptions{Cron: true}); err != nil {
			t.Fatal(err)
		}
		return [3]int64{w.bucket.reads.Load() - reads, w.bucket.lists.Load() - lists, w.bucket.writes.Load() - writes}
	}
	writes := w.bucket.writes.Load()
	w.sync(w.hosts[0])
	if got := w.bucket.writes.Load() - writes; w.current(w.hosts[0], "tool") != w.new.ID() || got != 3 {
		t.Errorf("a host that changes writes %d objects, want 3: try, ok, and its report", got)
	}
	for name, h := range map[string]*host.Host{"runs it and is not well yet": w.hosts[0], "waits for its wave": w.hosts[1]} {
		if got, want := requests(h), [3]int64{2, 2, 0}; got != want { // the epoch and the marker; the revisions and the votes
			t.Errorf("a host that %s reads, lists and writes %v times, want %v", name, got, want)
		}
	}
}
