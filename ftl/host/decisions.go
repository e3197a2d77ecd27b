package host

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// broken is about a package whose directory can't be made sense of.
func (s situation) broken() ftl.Decision {
	err := s.seen.broken
	return ftl.Decision{About: aboutPackage, Condition: ftl.Failed, Message: err.Error(), Hint: hintOf(err), Err: err}
}

// permissions is about why sync does not touch the tree, before it asks the bucket.
func (s situation) permissions() ftl.Decision {
	refusal := s.seen.refusal
	if refusal.err == nil {
		return ftl.Decision{}
	}
	d := ftl.Decision{About: aboutPermissions, Message: refusal.err.Error(), Hint: hintOf(refusal.err), Err: refusal.err}
	switch {
	case !refusal.readerOnly:
		d.Condition, d.Since = ftl.Failed, ftl.At(s.streak.since)
	case s.waiting() && refusal.readerIsRoot:
		d.Condition, d.Rank = ftl.Behind, ftl.Outage // whoever owns the tree may sync it all the same
	}
	return d
}

// syncCommand is what to type for a sync: a tree of another user is synced by that user.
func (s situation) syncCommand() string {
	if s.seen.refusal.readerOnly {
		return hintOf(s.seen.refusal.err)
	}
	return "ftl sync " + s.seen.name.String()
}

// waiting reports whether a sync is missing: something is blessed that is not active, or nobody
// knows.
func (s situation) waiting() bool {
	return s.wouldBe.away || s.wouldBe.newest == (tree.Mark{}) && s.seen.links.Current == (revision.Revision{})
}

func (s situation) bucket() ftl.Decision {
	err := s.seen.bucketErr
	switch {
	case !s.seen.asked:
		return ftl.Decision{About: aboutBucket, Message: "FTL_BUCKET is not set, so what follows is what the last sync read"}
	case err != nil:
		return ftl.Decision{
			About: aboutBucket, Condition: ftl.Failed, Rank: ftl.Outage, Since: ftl.At(s.streak.since), Err: err, Hint: hintOf(err),
			Message: fmt.Sprintf("the bucket can't be read: %v; what follows is what the last sync read", err),
		}
	}
	return ftl.Decision{About: aboutBucket, Message: "the bucket answers"}
}

// blessed is about what the marker says.
func (s situation) blessed() ftl.Decision {
	active, blessed := s.seen.marker.Active()
	nothing := s.wouldBe.newest == (tree.Mark{})
	switch {
	case s.seen.known() && !blessed && s.seen.state.Seen != (tree.Mark{}):
		return s.markerGone()
	case s.wouldBe.older:
		return ftl.Decision{
			About: aboutBlessed, Condition: ftl.Failed, Since: ftl.At(s.streak.since),
			Message: fmt.Sprintf("the marker names %s, and is older than the one that blessed %s: somebody has put it back, or a clock was ahead", active.Revision, s.wouldBe.target),
			Hint:    "to follow it: " + s.seen.state.BlessAbove(active.Revision, time.Time{}),
		}
	case s.seen.known() && isNewer(active.Understood()):
		err := active.Understood()
		return ftl.Decision{About: aboutBlessed, Condition: ftl.Pending, Since: s.seen.blessedAt(), Message: err.Error(), Hint: hintOf(err), Err: err}
	case !s.seen.known() && s.wouldBe.away && s.seen.state.TooNew == s.wouldBe.newest:
		return ftl.Decision{
			About: aboutBlessed, Condition: ftl.Pending, Hint: "install a newer ftl",
			Message: s.wouldBe.target.String() + " is blessed, and the last sync could not act on that: a newer ftl is needed",
		}
	case nothing && s.seen.links.Current != (revision.Revision{}):
		return ftl.Decision{About: aboutBlessed, Message: "nothing was blessed yet, and " + s.seen.links.Current.String() + " was activated by hand"}
	case nothing && s.seen.known():
		return s.nothingBlessed()
	case nothing && s.seen.asked: // the bucket does not tell
		return ftl.Decision{}
	case nothing && s.seen.state.Looked:
		return ftl.Decision{
			About: aboutBlessed, Condition: ftl.Pending, Message: "nothing was blessed when the last sync read the bucket",
			Hint: "set FTL_BUCKET as for sync, then: ftl why " + s.seen.name.String(),
		}
	case nothing:
		return ftl.Decision{
			About: aboutBlessed, Condition: ftl.Pending, Message: "what is blessed is not known: no sync has read a marker, and FTL_BUCKET is not set",
			Hint: "set FTL_BUCKET as for sync, then: ftl why " + s.seen.name.String(),
		}
	case s.seen.known():
		return ftl.Decision{About: aboutBlessed, Since: s.seen.blessedAt(), Message: blessing(active) + spooledWith(s.seen.spooled)}
	}
	return ftl.Decision{About: aboutBlessed, Message: s.wouldBe.target.String() + " is blessed" + spooledWith(s.seen.spooled)}
}

