package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/rollout"
)

func TestEpoch(t *testing.T) {
	c := &Catalog{Bucket: openBucket(t)}
	first, changed, err := c.Epoch(t.Context(), "")
	if err != nil || !changed || first.ETag != "" {
		t.Errorf("a bucket without one: got %v, %v, %v", first, changed, err)
	}
	if err := c.Touch(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, changed, err = c.Epoch(t.Context(), "")
	if err != nil || !changed || first.ETag == "" {
		t.Errorf("the first one: got %v, %v, %v", first, changed, err)
	}
	again, changed, err := c.Epoch(t.Context(), first.ETag)
	if err != nil || changed || again.ETag != first.ETag || again.Date.IsZero() {
		t.Errorf("the same one: got %v, %v, %v", again, changed, err)
	}
	if err := c.Touch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if next, changed, err := c.Epoch(t.Context(), first.ETag); err != nil || !changed || next.ETag == first.ETag {
		t.Errorf("after a change: got %v, %v, %v", next, changed, err)
	}
}

func TestVotes(t *testing.T) {
	pkg := parsePackage(t, "my_site")
	c := &Catalog{Bucket: openBucket(t)}
	written := []rollout.Vote{
		{Host: "web-1", Kind: rollout.Try, Wave: 0},
		{Host: "AROA:i-0", Kind: rollout.Well, Wave: 12},
		{Host: rollout.Operator, Kind: rollout.Bad, Wave: 0},
	}
	for _, vote := range written {
		for range 2 {
			if err := c.Vote(t.Context(), pkg, 7, vote); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, junk := range []string{"7/try/0/a/b", "7/try/-1/a", "7/try/01/a", "7/try/x/a", "7/maybe/0/a", "7/try/0/a b", "77/try/0/a", "6/bad/0/a", "7/try/99999999/a"} {
		put(t, c, "_ftl/votes/my_site/"+junk, "")
	}
	votes, err := c.Votes(t.Context(), pkg, 7)
	if err != nil || votes.Date.IsZero() {
		t.Fatalf("got %v, %v", votes, err)
	}
	for i, vote := range votes.Votes {
		if vote.At.IsZero() {
			t.Errorf("%v has no time", vote)
		}
		votes.Votes[i].At = time.Time{}
	}
	byHost := func(a, b rollout.Vote) int { return strings.Compare(a.Host, b.Host) }
	slices.SortFunc(written, byHost)
	slices.SortFunc(votes.Votes, byHost)
	if !slices.Equal(votes.Votes, written) {
		t.Errorf("got %v, want %v", votes.Votes, written)
	}
	if n, err := c.ForgetVotes(t.Context(), pkg, 7); err != nil || n != 2 {
		t.Errorf("forgot %d, %v; want those of two other entries", n, err)
	}
	if votes, err := c.Votes(t.Context(), pkg, 7); err != nil || len(votes.Votes) != len(written) {
		t.Errorf("after that: got %v, %v", votes, err)
	}
}

// A server may cache the Date of its answers, so that what it holds seems to come from the future.
func TestVotesAreNotNewerThanNow(t *testing.T) {
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r, err := parsePackage(t, "my_site").Revision("2026112145296Wq")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := rollout.New(r, began, []rollout.Member{{Host: "a"}, {Host: "b"}},
		rollout.Options{Waves: []rollout.Step{{Upto: rollout.Amount{Count: 1}}}})
	if err != nil {
		t.Fatal(err)
	}
	plan.Opened = began
	votes := Votes{Date: began.Add(-time.Second)}
	went := 0
	for _, host := range []string{"a", "b"} {
		if votes.Count(plan).Decide(rollout.Host{Name: host}).Act == rollout.Go {
			went++
		}
	}
	if went != 1 {
		t.Errorf("%d hosts go at once, want the one of the first wave", went)
	}
	votes.Votes = []rollout.Vote{{Host: rollout.Operator, Kind: rollout.Bad, At: began.Add(time.Second)}}
	if votes.Count(plan).Halt == nil {
		t.Error("a halt of this second doesn't count")
	}
}

// Of many hosts that want a slot at the same time, one has it.
func TestSlots(t *testing.T) {
	pkg := parsePackage(t, "my_site")
	c := &Catalog{Bucket: openBucket(t)}
	until := time.Now().Add(time.Hour)
	for round := range 5 {
		slot, _, err := c.Slot(t.Context(), pkg, 1)
		if err != nil || slot.Host != (Node{}) {
			t.Fatalf("round %d: got %+v, %v", round, slot, err)
		}
		var wait sync.WaitGroup
		var mutex sync.Mutex
		var held []Slot
		for i := range 20 {
			wait.Go(func() {
				// Twins, who even call themselves alike.
				mine, err := c.Take(t.Context(), pkg, slot, NodeOf(fmt.Sprintf("web-%d", i/2)), 7, until)
				if errors.Is(err, ErrSlotTaken) {
					return
				}
				mutex.Lock()
				defer mutex.Unlock()
				if err != nil {
					t.Error(err)
				}
				held = append(held, mine)
			})
		}
		wait.Wait()
		if len(held) != 1 {
			t.Fatalf("round %d: %d hosts hold the slot: %v", round, len(held), held)
		}
		now, date, err := c.Slot(t.Context(), pkg, 1)
		if err != nil || now.Host != held[0].Host || now.Serial != 7 || !now.Until.Equal(until) || date.IsZero() {
			t.Errorf("got %+v, %v; want %+v", now, err, held[0])
		}
		if err := c.Give(t.Context(), pkg, held[0]); err != nil {
			t.Fatal(err)
		}
		if err := c.Give(t.Context(), pkg, held[0]); err != nil {
			t.Errorf("to give it back again: %v", err)
		}
	}
	put(t, c, "_ftl/slots/my_site/2", "junk")
	if slot, _, err := c.Slot(t.Context(), pkg, 2); err == nil {
		t.Errorf("a slot that can't be read is %+v", slot)
	}
}

func TestEntryWithARollout(t *testing.T) {
	pkg := parsePackage(t, "my_site")
	r, err := pkg.Revision("2026112145296Wq")
	if err != nil {
		t.Fatal(err)
	}
	base, err := pkg.Revision("2026112045100Ab")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := rollout.New(r, time.Now(), []rollout.Member{{Host: "a"}, {Host: "b"}}, rollout.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &Catalog{Bucket: openBucket(t)}
	entry := Entry{Revision: r, Serial: 7, Kind: KindJump, Note: "x", Base: base, BaseManifest: Digest{1}, Rollout: plan}
	text, err := (Marker{Package: pkg}).Add(&entry)
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, MarkerKey(pkg), string(text))
	marker, err := c.Marker(t.Context(), pkg)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := marker.Active()
	if got.Understood() != nil || got.Base != base || got.BaseManifest != (Digest{1}) || got.Rollout == nil {
		t.Fatalf("got %+v of %s", got, text)
	}
	if got.Rollout.String() != plan.String() || got.Rollout.Revision != r || !got.Rollout.Opened.Equal(marker.Modified) {
		t.Errorf("got %v of %v at %v, want %v", got.Rollout, got.Rollout.Revision, got.Rollout.Opened, plan)
	}
	newer := strings.Replace(string(text), `!rollout="1 `, `!rollout="2 `, 1)
	put(t, c, MarkerKey(pkg), newer)
	marker, err = c.Marker(t.Context(), pkg)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := marker.Active(); got.Understood() == nil {
		t.Error("a plan of a newer ftl is understood")
	}
}
