package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// An entry with waves is followed when the votes of other hosts allow it. The order is:
//
//	slot → fetch → post-sync → pre-jump → the last look → try → un-jump → flip → post-jump → check → ok, or bad
//
// A vote is noted in the state before it is sent, and owed until it is written, so that no crash
// loses one. What can't be read is no permission: the host keeps what runs.

// votePatience is how long a host waits for the bucket to take a vote.
const votePatience = 5 * time.Second

// errNotYet says that a rollout does not let a host go on. It is no failure.
var errNotYet = errors.New("the rollout does not let this host go on yet")

// rolling is the rollout that a sync has found.
type rolling struct {
	bucket *catalog.Catalog
	entry  catalog.Entry
	looked *rollout.Count // what the votes said when it was found, nil where they were not read
}

// course is where a sync goes.
type course struct {
	newest tree.Mark // the entry to follow; zero where that has to wait
	// base is where a host goes that must not follow the entry. With back it runs the revision now,
	// and is done with the entry when it has left it.
	base revision.Revision
	back bool
}

// steer decides where a sync goes, by what the other hosts say.
func (p *pkg) steer(ctx context.Context, from source, st *tree.State, cur tree.Links) (course, error) {
	follow := course{newest: p.toFollow(st, from.marker, cur)}
	entry, _ := from.marker.Active()
	if entry.Rollout == nil {
		return follow, nil
	}
	p.rolling = &rolling{bucket: from.Catalog, entry: entry}
	if st.Hold != nil {
		return follow, nil
	}
	if p.host.unnamed != nil || p.host.recall().Report.twin() {
		return course{}, nil // which why says
	}
	count, err := p.rolling.count(ctx, p.Name)
	if err != nil {
		return course{}, fmt.Errorf("read the votes: %w", err)
	}
	p.rolling.looked = count
	decision := count.Decide(p.stand(st, entry, cur))
	if !p.host.DryRun {
		if err := p.noteDecision(ctx, st, entry, decision, !count.Settled.IsZero()); err != nil {
			return course{}, err
		}
	}
	switch {
	case decision.Act == rollout.Base && entry.Base != (revision.Revision{}):
		return course{base: entry.Base}, nil
	case decision.Act == rollout.Back && entry.Base != (revision.Revision{}) && entry.Base != cur.Current:
		return course{base: entry.Base, back: true}, nil
	case decision.Act == rollout.Go || cur.Current == entry.Revision:
		return follow, nil
	}
	return course{}, nil
}

// stand is what the decision takes into account of this host.
func (p *pkg) stand(st *tree.State, entry catalog.Entry, cur tree.Links) rollout.Host {
	h := rollout.Host{
		Name: p.host.node().String(), Last: p.host.Membership.Canary == "never" || p.host.Delay > 0,
		Runs: cur.Current == entry.Revision, Empty: cur.Current == (revision.Revision{}), Broken: st.Inconsistent != "",
	}
	if st.Rollout != nil && st.Rollout.Serial == entry.Serial {
		h.Joined = st.Rollout.Wave
	}
	return h
}

// count reads the votes for the entry.
func (r *rolling) count(ctx context.Context, pkg revision.Package) (*rollout.Count, error) {
	votes, err := r.bucket.Votes(ctx, pkg, r.entry.Serial)
	if err != nil {
		return nil, err
	}
	return votes.Count(r.entry.Rollout), nil
}

// noteDecision keeps what a host has seen open, which stays open for it, and that a rollout has
// settled.
func (p *pkg) noteDecision(ctx context.Context, st *tree.State, entry catalog.Entry, d rollout.Decision, settled bool) error {
	wave := 0
	if d.Act == rollout.Go {
		wave = d.Wave + 1
	}
	change := func(st *tree.State) {
		part := st.Participate(entry)
		part.Settled = settled
		if part.Wave == 0 {
			part.Wave = wave
		}
	}
	before := st.Rollout
	if before != nil && before.Serial == entry.Serial && before.Settled == settled && (before.Wave != 0 || wave == 0) {
		return nil
	}
	change(st)
	return p.update(ctx, p.host.lockWait(), change)
}