// markerGone is about a marker that was there once. Where the bucket has nothing else of the
// package either, it is hardly the marker that is wrong.
func (s situation) markerGone() ftl.Decision {
	d := ftl.Decision{
		About: aboutBlessed, Condition: ftl.Failed, Since: ftl.At(s.streak.since),
		Message: "the marker is gone from the bucket; this host keeps what it has",
		Hint:    "bless the revision again: " + s.seen.state.BlessAbove(s.wouldBe.target, s.seen.now),
	}
	if s.seen.empty() {
		d.Message = "the bucket has nothing of " + s.seen.name.String() + " any more; this host keeps what it has"
		d.Hint = otherBucket
	}
	return d
}

// otherBucket is the hint where a bucket has nothing of a package that was there once.
const otherBucket = "is FTL_BUCKET the bucket that is meant? What is in it: ftl list --master"

// nothingBlessed is about a package without a marker.
func (s situation) nothingBlessed() ftl.Decision {
	name := s.seen.name.String()
	d := ftl.Decision{About: aboutBlessed, Condition: ftl.Pending, Message: "no revision of " + name + " was blessed yet: there is no marker"}
	switch {
	case s.seen.empty() && s.seen.nearest != (revision.Package{}):
		nearest := s.seen.nearest.String()
		d.Message = fmt.Sprintf("the bucket has no package %s; it has %s", name, nearest)
		d.Hint = fmt.Sprintf("if that is meant: ftl remove %s; ftl subscribe %s", name, nearest)
	case s.seen.empty():
		d.Message = "the bucket has no package " + name
		d.Hint = "what there is: ftl list --master; to add it: ftl spool " + name + ".tgz"
	case s.seen.listed:
		d.Hint = fmt.Sprintf("to bless the newest: ftl jump --master %s; all of them: ftl list --master %s", s.seen.revisions[len(s.seen.revisions)-1], name)
	default:
		d.Hint = "ftl list --master " + name + ", then: ftl jump --master REVISION"
	}
	return d
}

// blessing says what was blessed, by whom, when, and why.
func blessing(entry catalog.Entry) string {
	text := entry.Revision.String() + " is blessed"
	if entry.By != "" {
		text += ", by " + entry.By
	}
	if !entry.At.IsZero() {
		text += " at " + ftl.Clock(entry.At)
	}
	if entry.Kind == catalog.KindJumpBack {
		text += ", as the way back"
	}
	text += with(entry.Params)
	if entry.Note != "" {
		text += ": " + entry.Note
	}
	return text
}

// spooledWith says what the spooler said of a revision.
func spooledWith(m catalog.Manifest) string {
	var said []string
	if m.Note != "" {
		said = append(said, strconv.Quote(m.Note))
	}
	if len(m.Labels) > 0 {
		said = append(said, m.Labels.String())
	}
	if len(said) == 0 {
		return ""
	}
	return "; spooled with " + strings.Join(said, " ")
}

