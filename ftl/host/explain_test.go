package host

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// Each test is a host that runs a, where b has been blessed, and one thing more.
func TestExplainFindsWhatHoldsAPackageBack(t *testing.T) {
	a, b, c := letter(t, "a"), letter(t, "b"), letter(t, "c")
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	earlier, longAgo := now.Add(-time.Minute), now.Add(-time.Hour)
	newest := tree.Mark{Serial: 7, Revision: b}
	followed := func(f *facts) {
		f.state.Acted, f.links = newest, tree.Links{Current: b, Previous: a}
	}
	waitingHook := func(hook ftl.Step) tree.Failure {
		return tree.Failure{
			Revision: b, Hook: hook, Count: 2, At: earlier, Next: now.Add(time.Minute), Seen: newest,
			Message: string(hook) + " of pkg.b exited with 3",
		}
	}
	tests := []struct {
		name      string
		with      func(*facts)
		condition ftl.Condition
		about     string
		message   string // a part of it
	}{
		{"converged", followed, ftl.OK, "", ""},
		{"converged, without a bucket", func(f *facts) { followed(f); f.asked = false }, ftl.OK, "", ""},
		{"blessed again, and active already", func(f *facts) { followed(f); f.state.Acted = tree.Mark{Serial: 6, Revision: b} }, ftl.OK, "", ""},
		{"nothing blessed", func(f *facts) {
			*f = facts{name: f.name, now: now, asked: true, lastLook: earlier}
		}, ftl.Pending, aboutBlessed, "no revision of pkg was blessed"},
		{"nothing blessed, one activated by hand", func(f *facts) {
			*f = facts{name: f.name, now: now, asked: true, lastLook: earlier, links: tree.Links{Current: a}}
		}, ftl.OK, "", ""},
		{"no sync yet", func(f *facts) { f.state, f.lastLook, f.links = tree.State{}, time.Time{}, tree.Links{} }, ftl.Behind, aboutSync, "no sync has run"},
		{"no sync since", func(f *facts) { f.state.Seen = tree.Mark{Serial: 6, Revision: a} }, ftl.Behind, aboutSync, "since that was blessed"},
		{"nothing blessed, one activated by hand, no bucket", func(f *facts) {
			*f = facts{name: f.name, now: now, asked: true, bucketErr: errors.New("timeout"), links: tree.Links{Current: a}}
		}, ftl.Failed, aboutBucket, "timeout"},
		{"nothing known", func(f *facts) { *f = facts{name: f.name, now: now} }, ftl.Pending, aboutBlessed, "FTL_BUCKET is not set"},
		{"nothing blessed when the last sync ran", func(f *facts) { *f = facts{name: f.name, now: now, state: tree.State{Looked: true}} }, ftl.Pending, aboutBlessed, "when the last sync read the bucket"},
		{"nothing known, as the bucket can't be read", func(f *facts) {
			*f = facts{name: f.name, now: now, asked: true, bucketErr: errors.New("timeout")}
		}, ftl.Failed, aboutBucket, "timeout"},
		{"nothing blessed of what there is", func(f *facts) {
			*f = facts{name: f.name, now: now, asked: true, listed: true, revisions: []revision.Revision{a, b}}
		}, ftl.Pending, aboutBlessed, "no revision of pkg was blessed"},
		{"no such package", func(f *facts) {
			*f = facts{name: f.name, now: now, asked: true, listed: true}
		}, ftl.Pending, aboutBlessed, "the bucket has no package pkg"},
		{"a misspelt package", func(f *facts) {
			*f = facts{name: f.name, now: now, asked: true, listed: true, nearest: otherPackage(t, "pkgs")}
		}, ftl.Pending, aboutBlessed, "the bucket has no package pkg; it has pkgs"},
		{"syncs that fail", func(f *facts) {
			f.log = []tree.LogLine{{Name: ftl.Sync, Time: longAgo, Message: "timeout"}, {Name: ftl.Sync, Time: now, Message: "access denied"}}
			f.lastLook = longAgo.Add(-time.Minute)
		}, ftl.Failed, aboutSync, "sync fails since " + ftl.Clock(longAgo) + ": access denied"},
		{"syncs that fail on a host that is converged", func(f *facts) {
			followed(f)
			f.log = []tree.LogLine{{Name: ftl.Sync, Time: now, Message: "access denied"}}
		}, ftl.Failed, aboutSync, "access denied"},
		{"syncs that fail, and held", func(f *facts) {
			f.log = []tree.LogLine{{Name: ftl.Sync, Time: now, Message: "access denied"}}
			f.state.Hold = &tree.Hold{By: "ops"}
		}, ftl.Held, aboutHold, "held by ops"},
		{"syncs that fail, and no other sync has run", func(f *facts) {
			f.state, f.lastLook, f.links = tree.State{}, time.Time{}, tree.Links{}
			f.log = []tree.LogLine{{Name: ftl.Sync, Time: now, Message: "access denied"}}
		}, ftl.Failed, aboutSync, "access denied"},
		{"a tree that sync refuses", func(f *facts) {
			followed(f)
			f.refusal.err = errors.New("it can be written by others")
		}, ftl.Failed, aboutPermissions, "written by others"},
		{"a tree of another user", func(f *facts) {
			f.state.Seen = tree.Mark{Serial: 6, Revision: a}
			f.refusal = refusal{errors.New("it belongs to app"), true, true}
		}, ftl.Behind, aboutPermissions, "belongs to app"},
		{"a tree of another user, and whoever asks is not root", func(f *facts) {
			f.state.Seen = tree.Mark{Serial: 6, Revision: a}
			f.refusal = refusal{errors.New("it belongs to app"), true, false}
		}, ftl.Behind, aboutSync, "since that was blessed"},
		{"a tree of another user, who syncs it", func(f *facts) {
			followed(f)
			f.refusal = refusal{errors.New("it belongs to app"), true, true}
		}, ftl.OK, "", ""},
		{"a tree of another user, and by hand", func(f *facts) {
			f.state.Acted, f.links = newest, tree.Links{Current: c, Previous: b}
			f.refusal = refusal{errors.New("it belongs to app"), true, true}
		}, ftl.Behind, aboutByHand, "jumped to pkg.c"},
		{"a sync that failed before the last good one", func(f *facts) {
			f.log = []tree.LogLine{{Name: ftl.Sync, Time: longAgo, Message: "access denied"}}
		}, ftl.Behind, aboutActive, "not active yet"},
		{"the marker is gone", func(f *facts) { followed(f); f.marker.Entries = nil }, ftl.Failed, aboutBlessed, "gone"},
		{"the whole package is gone", func(f *facts) {
			followed(f)
			f.marker.Entries, f.listed = nil, true
		}, ftl.Failed, aboutBlessed, "nothing of pkg any more"},
		{"an older marker", func(f *facts) { followed(f); f.state.Seen = tree.Mark{Serial: 8, Revision: c} }, ftl.Failed, aboutBlessed, "put it back"},
		{"no bucket", func(f *facts) { followed(f); f.bucketErr = errors.New("timeout") }, ftl.Failed, aboutBucket, "timeout"},
		{"no bucket, and held", func(f *facts) { f.bucketErr = errors.New("timeout"); f.state.Hold = &tree.Hold{By: "ops"} }, ftl.Held, aboutHold, "held by ops"},
		{"no bucket, and not fetched", func(f *facts) { f.bucketErr, f.state.Ready = errors.New("timeout"), nil }, ftl.Failed, aboutBucket, "timeout"},
		{"not fetched", func(f *facts) { f.state.Ready = nil }, ftl.Behind, aboutFetched, "not fetched yet"},
		{"deleted by hand", func(f *facts) { f.here = false }, ftl.Behind, aboutFetched, "not fetched yet"},
		{"being fetched", func(f *facts) { f.state.Ready, f.syncing = nil, "pid 7" }, ftl.Pending, aboutFetched, "pid 7"},
		{"a fetch that failed", func(f *facts) {
			f.state.Ready, f.log = nil, []tree.LogLine{{Name: ftl.Fetch, Revision: b, State: ftl.Failure, Message: "no space"}}
		}, ftl.Failed, aboutFetched, "no space"},
		{"not in the bucket", func(f *facts) { f.state.Ready, f.unfetchable = nil, errors.New("not in the bucket") }, ftl.Failed, aboutFetched, "not in the bucket"},
		{"post-sync failed", func(f *facts) {
			f.state.Ready, f.state.Failures = nil, []tree.Failure{waitingHook(ftl.PostSync)}
		}, ftl.Failed, aboutFetched, "exited with 3 (2 times"},
		{"post-sync failed, blessed anew", func(f *facts) {
			f.state.Ready, f.state.Failures = nil, []tree.Failure{waitingHook(ftl.PostSync)}
			f.state.Failures[0].Seen = tree.Mark{Serial: 6, Revision: b}
		}, ftl.Failed, aboutFetched, "the next sync tries again"},
		{"held", func(f *facts) { f.state.Hold = &tree.Hold{By: "ops", Reason: "leak"} }, ftl.Held, aboutHold, "held by ops since"},
		{"held, and converged", func(f *facts) { followed(f); f.state.Hold = &tree.Hold{By: "ops"} }, ftl.OK, "", ""},
		{"delayed", func(f *facts) { f.delay = time.Hour }, ftl.Pending, aboutDelay, "delayed until"},
		{"delayed, old enough", func(f *facts) { f.delay = time.Second }, ftl.Behind, aboutActive, "the next sync activates it"},
		{"rejected", func(f *facts) {
			f.state.Acted, f.state.Rejected = newest, map[revision.Revision]tree.Rejection{b: {At: earlier, Reason: "port 80"}}
		}, ftl.Rejected, aboutRejected, "left again: port 80"},
		{"rejected, blessed anew", func(f *facts) {
			f.state.Rejected = map[revision.Revision]tree.Rejection{b: {At: earlier, Reason: "port 80"}}
		}, ftl.Behind, aboutActive, "the next sync activates it"},
		{"inconsistent", func(f *facts) {
			f.state.Acted, f.state.Rejected = newest, map[revision.Revision]tree.Rejection{b: {At: earlier}}
			f.state.Inconsistent = "neither works"
		}, ftl.Inconsistent, aboutRejected, "neither works"},
		{"deferred", func(f *facts) { f.state.Deferred.Mark = newest }, ftl.Pending, aboutPreJump, "exited with 75"},
		{"pre-jump failed", func(f *facts) { f.state.Failures = []tree.Failure{waitingHook(ftl.PreJump)} }, ftl.Failed, aboutPreJump, "exited with 3"},
		{"pre-jump failed, after it was deferred", func(f *facts) {
			f.state.Failures, f.state.Deferred.Mark = []tree.Failure{waitingHook(ftl.PreJump)}, newest
		}, ftl.Failed, aboutPreJump, "exited with 3"},
		{"pre-jump deferred, after it failed", func(f *facts) {
			f.state.Failures, f.state.Deferred.Mark = []tree.Failure{waitingHook(ftl.PreJump)}, newest
			f.state.Failures[0].Next = earlier
		}, ftl.Pending, aboutPreJump, "not now"},
		{"in a jump", func(f *facts) { f.state.Jump, f.changing = &tree.Transition{To: b, Phase: tree.PhaseUnJump}, "pid 7" }, ftl.Pending, aboutJump, "in un-jump: pid 7"},
		{"interrupted", func(f *facts) { f.state.Jump = &tree.Transition{To: b, From: a, Phase: tree.PhaseSwap} }, ftl.Pending, aboutJump, "interrupted in swap"},
		{"interrupted in post-jump", func(f *facts) {
			followed(f)
			f.state.Jump = &tree.Transition{To: b, From: a, Phase: tree.PhasePostJump}
		}, ftl.Pending, aboutJump, "interrupted in post-jump"},
		{"a hook outlived its ftl", func(f *facts) {
			f.state.Jump, f.outlived = &tree.Transition{To: b, From: a, Phase: tree.PhaseUnJump}, "un-jump of pkg.a"
		}, ftl.Pending, aboutJump, "still runs"},
		{"post-jump failed", func(f *facts) {
			followed(f)
			f.state.Jump = &tree.Transition{To: b, From: a, Phase: tree.PhasePostJump, Tries: 2, Failed: "post-jump of pkg.b exited with 1"}
		}, ftl.Failed, aboutWorking, "tried 2 times); the next sync"},
		{"post-jump failed too often", func(f *facts) {
			followed(f)
			f.state.Jump = &tree.Transition{To: b, From: a, Phase: tree.PhasePostJump, Tries: 4, Failed: "post-jump of pkg.b exited with 1"}
		}, ftl.Failed, aboutWorking, "waits for you"},
		{"post-jump failed too often, blessed anew", func(f *facts) {
			followed(f)
			f.state.Acted = tree.Mark{Serial: 6, Revision: b}
			f.state.Jump = &tree.Transition{To: b, From: a, Phase: tree.PhasePostJump, Tries: 4, Failed: "post-jump of pkg.b exited with 1"}
		}, ftl.Failed, aboutWorking, "the next sync goes on"},
		{"by hand", func(f *facts) { f.state.Acted, f.links = newest, tree.Links{Current: c, Previous: b} }, ftl.Behind, aboutByHand, "jumped to pkg.c"},
		{"by hand, and its post-jump failed", func(f *facts) {
			f.state.Acted, f.links = newest, tree.Links{Current: c, Previous: b}
			f.state.Jump = &tree.Transition{To: c, From: b, Phase: tree.PhasePostJump, Tries: 1, Failed: "post-jump of pkg.c exited with 1"}
		}, ftl.Failed, aboutWorking, "post-jump of pkg.c exited with 1"},
		{"by hand, and killed in post-jump", func(f *facts) {
			f.state.Acted, f.links = newest, tree.Links{Current: c, Previous: b}
			f.state.Jump = &tree.Transition{To: c, From: b, Phase: tree.PhasePostJump}
		}, ftl.Pending, aboutJump, "the jump to pkg.c was interrupted in post-jump"},
		{"by hand, before any sync", func(f *facts) { f.state.Acted.Serial, f.state.Looked = tree.Overruled, false }, ftl.Behind, aboutByHand, "jumped to pkg.a"},
		{"no link", func(f *facts) { f.state.Acted, f.links = newest, tree.Links{} }, ftl.Behind, aboutByHand, "current is gone"},
		{"the last jump failed", func(f *facts) {
			f.log = []tree.LogLine{{Name: ftl.Jump, Revision: b, State: ftl.Failure, Time: now, Message: "permission denied"}}
		}, ftl.Failed, aboutActive, "permission denied"},
		{"not yet", func(*facts) {}, ftl.Behind, aboutActive, "the next sync activates it"},
		{"a state that can't be read", func(f *facts) { f.broken = errors.New("damaged") }, ftl.Failed, aboutPackage, "damaged"},
	}
	for _, test := range tests {
		f := facts{
			name: a.Package(), now: now, asked: true, lastLook: earlier, flipped: longAgo, here: true,
			links: tree.Links{Current: a},
			state: tree.State{
				Seen: newest, Acted: tree.Mark{Serial: 6, Revision: a}, Looked: true,
				Ready: map[revision.Revision]tree.Ready{a: {Since: longAgo}, b: {Since: earlier}},
			},
			marker: catalog.Marker{
				Entries:  []catalog.Entry{{Revision: b, Serial: 7, At: earlier, By: "ops@build", Kind: catalog.KindJump}},
				Modified: earlier, Date: now,
			},
		}
		test.with(&f)
		got := f.status()
		first, held := got.First()
		if held && (!first.First || got.Message != first.Message) {
			t.Errorf("%s: the status says %q, and its first decision %q", test.name, got.Message, first.Message)
		}
		if got.Condition != test.condition || first.About != test.about || !strings.Contains(first.Message, test.message) || held != (test.condition != ftl.OK) {
			t.Errorf("%s: got %s, %s: %s; want %s, %s: %s", test.name, got.Condition, first.About, first.Message, test.condition, test.about, test.message)
		}
	}
}

