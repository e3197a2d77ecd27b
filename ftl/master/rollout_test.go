package master

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// fleetOf returns a fleet of n hosts, all of which run the newest entry well.
func fleetOf(n int) Fleet {
	fleet := Fleet{OK: n}
	for i := range n {
		fleet.Members = append(fleet.Members, rollout.Member{Host: fmt.Sprintf("web-%d", i), Every: time.Minute})
	}
	return fleet
}

// stage is a bucket with revisions, of which the first was blessed for all hosts and settled, and
// the second is rolled out to 40.
type stage struct {
	*Master
	bucket    store.Bucket
	revisions []revision.Revision
}

func newStage(t *testing.T) stage {
	t.Helper()
	bucket := openBucket(t)
	s := stage{newMaster(t, bucket), bucket, nil}
	for i := range 4 {
		s.revisions = append(s.revisions, spool(t, s.Master, "tool", fmt.Sprint(i)))
	}
	s.jump(t, 0, JumpOptions{})
	s.jump(t, 1, JumpOptions{Rollout: &rollout.Options{}, Fleet: fleetOf(40)})
	return s
}

func (s stage) jump(t *testing.T, i int, opts JumpOptions) {
	t.Helper()
	if err := s.Jump(t.Context(), s.revisions[i], opts); err != nil {
		t.Fatal(err)
	}
}

func (s stage) active(t *testing.T) catalog.Entry {
	t.Helper()
	active, _ := readMarker(t, s.bucket, "tool").Active()
	return active
}