// synced is about whether a sync has read that.
func (s situation) synced() ftl.Decision {
	streak := s.streak
	now := s.syncCommand() + " does it now; for the next time, are cron or the timer at work?"
	switch {
	case streak.fails() && !s.causeIsKnown():
		return ftl.Decision{
			About: aboutSync, Condition: ftl.Failed, Rank: ftl.Outage, Since: ftl.At(streak.since),
			Message: fmt.Sprintf("sync fails since %s: %s", ftl.Clock(streak.since), streak.message),
			Hint:    s.syncCommand() + " tries again, and says what to do",
		}
	case streak.fails():
		return ftl.Decision{
			About: aboutSync, Condition: ftl.Failed, Rank: ftl.Remainder, Since: ftl.At(streak.since),
			Message: "sync fails since " + ftl.Clock(streak.since),
		}
	case s.seen.lastLook.IsZero() && !s.seen.state.Looked && s.waiting():
		return ftl.Decision{
			About: aboutSync, Condition: ftl.Behind, Rank: ftl.Remainder, Since: s.seen.blessedAt(),
			Message: "no sync has run on this host yet", Hint: now,
		}
	case s.seen.lastLook.IsZero():
		return ftl.Decision{}
	case s.wouldBe.newest.After(s.seen.state.Seen) && s.wouldBe.away:
		return ftl.Decision{
			About: aboutSync, Condition: ftl.Behind, Rank: ftl.Remainder, Since: s.seen.blessedAt(), Hint: now,
			Message: "no sync has run since that was blessed: the last one was at " + ftl.Clock(s.seen.lastLook),
		}
	}
	return ftl.Decision{About: aboutSync, Since: ftl.At(s.seen.lastLook), Message: "the last sync was at " + ftl.Clock(s.seen.lastLook)}
}

// causeIsKnown reports whether another decision says better why sync fails.
func (s situation) causeIsKnown() bool {
	return s.found(aboutPermissions, ftl.Failed) || s.found(aboutBucket, ftl.Failed) || s.found(aboutTrust, ftl.Failed) || s.found(aboutBlessed, ftl.Failed) || s.seen.unfetchable != nil
}

// fetched is about whether the revision can be jumped to.
func (s situation) fetched() ftl.Decision {
	target := s.wouldBe.target
	if !s.wouldBe.away || !s.wouldBe.isNew {
		return ftl.Decision{}
	}
	st := &s.wouldBe.state
	failure := cmp.Or(st.Failures.Of(target, ftl.PostSync), st.Failures.Of(target, ftl.Fetch))
	line, tried := lastLine(s.seen.log, ftl.Fetch, target)
	d := ftl.Decision{About: aboutFetched, Since: s.seen.blessedAt()}
	switch err := s.seen.unfetchable; {
	case st.IsReady(target) && s.seen.here:
		d.Since = ftl.At(st.Ready[target].Since)
		d.Message = target.String() + " is ready"
		if !d.Since.IsZero() {
			d.Message += " since " + ftl.Clock(d.Since.Time)
		}
	case isNewer(err):
		d.Condition, d.Message, d.Hint = ftl.Pending, err.Error(), hintOf(err)
	case s.seen.syncing != "":
		d.Condition, d.Message = ftl.Pending, target.String()+" is being fetched: "+s.seen.syncing
	case failure != nil:
		d.Condition, d.Since, d.Message = ftl.Failed, ftl.At(failure.At), s.retry(*failure)
		d.Hint = "to try at once: ftl jump " + target.String()
		d = s.printed(d, target, failure.Hook)
	case err != nil:
		d.Condition, d.Message, d.Hint, d.Err = ftl.Failed, err.Error(), hintOf(err), err
	case tried && line.State == ftl.Failure:
		d.Condition, d.Since = ftl.Failed, ftl.At(line.Time)
		d.Message = fmt.Sprintf("%s could not be fetched, at %s: %s", target, ftl.Clock(line.Time), line.Message)
		d.Hint = s.syncCommand() + " tries again, and says what to do"
	default:
		d.Condition, d.Rank, d.Message = ftl.Behind, ftl.Remainder, target.String()+" is not fetched yet"
		d.Hint = s.syncCommand()
	}
	return d
}