// Each hint has to help when it is typed.
func TestExplainHintsWhatHelps(t *testing.T) {
	a, b := letter(t, "a"), letter(t, "b")
	failed := &tree.Transition{To: b, From: a, Phase: tree.PhasePostJump, Tries: 1, Failed: "post-jump of pkg.b exited with 1"}
	tests := []struct {
		name       string
		facts      facts
		want, lack string
	}{
		{"a misspelt package", facts{asked: true, listed: true, nearest: otherPackage(t, "pkgs")}, "ftl remove pkg; ftl subscribe pkgs", "jump"},
		{"no such package", facts{asked: true, listed: true}, "ftl list --master", "jump"},
		{"nothing blessed", facts{asked: true, listed: true, revisions: []revision.Revision{a, b}}, "ftl jump --master pkg.b", "REVISION"},
		{"the whole package is gone", facts{asked: true, listed: true, state: tree.State{Seen: tree.Mark{Serial: 7, Revision: b}}}, "FTL_BUCKET", "bless"},
		{"only the marker is gone", facts{asked: true, listed: true, revisions: []revision.Revision{b}, state: tree.State{Seen: tree.Mark{Serial: 7, Revision: b}}}, "ftl jump --master pkg.b", "FTL_BUCKET"},
		{"no sync since, in a tree of another user", facts{
			asked: true, lastLook: time.Now(), links: tree.Links{Current: a}, state: tree.State{Seen: tree.Mark{Serial: 6, Revision: a}, Acted: tree.Mark{Serial: 6, Revision: a}, Looked: true},
			marker:  catalog.Marker{Entries: []catalog.Entry{{Revision: b, Serial: 7}}},
			refusal: refusal{&ftl.Error{Hint: "sudo -u app -E ftl sync pkg", Err: errors.New("it belongs to app")}, true, false},
		}, "sudo -u app -E ftl sync pkg does it now", ""},
		{"rejected", facts{
			links: tree.Links{Current: a},
			state: tree.State{Seen: tree.Mark{Serial: 7, Revision: b}, Acted: tree.Mark{Serial: 7, Revision: b}, Rejected: map[revision.Revision]tree.Rejection{b: {Reason: "port 80"}}},
		}, "ftl jump --master --again pkg.b", ""},
		{"inconsistent", facts{
			links: tree.Links{Current: a}, state: tree.State{Seen: tree.Mark{Serial: 7, Revision: b}, Acted: tree.Mark{Serial: 7, Revision: b}, Inconsistent: "neither works"},
		}, "ftl jump pkg.a", ".ID"},
		{"post-jump failed", facts{links: tree.Links{Current: b, Previous: a}, state: tree.State{Seen: tree.Mark{Serial: 7, Revision: b}, Acted: tree.Mark{Serial: 7, Revision: b}, Jump: failed}}, "ftl jump-back pkg", ""},
		{"post-jump failed, with nowhere to go back to", facts{links: tree.Links{Current: b}, state: tree.State{Seen: tree.Mark{Serial: 7, Revision: b}, Acted: tree.Mark{Serial: 7, Revision: b}, Jump: failed}}, "ftl jump pkg.b", "jump-back"},
		{"in the first jump", facts{changing: "pid 7", here: true, state: tree.State{Seen: tree.Mark{Serial: 7, Revision: b}, Ready: map[revision.Revision]tree.Ready{b: {}}, Jump: &tree.Transition{To: b, Phase: tree.PhasePreJump}}}, "ftl jump --interrupt pkg.b", "jump-back"},
	}
	for _, test := range tests {
		test.facts.name, test.facts.now = b.Package(), time.Now()
		first, held := test.facts.status().First()
		if !held || !strings.Contains(first.Hint, test.want) || test.lack != "" && strings.Contains(first.Hint, test.lack) {
			t.Errorf("%s: %s, and the hint %q; want %q", test.name, first.Message, first.Hint, test.want)
		}
	}
}

