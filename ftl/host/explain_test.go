package host

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// Each test is a host that runs a, where b has been blessed, and one thing more.
func TestExplainFindsWhatHoldsAPackageBack(t *testing.T) {
	a, b, c := letter(t, "a"), letter(t, "b"), letter(t, "c")
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	earlier, longAgo := now.Add(-time.Minute), now.Add(-time.Hour)
	newest := mark{7, b}
	followed := func(f *facts) {
		f.state.Acted, f.links = newest, links{current: b, previous: a}
	}
	waitingHook := func(hook hooks.Name) failure {
		return failure{
			Revision: b, Hook: hook, Count: 2, At: earlier, Next: now.Add(time.Minute), Seen: newest,
			Message: string(hook) + " of pkg.b exited with 3", Output: "no such file",
		}
	}
	tests := []struct {
		name      string
		with      func(*facts)
		condition Condition
		about     string
		message   string // a part of it
	}{
		{"converged", followed, OK, "", ""},
		{"converged, without a bucket", func(f *facts) { followed(f); f.asked = false }, OK, "", ""},
		{"blessed again, and active already", func(f *facts) { followed(f); f.state.Acted = mark{6, b} }, OK, "", ""},
		{"nothing blessed", func(f *facts) {
			*f = facts{name: f.name, now: now, asked: true, lastLook: earlier}
		}, Pending, aboutBlessed, "no revision of pkg was blessed"},
		{"nothing blessed, one activated by hand", func(f *facts) {
			*f = facts{name: f.name, now: now, asked: true, lastLook: earlier, links: links{current: a}}
		}, OK, "", ""},
		{"no sync yet", func(f *facts) { f.state, f.lastLook, f.links = state{}, time.Time{}, links{} }, Behind, aboutSync, "no sync has run"},
		{"no sync since", func(f *facts) { f.state.Seen = mark{6, a} }, Behind, aboutSync, "since that was blessed"},
		{"syncs that fail", func(f *facts) {
			f.log = []logLine{{Name: stepSync, Time: now, Message: "access denied"}}
		}, Failed, aboutSync, "access denied"},
		{"a sync that failed before the last good one", func(f *facts) {
			f.log = []logLine{{Name: stepSync, Time: longAgo, Message: "access denied"}}
		}, Behind, aboutActive, "not active yet"},
		{"the marker is gone", func(f *facts) { followed(f); f.marker.Entries = nil }, Failed, aboutBlessed, "gone"},
		{"an older marker", func(f *facts) { followed(f); f.state.Seen = mark{8, c} }, Behind, aboutBlessed, "put it back"},
		{"no bucket", func(f *facts) { followed(f); f.bucketErr = errors.New("timeout") }, Failed, aboutBucket, "timeout"},
		{"no bucket, and held", func(f *facts) { f.bucketErr = errors.New("timeout"); f.state.Hold = &Hold{By: "ops"} }, Held, aboutHold, "held by ops"},
		{"not fetched", func(f *facts) { f.state.Ready = nil }, Behind, aboutFetched, "not fetched yet"},
		{"deleted by hand", func(f *facts) { f.here = false }, Behind, aboutFetched, "not fetched yet"},
		{"being fetched", func(f *facts) { f.state.Ready, f.syncing = nil, "pid 7" }, Pending, aboutFetched, "pid 7"},
		{"a fetch that failed", func(f *facts) {
			f.state.Ready, f.log = nil, []logLine{{Name: ftl.Fetch, Revision: b, State: ftl.Failure, Message: "no space"}}
		}, Failed, aboutFetched, "no space"},
		{"not in the bucket", func(f *facts) { f.state.Ready, f.manifest = nil, errors.New("not in the bucket") }, Failed, aboutFetched, "not in the bucket"},
		{"post-sync failed", func(f *facts) {
			f.state.Ready, f.state.Failures = nil, []failure{waitingHook(hooks.PostSync)}
		}, Failed, aboutFetched, "exited with 3 (2 times"},
		{"post-sync failed, blessed anew", func(f *facts) {
			f.state.Ready, f.state.Failures = nil, []failure{waitingHook(hooks.PostSync)}
			f.state.Failures[0].Seen = mark{6, b}
		}, Failed, aboutFetched, "the next sync tries again"},
		{"held", func(f *facts) { f.state.Hold = &Hold{By: "ops", Reason: "leak"} }, Held, aboutHold, "held by ops since"},
		{"held, and converged", func(f *facts) { followed(f); f.state.Hold = &Hold{By: "ops"} }, OK, "", ""},
		{"delayed", func(f *facts) { f.delay = time.Hour }, Pending, aboutDelay, "delayed until"},
		{"delayed, old enough", func(f *facts) { f.delay = time.Second }, Behind, aboutActive, "the next sync activates it"},
		{"rejected", func(f *facts) {
			f.state.Acted, f.state.Rejected = newest, map[revision.Revision]rejection{b: {At: earlier, Reason: "port 80", Output: "refused"}}
		}, Rejected, aboutRejected, "left again: port 80"},
		{"rejected, blessed anew", func(f *facts) {
			f.state.Rejected = map[revision.Revision]rejection{b: {At: earlier, Reason: "port 80"}}
		}, Behind, aboutActive, "the next sync activates it"},
		{"inconsistent", func(f *facts) {
			f.state.Acted, f.state.Rejected = newest, map[revision.Revision]rejection{b: {At: earlier}}
			f.state.Inconsistent = "neither works"
		}, Inconsistent, aboutRejected, "neither works"},
		{"deferred", func(f *facts) { f.state.Deferred = newest }, Pending, aboutPreJump, "exited with 75"},
		{"pre-jump failed", func(f *facts) { f.state.Failures = []failure{waitingHook(hooks.PreJump)} }, Failed, aboutPreJump, "exited with 3"},
		{"pre-jump failed, after it was deferred", func(f *facts) {
			f.state.Failures, f.state.Deferred = []failure{waitingHook(hooks.PreJump)}, newest
		}, Failed, aboutPreJump, "exited with 3"},
		{"pre-jump deferred, after it failed", func(f *facts) {
			f.state.Failures, f.state.Deferred = []failure{waitingHook(hooks.PreJump)}, newest
			f.state.Failures[0].Next = earlier
		}, Pending, aboutPreJump, "not now"},
		{"in a jump", func(f *facts) { f.state.Jump, f.changing = &flight{To: b, Phase: phaseUnJump}, "pid 7" }, Pending, aboutJump, "in un-jump: pid 7"},
		{"interrupted", func(f *facts) { f.state.Jump = &flight{To: b, From: a, Phase: phaseSwap} }, Pending, aboutJump, "interrupted in swap"},
		{"interrupted in post-jump", func(f *facts) {
			followed(f)
			f.state.Jump = &flight{To: b, From: a, Phase: phasePostJump}
		}, Pending, aboutJump, "interrupted in post-jump"},
		{"a hook outlived its ftl", func(f *facts) {
			f.state.Jump, f.outlived = &flight{To: b, From: a, Phase: phaseUnJump}, "un-jump of pkg.a"
		}, Pending, aboutJump, "still runs"},
		{"post-jump failed", func(f *facts) {
			followed(f)
			f.state.Jump = &flight{To: b, From: a, Phase: phasePostJump, Tries: 2, Failed: "post-jump of pkg.b exited with 1"}
		}, Failed, aboutWorking, "tried 2 times); the next sync"},
		{"post-jump failed too often", func(f *facts) {
			followed(f)
			f.state.Jump = &flight{To: b, From: a, Phase: phasePostJump, Tries: 4, Failed: "post-jump of pkg.b exited with 1"}
		}, Failed, aboutWorking, "waits for you"},
		{"post-jump failed too often, blessed anew", func(f *facts) {
			followed(f)
			f.state.Acted = mark{6, b}
			f.state.Jump = &flight{To: b, From: a, Phase: phasePostJump, Tries: 4, Failed: "post-jump of pkg.b exited with 1"}
		}, Failed, aboutWorking, "the next sync goes on"},
		{"by hand", func(f *facts) { f.state.Acted, f.links = newest, links{current: c, previous: b} }, Behind, aboutByHand, "jumped to pkg.c"},
		{"by hand, before any sync", func(f *facts) { f.state.Acted.Serial, f.state.Looked = overruled, false }, Behind, aboutByHand, "jumped to pkg.a"},
		{"no link", func(f *facts) { f.state.Acted, f.links = newest, links{} }, Behind, aboutByHand, "current is gone"},
		{"the last jump failed", func(f *facts) {
			f.log = []logLine{{Name: stepJump, Revision: b, State: ftl.Failure, Time: now, Message: "permission denied"}}
		}, Failed, aboutActive, "permission denied"},
		{"not yet", func(*facts) {}, Behind, aboutActive, "the next sync activates it"},
		{"a state that can't be read", func(f *facts) { f.broken = errors.New("damaged") }, Failed, aboutPackage, "damaged"},
	}
	for _, test := range tests {
		f := facts{
			name: a.Package(), now: now, asked: true, lastLook: earlier, flipped: longAgo, here: true,
			links: links{current: a},
			state: state{
				Seen: newest, Acted: mark{6, a}, Looked: true,
				Ready: map[revision.Revision]ready{a: {Since: longAgo}, b: {Since: earlier}},
			},
			marker: master.Marker{
				Entries:  []master.Entry{{Revision: b, Serial: 7, At: earlier, By: "ops@build", Kind: master.KindJump}},
				Modified: earlier, Date: now,
			},
		}
		test.with(&f)
		got := f.status()
		first, held := got.First()
		if got.Condition != test.condition || first.About != test.about || !strings.Contains(first.Message, test.message) || held != (test.condition != OK) {
			t.Errorf("%s: got %s, %s: %s; want %s, %s: %s", test.name, got.Condition, first.About, first.Message, test.condition, test.about, test.message)
		}
	}
}