// retry says how often a hook has failed, and when it is tried again.
func (s situation) retry(f tree.Failure) string {
	text := fmt.Sprintf("%s (%s, last at %s); ", f.Message, tree.Times(f.Count), ftl.Clock(f.At))
	if f.Seen != s.wouldBe.newest { // a new entry is a reason to try at once
		return text + "the next sync tries again"
	}
	return text + "the next try is at " + ftl.Clock(f.Next)
}

func (s situation) hold() ftl.Decision {
	hold := s.seen.state.Hold
	if hold == nil {
		return ftl.Decision{}
	}
	d := ftl.Decision{About: aboutHold, Since: ftl.At(hold.At), Message: hold.String(), Hint: "ftl unhold " + s.seen.name.String()}
	if s.wouldBe.away && s.wouldBe.isNew || s.seen.state.Jump.HasFailed() {
		d.Condition = ftl.Held
	} else {
		d.Message += " (which keeps nothing back now)"
	}
	return d
}

func (s situation) delayed() ftl.Decision {
	if s.seen.delay == 0 || !s.wouldBe.away || !s.wouldBe.isNew || !s.seen.known() {
		return ftl.Decision{}
	}
	until, wait := delayedUntil(s.seen.marker, s.seen.delay, s.seen.links.Current != (revision.Revision{}))
	if !wait {
		return ftl.Decision{}
	}
	return ftl.Decision{
		About: aboutDelay, Condition: ftl.Pending, Since: s.seen.blessedAt(),
		Message: fmt.Sprintf("delayed until %s, by FTL_DELAY=%v", ftl.Clock(until), s.seen.delay),
		Hint:    "to go at once: ftl jump " + s.wouldBe.target.String(),
	}
}

// rollout is about the waves of the newest entry, and what this host waits for.
func (s situation) rollout() ftl.Decision {
	count, d := s.seen.count, s.seen.decision
	if count == nil || !s.wouldBe.away || !s.wouldBe.isNew {
		return ftl.Decision{}
	}
	decision := ftl.Decision{
		About: aboutRollout, Since: s.seen.blessedAt(), Message: describeRollout(count, d, s.wouldBe.target),
		Hint: "to see all of it: ftl rollout show " + s.seen.name.String() + "; to go at once: ftl jump " + s.wouldBe.target.String(),
	}
	if d.Act != rollout.Go {
		decision.Condition = ftl.Pending
	}
	return decision
}

// describeRollout says in words where a host stands in a rollout.
func describeRollout(count *rollout.Count, d rollout.Decision, target revision.Revision) string {
	place := fmt.Sprintf("this host is in wave %d of %d, by its place %s", d.Own+1, len(count.Plan.Waves), d.Place)
	when := ""
	if !d.Next.IsZero() {
		when = "; at the earliest at " + ftl.Clock(d.Next)
	}
	switch d.Reason {
	case rollout.IsHalted:
		return fmt.Sprintf("the rollout of %s is halted: %s", target, count.Halt)
	case rollout.IsOpen, rollout.HasBegun, rollout.IsBroken:
		return place + ", which may go"
	case rollout.Joins:
		return fmt.Sprintf("%s, and may join wave %d in the place of hosts that don't show up", place, d.Wave+1)
	case rollout.ItsTurn:
		return place + ", which is open; its turn comes at " + ftl.Clock(d.Next)
	case rollout.IsBeyond:
		return "the waves of the rollout end before this host"
	case rollout.TooMany:
		return "others on which nothing works are being mended first" + when
	}
	open := count.Done()
	wave, plan := count.Waves[open], count.Plan.Waves[open]
	return fmt.Sprintf("%s; wave %d has %d of %d hosts that are well%s", place, open+1, len(wave.Well), plan.Need, when)
}