// lastLook is what comes between pre-jump and the first change: whoever learns here that the
// rollout was halted has left no vote. The host says that it begins, so that its silence is heard.
func (l *locked) lastLook(ctx context.Context) error {
	t := l.State.Jump
	if l.rolling == nil || t.Mark != tree.MarkOf(l.rolling.entry) || t.To != l.rolling.entry.Revision {
		return nil
	}
	if err := l.beginRollout(ctx, t); err != nil {
		return &lookError{err}
	}
	return nil
}

// lookError is why a last look let a host not go on. It says nothing of the revision.
type lookError struct{ err error }

func (e *lookError) Error() string { return e.err.Error() }
func (e *lookError) Unwrap() error { return e.err }

// beginRollout votes that the host begins, if it still may.
func (l *locked) beginRollout(ctx context.Context, t *tree.Transition) error {
	count, err := l.rolling.count(ctx, l.Name)
	if err != nil {
		return fmt.Errorf("read the votes: %w", err)
	}
	decision := count.Decide(l.stand(l.State, l.rolling.entry, tree.Links{Current: t.From, Previous: t.Previous}))
	if decision.Act != rollout.Go {
		l.report(ftl.Event{Revision: t.To, Step: ftl.Defer, State: ftl.Success, Message: "the rollout goes no further now"})
		return errNotYet
	}
	if err := l.checkSlot(ctx); err != nil {
		return err
	}
	part := l.State.Participate(l.rolling.entry)
	if part.Wave == 0 {
		part.Wave = decision.Wave + 1
	}
	l.State.Vote(t.To, rollout.Try)
	if err := l.WriteState(); err != nil {
		return err
	}
	return l.payVote(ctx)
}

// payVote writes the vote that is owed.
func (l *locked) payVote(ctx context.Context) error {
	part := l.State.Rollout
	if l.rolling == nil || part == nil || !part.Owed || part.Serial != l.rolling.entry.Serial {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, votePatience)
	defer cancel()
	if part.Wave == 0 { // somebody has jumped by hand, before its turn
		wave, _ := l.rolling.entry.Rollout.WaveOf(l.host.node().String())
		part.Wave = wave + 1
	}
	vote := rollout.Vote{Host: l.host.node().String(), Kind: part.Vote, Wave: part.Wave - 1}
	if err := l.rolling.bucket.Vote(bounded, l.Name, part.Serial, vote); err != nil {
		return fmt.Errorf("vote in the rollout of %s: %w", part.Revision, err)
	}
	part.Owed = false
	return l.WriteState()
}

// tellVote is payVote where the jump is decided already: a vote that can't be written stays owed.
func (l *locked) tellVote(ctx context.Context) {
	if err := l.payVote(ctx); err != nil {
		l.host.warn("%s: %v; the next sync tries again", l.Name, err)
	}
}

// takePart is what a host does for a rollout beside following it: it says what became of the
// revision here, also where a person has jumped, asks again whether it works, and gives its slot
// back.
func (p *pkg) takePart(ctx context.Context) error {
	if p.rolling == nil || ctx.Err() != nil {
		return nil
	}
	return p.withLock(ctx, tree.Patience{Wait: p.host.lockWait()}, func(l *locked) error {
		err := l.reconcile(ctx)
		l.tellVote(ctx)
		return ftl.Join(err, l.giveSlot(ctx))
	})
}

// reconcile compares what the host has said with how it is.
func (l *locked) reconcile(ctx context.Context) error {
	st, entry := l.State, l.rolling.entry
	part := st.Participate(entry)
	cur, err := l.Present()
	if err != nil {
		return err
	}
	_, rejected := st.Rejected[entry.Revision]
	switch {
	case st.Jump != nil && !st.Jump.HasFailed():
	case rejected || st.Failures.ForGood(entry.Revision):
		st.Vote(entry.Revision, rollout.Bad)
	case cur.Current != entry.Revision:
		if part.Said(rollout.Try, rollout.OK, rollout.Well) {
			st.Vote(entry.Revision, rollout.Out)
		}
	case st.Jump.HasFailed():
		st.Vote(entry.Revision, rollout.Bad)
	case l.jumped: // its check has just passed
	case (!part.Settled || part.Said(rollout.OK)) && time.Since(l.flippedAt()) < tree.HealthPatience:
		return l.askHealth(ctx, cur)
	}
	return nil
}