func otherPackage(t *testing.T, name string) revision.Package {
	t.Helper()
	pkg, err := revision.ParsePackage(name)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// What a hook has printed is in the log, and nowhere else.
func TestExplainShowsWhatTheHookPrinted(t *testing.T) {
	b := letter(t, "b")
	hook := func(name ftl.Step, state ftl.State, output string) tree.LogLine {
		return tree.LogLine{Name: name, Revision: b, State: state, Output: output}
	}
	f := facts{
		name: b.Package(), state: tree.State{Seen: tree.Mark{Serial: 7, Revision: b}, Looked: true, Failures: []tree.Failure{{Revision: b, Hook: ftl.PostSync, Count: 2}}},
		log: []tree.LogLine{
			hook(ftl.PostSync, ftl.Failure, "the first time"), hook(ftl.PostSync, ftl.Failure, "the second time"),
			hook(ftl.PostSync, ftl.Running, ""), hook(ftl.UnJump, ftl.Failure, "another hook"),
			{Name: ftl.PostSync, Revision: letter(t, "a"), State: ftl.Failure, Output: "another revision"},
		},
	}
	if first, _ := f.status().First(); first.About != aboutFetched || first.Output != "the second time" {
		t.Errorf("got %s: %q, want what the last failure of post-sync printed", first.About, first.Output)
	}
	f.log, f.logOwner = nil, "app"
	if first, _ := f.status().First(); first.Output != "" || !strings.Contains(first.Hint, "sudo -u app ftl why pkg") {
		t.Errorf("got %q, and the hint %q; want who may read it", first.Output, first.Hint)
	}
}

// Who is not the owner of a tree may not read its log, and is told who may.
func TestFactsSayWhoMayReadTheLog(t *testing.T) {
	if os.Geteuid() == 0 {
		runAsNobody(t)
		return
	}
	p := newPackage(t)
	if err := os.Chmod(p.LogDir(), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(p.LogDir(), 0o700)
	f, err := p.facts(t.Context(), nil)
	if err != nil || f.logOwner == "" || len(f.log) > 0 {
		t.Errorf("got %q, %v, want the log's owner", f.logOwner, err)
	}
}