// rejected is about a revision that was tried, and left again.
func (s situation) rejected() ftl.Decision {
	st, target := &s.seen.state, s.wouldBe.target
	why, rejected := st.Rejected[target]
	switch {
	case st.Inconsistent != "":
		return s.printed(ftl.Decision{
			About: aboutRejected, Condition: ftl.Inconsistent, Since: ftl.At(why.At), Message: st.Inconsistent,
			Hint: "mend it, then: ftl jump " + s.seen.links.Current.String(),
		}, target, ftl.PostJump, ftl.Check)
	case rejected && s.wouldBe.away && !s.wouldBe.isNew:
		return s.printed(ftl.Decision{
			About: aboutRejected, Condition: ftl.Rejected, Since: ftl.At(why.At),
			Message: fmt.Sprintf("%s was tried at %s and left again: %s", target, ftl.Clock(why.At), why.Reason),
			Hint:    rejectedHint(target),
		}, target, ftl.PostJump, ftl.Check)
	}
	return ftl.Decision{}
}

// rejectedHint says how a revision that was rejected can be had all the same.
func rejectedHint(r revision.Revision) string {
	return fmt.Sprintf("sync does not take it again until it is blessed anew: ftl jump --master --again %s; to try it here: ftl jump %[1]s", r)
}

// preJump is about a pre-jump that has failed, or said "not now".
func (s situation) preJump() ftl.Decision {
	if !s.wouldBe.away {
		return ftl.Decision{}
	}
	if !s.wouldBe.isNew {
		return s.triedByHand()
	}
	st, target := &s.wouldBe.state, s.wouldBe.target
	failure := st.Failures.Of(target, ftl.PreJump)
	deferred := st.Deferred.Mark == s.wouldBe.newest
	switch {
	case failure != nil && !(deferred && st.Waiting(target, ftl.PreJump, s.seen.now) == nil):
		return s.printed(ftl.Decision{
			About: aboutPreJump, Condition: ftl.Failed, Since: ftl.At(failure.At), Message: s.retry(*failure),
			Hint: "to try at once: ftl jump " + target.String(),
		}, target, ftl.PreJump)
	case deferred:
		return s.printed(ftl.Decision{
			About: aboutPreJump, Condition: ftl.Pending, Since: st.Deferred.SinceOr(s.seen.blessedAt()),
			Message: fmt.Sprintf("pre-jump of %s says not now (it exited with %d%s); each sync asks again", target, hooks.NotNow, st.Deferred),
			Hint:    "to go on all the same: ftl jump --force " + target.String(),
		}, target, ftl.PreJump)
	}
	return ftl.Decision{}
}

// triedByHand is about a jump by hand that its pre-jump refused, where somebody wanted something
// else than what is active.
func (s situation) triedByHand() ftl.Decision {
	for _, f := range slices.Backward(s.seen.state.Failures) {
		if f.ByHand && s.seen.state.Jump == nil {
			return s.printed(ftl.Decision{
				About: aboutPreJump, Condition: ftl.Failed, Since: ftl.At(f.At), Message: f.SayByHand(),
				Hint: fmt.Sprintf("to try again: ftl jump %s; to leave it at that: ftl jump %s", f.Revision, s.seen.links.Current),
			}, f.Revision, f.Hook)
		}
	}
	return ftl.Decision{}
}

// jump is about one that is going on, or was interrupted.
func (s situation) jump() ftl.Decision {
	f := s.seen.state.Jump
	if f == nil || f.HasFailed() && s.seen.changing == "" {
		return ftl.Decision{}
	}
	d := ftl.Decision{About: aboutJump, Condition: ftl.Pending, Since: ftl.At(f.Started)}
	switch {
	case s.seen.changing != "":
		d.Message = fmt.Sprintf("a jump to %s is in %s: %s", f.To, f.Phase, s.seen.changing)
		d.Hint = "if it is stuck there: ftl jump --interrupt " + f.To.String()
		if f.From != (revision.Revision{}) {
			d.Hint = "if it is stuck there: ftl jump-back --interrupt " + s.seen.name.String()
		}
	case s.seen.outlived != "":
		d.Message = fmt.Sprintf("the jump to %s was interrupted in %s, and %s still runs; the next sync waits for it", f.To, f.Phase, s.seen.outlived)
	default:
		d.Message = fmt.Sprintf("the jump to %s was interrupted in %s, at %s or later; the next sync takes it up", f.To, f.Phase, ftl.Clock(f.Started))
		d.Hint = s.syncCommand()
	}
	return d
}