// settle has every host say that it is well.
func (s stage) settle(t *testing.T) {
	t.Helper()
	active := s.active(t)
	for k := range active.Rollout.Waves {
		for i := range 40 {
			vote := rollout.Vote{Host: fmt.Sprintf("web-%d", i), Kind: rollout.Well, Wave: k}
			if err := s.Bucket.Vote(t.Context(), active.Revision.Package(), active.Serial, vote); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func wantRefused(t *testing.T, err error, text string) {
	t.Helper()
	if !isKind(err, ftl.Refused) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want a refusal that says %q", err, text)
	}
}

func TestRolloutHasABase(t *testing.T) {
	s := newStage(t)
	first := s.active(t)
	if first.Rollout == nil || first.Base != s.revisions[0] || first.BaseManifest == (catalog.Digest{}) {
		t.Fatalf("got %+v", first)
	}
	s.jump(t, 2, JumpOptions{Now: true})
	if got := s.active(t); got.Base != s.revisions[0] || got.Rollout != nil {
		t.Errorf("after one that has not settled: base %v, want %v", got.Base, s.revisions[0])
	}
	s.jump(t, 1, JumpOptions{Rollout: &rollout.Options{}, Fleet: fleetOf(40)})
	if got := s.active(t); got.Base != s.revisions[2] {
		t.Errorf("after one that all hosts run: base %v, want %v", got.Base, s.revisions[2])
	}
	s.settle(t)
	s.jump(t, 3, JumpOptions{})
	if got := s.active(t); got.Base != s.revisions[1] {
		t.Errorf("after a rollout that has settled: base %v, want %v", got.Base, s.revisions[1])
	}
}

// What has proven itself stays so, however often it is blessed again before hosts have said so
// anew.
func TestBaseStaysWhereItIsBlessedAgain(t *testing.T) {
	bucket := openBucket(t)
	m := newMaster(t, bucket)
	proven, other := spool(t, m, "tool", "x"), spool(t, m, "tool", "y")
	well, silent := fleetOf(4), Fleet{Members: fleetOf(4).Members}
	well.OK = 4
	for _, step := range []struct {
		r     revision.Revision
		fleet Fleet
		want  revision.Revision
	}{
		{proven, silent, revision.Revision{}},
		{proven, well, proven},
		{proven, silent, proven},
		{other, silent, proven},
		{proven, silent, proven},
	} {
		if err := m.Jump(t.Context(), step.r, JumpOptions{Again: true, Fleet: step.fleet}); err != nil {
			t.Fatal(err)
		}
		active, _ := readMarker(t, bucket, "tool").Active()
		if active.Base != step.want {
			t.Errorf("serial %d, of %v: the base is %v, want %v", active.Serial, step.r, active.Base, step.want)
		}
	}
}

func TestSettledWithoutWaves(t *testing.T) {
	bucket := openBucket(t)
	m := newMaster(t, bucket)
	r := spool(t, m, "tool", "x")
	if err := m.Jump(t.Context(), r, JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	marker := readMarker(t, bucket, "tool")
	for _, row := range []struct {
		age   time.Duration
		fleet Fleet
		want  bool
	}{
		{0, Fleet{}, false},
		{0, Fleet{Members: fleetOf(10).Members, OK: 9}, true},
		{0, Fleet{Members: fleetOf(10).Members, OK: 8}, false},
		{25 * time.Hour, Fleet{}, true},
		{25 * time.Hour, Fleet{Members: fleetOf(100).Members, OK: 50, Bad: 2}, true},
		{25 * time.Hour, Fleet{Members: fleetOf(100).Members, OK: 50, Bad: 3}, false},
	} {
		marker.Date = marker.Modified.Add(row.age)
		if got, err := m.Settled(t.Context(), marker, row.fleet); err != nil || got != row.want {
			t.Errorf("%v old, %d of %d well, %d bad: got %v, %v", row.age, row.fleet.OK, len(row.fleet.Members), row.fleet.Bad, got, err)
		}
	}
}

func TestJumpIntoARollout(t *testing.T) {
	s := newStage(t)
	wantRefused(t, s.Jump(t.Context(), s.revisions[2], JumpOptions{}), "is not over")
	wantRefused(t, s.Jump(t.Context(), s.revisions[1], JumpOptions{}), "is not over")
	wantRefused(t, s.Jump(t.Context(), s.revisions[2], JumpOptions{Rollout: &rollout.Options{}}), "nobody to count")
	s.settle(t)
	s.jump(t, 2, JumpOptions{})
}

func TestJumpBackFromARollout(t *testing.T) {
	s := newStage(t)
	s.jump(t, 2, JumpOptions{Rollout: &rollout.Options{AtOnce: rollout.Amount{Count: 3}}, Fleet: Fleet{Members: fleetOf(40).Members}})
	if err := s.JumpBack(t.Context(), parsePackage(t, "tool"), "oh"); err != nil {
		t.Fatal(err)
	}
	got := s.active(t)
	if got.Revision != s.revisions[0] || got.Kind != catalog.KindJumpBack || got.Manifest == (catalog.Digest{}) {
		t.Errorf("got %v, want what has settled, %v", got, s.revisions[0])
	}
	if got.Rollout == nil || got.Rollout.AtOnce != 3 || len(got.Rollout.Waves) != 1 || got.Rollout.Waves[0].Need != 0 {
		t.Errorf("got the plan %v, want all hosts, three at a time", got.Rollout)
	}
}

func TestJumpBackToNothingThatHasSettled(t *testing.T) {
	bucket := openBucket(t)
	m := newMaster(t, bucket)
	r := spool(t, m, "tool", "x")
	if err := m.Jump(t.Context(), r, JumpOptions{Rollout: &rollout.Options{}, Fleet: fleetOf(40)}); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, m.JumpBack(t.Context(), r.Package(), ""), "no revision before it has settled")
}

func TestHaltAndResume(t *testing.T) {
	s := newStage(t)
	pkg := parsePackage(t, "tool")
	if err := s.Halt(t.Context(), pkg); err != nil {
		t.Fatal(err)
	}
	halted := s.active(t)
	if count, err := s.count(t.Context(), readMarker(t, s.bucket, "tool")); err != nil || count.Halt == nil || !count.Halt.Operator {
		t.Fatalf("got %+v, %v", count, err)
	}
	more := 0.1
	if err := s.Resume(t.Context(), pkg, ResumeOptions{Tolerate: &more}); err != nil {
		t.Fatal(err)
	}
	resumed := s.active(t)
	if resumed.Serial <= halted.Serial || resumed.Revision != halted.Revision || resumed.Base != halted.Base || resumed.Manifest != halted.Manifest {
		t.Errorf("got %v, want what was halted, %v", resumed, halted)
	}
	for k, w := range resumed.Rollout.Waves {
		old := halted.Rollout.Waves[k]
		if w.To != old.To || w.Need != old.Need || w.Halt != 1+old.Upto/10 {
			t.Errorf("wave %d: got %+v of %+v", k, w, old)
		}
	}
	if count, err := s.count(t.Context(), readMarker(t, s.bucket, "tool")); err != nil || count.Halt != nil {
		t.Errorf("it is still halted: %+v, %v", count.Halt, err)
	}
}

func TestAdvanceAndFinish(t *testing.T) {
	s := newStage(t)
	pkg := parsePackage(t, "tool")
	waves := len(s.active(t).Rollout.Waves)
	for ; waves > 1; waves-- {
		if err := s.Resume(t.Context(), pkg, ResumeOptions{Change: Advance}); err != nil {
			t.Fatal(err)
		}
		if got := s.active(t).Rollout.Waves; len(got) != waves-1 || got[len(got)-1].To != rollout.Last {
			t.Fatalf("got the waves %v, want one less than %d", got, waves)
		}
	}
	wantRefused(t, s.Resume(t.Context(), pkg, ResumeOptions{Change: Advance}), "last wave")
	if err := s.Resume(t.Context(), pkg, ResumeOptions{Change: Finish}); err != nil {
		t.Fatal(err)
	}
	if got := s.active(t); got.Rollout != nil || got.Revision != s.revisions[1] {
		t.Errorf("got %v, want all hosts at once", got)
	}
	wantRefused(t, s.Halt(t.Context(), pkg), "there is no rollout")
}

func TestPurgeKeepsTheBase(t *testing.T) {
	s := newStage(t)
	s.jump(t, 2, JumpOptions{Rollout: &rollout.Options{}, Fleet: Fleet{Members: fleetOf(40).Members}})
	wantRefused(t, s.Purge(t.Context(), s.revisions[0], PurgeOptions{Force: true}), "go back to")
	old := s.active(t).Serial - 1
	if err := s.Bucket.Vote(t.Context(), parsePackage(t, "tool"), old, rollout.Vote{Host: "a", Kind: rollout.Bad}); err != nil {
		t.Fatal(err)
	}
	if err := s.Bucket.Vote(t.Context(), parsePackage(t, "tool"), old+1, rollout.Vote{Host: "a", Kind: rollout.Bad}); err != nil {
		t.Fatal(err)
	}
	if err := s.Clean(t.Context(), parsePackage(t, "tool"), 0); err != nil {
		t.Fatal(err)
	}
	if got := len(keys(t, s.bucket, "tool.")); got != 2*3+1 { // active, previous, base, and the marker
		t.Errorf("%d objects are left: %v", got, keys(t, s.bucket, "tool."))
	}
	if got := keys(t, s.bucket, "_ftl/votes/"); len(got) != 1 || !strings.Contains(got[0], fmt.Sprint(old+1)) {
		t.Errorf("the votes %v are left, want those for the newest entry", got)
	}
}

// Without waves nobody goes back to the base, so it may be purged; and then nobody does later.
func TestPurgeOfTheBaseOfABlessingWithoutWaves(t *testing.T) {
	s := newStage(t)
	s.jump(t, 2, JumpOptions{Now: true})
	s.jump(t, 3, JumpOptions{})
	if got := s.active(t).Base; got != s.revisions[0] {
		t.Fatalf("the base is %v, want %v", got, s.revisions[0])
	}
	if err := s.Purge(t.Context(), s.revisions[0], PurgeOptions{}); err != nil {
		t.Fatal(err)
	}
	s.jump(t, 1, JumpOptions{})
	if got := s.active(t).Base; got != (revision.Revision{}) {
		t.Errorf("the base is %v, which was purged", got)
	}
}

// Every change of the bucket changes the epoch, and a failure to do so fails nothing.
func TestEpochChanges(t *testing.T) {
	bucket := openBucket(t)
	m := newMaster(t, bucket)
	pkg := parsePackage(t, "tool")
	known := ""
	changes := func(what string, want bool, do func() error) {
		t.Helper()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		epoch, changed, err := m.Bucket.Epoch(t.Context(), known)
		if err != nil || changed != want {
			t.Errorf("%s: the epoch has changed %v, %v; want %v", what, changed, err, want)
		}
		known = epoch.ETag
	}
	var r, next revision.Revision
	changes("spool", true, func() error { r = spool(t, m, "tool", "a"); return nil })
	changes("bless", true, func() error { return m.Jump(t.Context(), r, JumpOptions{}) })
	changes("bless again", false, func() error { return m.Jump(t.Context(), r, JumpOptions{}) })
	changes("spool the next", true, func() error { next = spool(t, m, "tool", "b"); return nil })
	changes("bless the next in waves", true, func() error {
		return m.Jump(t.Context(), next, JumpOptions{Rollout: &rollout.Options{}, Fleet: fleetOf(3)})
	})
	changes("halt", true, func() error { return m.Halt(t.Context(), pkg) })
	changes("finish", true, func() error { return m.Resume(t.Context(), pkg, ResumeOptions{Change: Finish}) })
	changes("jump back", true, func() error { return m.JumpBack(t.Context(), pkg, "") })
	changes("purge", true, func() error { return m.Purge(t.Context(), spool(t, m, "tool", "c"), PurgeOptions{}) })
	changes("clean", true, func() error { return m.Clean(t.Context(), pkg, 1) })
	m.DryRun = true
	changes("dry run", false, func() error { return m.Clean(t.Context(), pkg, 1) })

	warned := ""
	denied := &tap{Bucket: bucket, put: func(key string, _ store.PutOptions, put func() (store.Object, error)) (store.Object, error) {
		if key == catalog.EpochKey {
			return store.Object{}, &store.Error{Op: "put", Key: key, Err: context.DeadlineExceeded}
		}
		return put()
	}}
	m = newMaster(t, denied)
	m.Warn = func(format string, args ...any) { warned += fmt.Sprintf(format, args...) }
	changes("spool where the epoch is denied", false, func() error { spool(t, m, "tool", "d"); return nil })
	if !strings.Contains(warned, "within an hour") {
		t.Errorf("the warning is %q", warned)
	}
}