// flippedAt returns when current came to point where it does.
func (p *pkg) flippedAt() time.Time {
	info, err := os.Lstat(p.CurrentLink())
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// askHealth asks the check of the active revision again. One that passes, a soak after the flip, is
// well. One that does not is left again, unless the rollout is halted already: what all suffer from
// is not mended by all going back. A host that is held says how it is, and stays.
func (l *locked) askHealth(ctx context.Context, cur tree.Links) error {
	st, entry := l.State, l.rolling.entry
	t := tree.Transition{
		To: cur.Current, From: cur.Previous, Phase: tree.PhaseCheck, Reason: tree.ReasonSync, Mark: tree.MarkOf(entry), Started: time.Now(), Tries: 1,
	}
	st.Jump = &t
	if err := l.enter(tree.PhaseCheck); err != nil {
		return err
	}
	failed := l.perform(ctx, rules[t.Phase], false)
	if stillToDo(failed) {
		st.Jump = nil
		return ftl.Join(failed, l.WriteState())
	}
	if failed == nil {
		st.Jump = nil
		kind := rollout.OK
		if l.hasSoaked() || st.Rollout.Said(rollout.Well) {
			kind = rollout.Well
		}
		st.Vote(entry.Revision, kind)
		return l.WriteState()
	}
	st.Vote(entry.Revision, rollout.Bad)
	stays := st.Hold != nil
	if !stays {
		count, err := l.rolling.count(ctx, l.Name)
		if err != nil {
			failed = ftl.Join(failed, err)
		}
		stays = err != nil || count.Halt != nil
	}
	if stays {
		st.Jump = nil
		return ftl.Join(failed, l.WriteState())
	}
	if err := l.fail(ctx, rules[t.Phase], failed); err != nil {
		return err
	}
	return l.advanceAndNote(ctx, false)
}

// hasSoaked reports whether the revision runs for as long as its wave wants.
func (l *locked) hasSoaked() bool {
	plan, wave := l.rolling.entry.Rollout, max(l.State.Rollout.Wave, 1)
	if wave > len(plan.Waves) {
		return false
	}
	return time.Since(l.flippedAt()) >= plan.Waves[wave-1].Soak
}

// goBase takes a host to the revision that the fleet had before: one on which nothing is active
// yet, or, where a halt sends it back, one that runs the revision.
func (s *syncing) goBase(ctx context.Context, from source, to course) error {
	st, err := s.ReadState()
	if err != nil {
		return err
	}
	if !st.IsReady(to.base) {
		if err := s.obtainWhenDue(ctx, from, to.base); err != nil {
			return err
		}
	}
	return s.withLock(ctx, tree.Patience{Wait: s.host.lockWait()}, func(l *locked) error {
		cur, err := l.Present()
		if err != nil || l.State.Hold != nil || cur.Current == to.base || l.State.Jump != nil {
			return err
		}
		if err := l.checkStart(to.base); err != nil {
			return err
		}
		mark := tree.Mark{Serial: besideSerial, Revision: to.base}
		if to.back {
			mark = tree.MarkOf(l.rolling.entry)
			l.State.Vote(l.rolling.entry.Revision, rollout.Out)
		}
		return l.jump(ctx, cur, tree.Transition{To: to.base, Reason: tree.ReasonSync, Mark: mark}, from.marker.Params(to.base))
	})
}

// explainRollout says where this host stands in the rollout of the newest entry, and what it waits
// for.
func (p *pkg) explainRollout(ctx context.Context, bucket *catalog.Catalog, f *facts) error {
	entry, _ := f.marker.Active()
	if entry.Rollout == nil || f.state.IsDone(entry) {
		return nil
	}
	r := rolling{bucket: bucket, entry: entry}
	count, err := r.count(ctx, p.Name)
	if err != nil {
		return err
	}
	p.explain(f, entry, count)
	return nil
}

// explain notes what votes let this host do.
func (p *pkg) explain(f *facts, entry catalog.Entry, count *rollout.Count) {
	f.count, f.decision = count, count.Decide(p.stand(&f.state, entry, f.links))
}

// besideSerial marks a jump that no entry has asked for: it leaves all entries to be done.
const besideSerial = -2