// working is about a post-jump or a check that has failed where there was no way back.
func (s situation) working() ftl.Decision {
	f := s.seen.state.Jump
	if !f.HasFailed() || s.seen.changing != "" {
		return ftl.Decision{}
	}
	d := ftl.Decision{
		About: aboutWorking, Condition: ftl.Failed, Since: ftl.At(f.Started),
		Message: fmt.Sprintf("%s (it was tried %s); ", f.Failed, tree.Times(f.Tries)),
		Hint:    tree.MendHint(f.To, s.seen.links),
	}
	switch {
	case s.seen.state.Hold != nil:
		d.Message += "sync does not try again while it is held"
	case s.wouldBe.isNew: // what is blessed anew is a new chance
		d.Message += "the next sync goes on with what was blessed since"
	case f.Tries > postJumpRetries:
		d.Message += "sync does not try again, and waits for you"
	default:
		d.Message += "the next sync tries again"
	}
	return s.printed(d, f.To, ftl.PostJump, ftl.Check)
}

// byHand is about a person who has chosen another revision here.
func (s situation) byHand() ftl.Decision {
	_, rejected := s.seen.state.Rejected[s.wouldBe.target]
	if !s.wouldBe.away || s.wouldBe.isNew || rejected || s.seen.state.Inconsistent != "" {
		return ftl.Decision{}
	}
	current, target := s.seen.links.Current, s.wouldBe.target.String()
	if current == (revision.Revision{}) {
		return ftl.Decision{
			About: aboutByHand, Condition: ftl.Behind, Hint: "to follow the master: ftl jump " + target,
			Message: "the link current is gone, and sync is done with what was blessed",
		}
	}
	return ftl.Decision{
		About: aboutByHand, Condition: ftl.Behind, Since: ftl.At(s.seen.flipped),
		Message: fmt.Sprintf("somebody jumped to %s on this host, at %s; that stands until a revision is blessed anew", current, ftl.Clock(s.seen.flipped)),
		Hint:    "to follow the master: ftl jump " + target + "; who it was: ftl log " + s.seen.name.String(),
	}
}

// active is about what is left when nothing else is in the way.
func (s situation) active() ftl.Decision {
	current, target := s.seen.links.Current, s.wouldBe.target
	switch {
	case current == (revision.Revision{}) && !s.wouldBe.away:
		return ftl.Decision{}
	case !s.wouldBe.away && s.seen.state.RunsOther(s.seen.marker, current) != nil:
		err := s.seen.state.RunsOther(s.seen.marker, current)
		return ftl.Decision{About: aboutActive, Condition: ftl.Failed, Since: s.seen.blessedAt(), Message: err.Error(), Hint: hintOf(err), Err: err}
	case !s.wouldBe.away:
		return ftl.Decision{About: aboutActive, Since: ftl.At(s.seen.flipped), Message: current.String() + " is active since " + ftl.Clock(s.seen.flipped) + with(s.seen.state.Ready[current].Params)}
	case !s.wouldBe.isNew || s.stopped():
		return ftl.Decision{}
	}
	d := ftl.Decision{
		About: aboutActive, Condition: ftl.Behind, Rank: ftl.Remainder, Since: s.seen.blessedAt(),
		Message: target.String() + " is not active yet; the next sync activates it",
		Hint:    s.syncCommand(),
	}
	if !s.wouldBe.newest.After(s.seen.state.Seen) { // a sync has read it and left it
		d.Hint += "; if that changes nothing, is FTL_DELAY set where sync runs?"
	}
	if line, tried := lastLine(s.seen.log, ftl.Jump, target); tried && line.State == ftl.Failure && line.Time.After(s.seen.blessedAt().Time) {
		d.Condition, d.Rank, d.Since = ftl.Failed, ftl.Cause, ftl.At(line.Time)
		d.Message = fmt.Sprintf("the last jump to it failed, at %s: %s", ftl.Clock(line.Time), line.Message)
	}
	return d
}

// lock is about another ftl that is at work, where something is left to do.
func (s situation) lock() ftl.Decision {
	told := s.found(aboutJump, ftl.Pending) || s.found(aboutFetched, ftl.Pending)
	who := cmp.Or(s.seen.changing, s.seen.syncing)
	if who == "" || told || !s.stopped() {
		return ftl.Decision{}
	}
	return ftl.Decision{About: aboutLock, Condition: ftl.Pending, Rank: ftl.Outage, Message: who}
}

// others is about revisions that are not blessed, of which sync tells too.
func (s situation) others() []ftl.Decision {
	var all []ftl.Decision
	for _, f := range s.seen.state.Failures {
		if f.ByHand && !s.wouldBe.away {
			d := ftl.Decision{About: aboutOther, Since: ftl.At(f.At), Message: f.SayByHand()}
			all = append(all, s.printed(d, f.Revision, f.Hook))
		} else if f.Revision != s.wouldBe.target && f.Hook != ftl.PreJump {
			d := ftl.Decision{About: aboutOther, Since: ftl.At(f.At), Message: s.retry(f) + "; it is not blessed"}
			all = append(all, s.printed(d, f.Revision, f.Hook))
		}
	}
	return all
}

// leftovers is about what can't be deleted, which keeps nothing else back.
func (s situation) leftovers() []ftl.Decision {
	var all []ftl.Decision
	for _, l := range s.seen.leftovers {
		message := l.String()
		if l.Hint != "" {
			message += "; " + l.Hint
		}
		all = append(all, ftl.Decision{About: aboutLeftover, Since: ftl.At(l.Since), Message: message})
	}
	return all
}

// printed adds to a decision what a hook that failed has printed last. Only the log has that; who
// may not read it is told how to.
func (s situation) printed(d ftl.Decision, r revision.Revision, names ...ftl.Step) ftl.Decision {
	if s.seen.logOwner != "" {
		read := "what the hook printed is for its owner to read: sudo -u " + s.seen.logOwner + " ftl why " + s.seen.name.String()
		d.Hint = strings.TrimPrefix(d.Hint+"\n"+read, "\n")
		return d
	}
	for _, line := range slices.Backward(s.seen.log) {
		if line.Revision == r && line.State == ftl.Failure && line.Reason != tree.ReasonByHand && slices.Contains(names, line.Name) {
			d.Output = line.Output
			break
		}
	}
	return d
}

// blessedAt is when the newest entry was written, zero where that is not known.
func (f facts) blessedAt() ftl.Time {
	active, blessed := f.marker.Active()
	switch {
	case !f.known() || !blessed:
		return ftl.Time{}
	case active.At.IsZero():
		return ftl.At(f.marker.Modified)
	}
	return ftl.At(active.At)
}

// report is about a fleet that is not told of this host, which keeps nothing back.
func (s situation) report() ftl.Decision {
	reported := s.seen.reported
	switch {
	case s.seen.unnamed != nil:
		return ftl.Decision{
			About: aboutReport, Message: "FTL_HOST_ID is auto, and this host has no name to report and to vote by: " + s.seen.unnamed.Error(),
			Hint: "set FTL_HOST_ID to the name that the policy gives this host: ftl help permissions",
		}
	case reported.Failed != "":
		return ftl.Decision{
			About: aboutReport, Message: "status --fleet does not see this host: " + reported.Failed,
			Hint: "it needs s3:PutObject on _ftl/hosts/; not to report at all: FTL_HEARTBEAT=0",
		}
	case reported.twin():
		return ftl.Decision{
			About: aboutReport, Message: "another machine reports by the same name, and this one takes no part in rollouts",
			Hint: "give each its own FTL_NODE, or FTL_HOST_ID",
		}
	}
	return ftl.Decision{}
}
