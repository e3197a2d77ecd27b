package host

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// What decisions are about, in their order.
const (
	aboutPackage  = "package"
	aboutBucket   = "bucket"
	aboutBlessed  = "blessed"
	aboutSync     = "sync"
	aboutByHand   = "by hand"
	aboutFetched  = "fetched"
	aboutHold     = "hold"
	aboutDelay    = "delay"
	aboutRejected = "rejected"
	aboutPreJump  = "pre-jump"
	aboutJump     = "jump"
	aboutWorking  = "working"
	aboutActive   = "active"
	aboutLock     = "lock"
	aboutOther    = "other"
)

// explainer goes through the decisions.
type explainer struct {
	facts
	st      state             // as it would be when a sync had looked
	newest  mark              // the entry to follow
	target  revision.Revision // that it names
	blessed time.Time
	isNew   bool    // the entry is not done with
	away    bool    // something is blessed, and another revision is current, or none
	failing logLine // of the first sync since the last good one that came to nothing
	told    bool    // who is at work
	made    []Decision
}

// explain returns the decisions, in the order in which sync comes to them, that
// say whether this host runs what is blessed. Those that don't apply are left
// out.
func explain(f facts) []Decision {
	e := &explainer{facts: f, st: f.state}
	if f.broken != nil {
		e.add(Decision{About: aboutPackage, Condition: Failed, Message: f.broken.Error(), Hint: hintOf(f.broken), Err: f.broken})
		return e.made
	}
	newest, older := f.newest()
	e.newest, e.target = newest, newest.Revision
	e.st.look(newest)
	e.isNew = newest.after(e.st.Acted)
	e.away = newest != (mark{}) && f.links.current != e.target

	for _, line := range slices.Backward(f.log) {
		if line.Name == stepSync && line.Time.After(f.lastLook) {
			e.failing = line
		}
	}

	e.bucket()
	e.marked(older)
	e.synced()
	e.byHand()
	e.fetched()
	e.hold()
	e.delayed()
	e.rejected()
	e.preJump()
	e.jump()
	e.working()
	e.active()
	e.lock()
	e.others()
	return e.made
}

func (e *explainer) add(d Decision) {
	if d.Condition == "" {
		d.Condition = OK
	}
	e.made = append(e.made, d)
}

// stopped reports whether something was found that holds the package back.
func (e *explainer) stopped() bool {
	for _, d := range e.made {
		if d.Condition != OK {
			return true
		}
	}
	return false
}

func (e *explainer) bucket() {
	switch {
	case !e.asked:
		e.add(Decision{About: aboutBucket, Message: "FTL_BUCKET is not set, so what follows is what the last sync saw"})
	case e.bucketErr != nil:
		e.add(Decision{
			About: aboutBucket, Condition: Failed, Since: e.failing.Time, Err: e.bucketErr, Hint: hintOf(e.bucketErr),
			Message: fmt.Sprintf("the bucket can't be read: %v; what follows is what the last sync saw", e.bucketErr),
		})
	default:
		e.add(Decision{About: aboutBucket, Message: "the bucket answers"})
	}
}

// marked is about what the marker says.
func (e *explainer) marked(older bool) {
	known := e.asked && e.bucketErr == nil
	active, blessed := e.marker.Active()
	if known && blessed {
		e.blessed = active.At
		if e.blessed.IsZero() {
			e.blessed = e.marker.Modified
		}
	}
	switch {
	case known && !blessed && e.state.Seen != (mark{}):
		e.add(Decision{
			About: aboutBlessed, Condition: Failed, Since: e.failing.Time, Message: "the marker is gone from the bucket; this host keeps what it has",
			Hint: "bless the revision again: ftl jump --master " + e.target.String(),
		})
	case older:
		e.add(Decision{
			About: aboutBlessed, Condition: Behind, Since: e.blessed,
			Message: fmt.Sprintf("the marker names %s, and is older than the one that blessed %s: somebody has put it back", active.Revision, e.target),
			Hint:    "bless the one that is wanted: ftl jump --master --again REVISION",
		})
	case e.newest == (mark{}) && e.links.current == (revision.Revision{}):
		e.add(Decision{
			About: aboutBlessed, Condition: Pending, Message: "no revision of " + e.name.String() + " was blessed yet: there is no marker",
			Hint: "ftl list --master " + e.name.String() + ", then: ftl jump --master REVISION",
		})
	case e.newest == (mark{}):
		e.add(Decision{About: aboutBlessed, Message: "nothing was blessed yet, and " + e.links.current.String() + " was activated by hand"})
	case known:
		e.add(Decision{About: aboutBlessed, Since: e.blessed, Message: blessing(active)})
	default:
		e.add(Decision{About: aboutBlessed, Message: e.target.String() + " is blessed"})
	}
}

// blessing says what was blessed, by whom, when, and why.
func blessing(entry master.Entry) string {
	text := entry.Revision.String() + " is blessed"
	if entry.By != "" {
		text += ", by " + entry.By
	}
	if !entry.At.IsZero() {
		text += " at " + clock(entry.At)
	}
	if entry.Kind == master.KindJumpBack {
		text += ", as the way back"
	}
	if entry.Note != "" {
		text += ": " + entry.Note
	}
	return text
}

// synced is about whether a sync has seen that.
func (e *explainer) synced() {
	waiting := e.away || e.newest == (mark{}) && e.links.current == (revision.Revision{})
	hint := "ftl sync " + e.name.String() + " does it now; for the next time, are cron or the timer at work?"
	switch {
	case !e.failing.Time.IsZero():
		d := Decision{
			About: aboutSync, Since: e.failing.Time, Hint: hintOf(e.bucketErr),
			Message: fmt.Sprintf("sync fails since %s: %s", clock(e.failing.Time), e.failing.Message),
		}
		if waiting && e.manifest == nil { // which says it better
			d.Condition = Failed
		}
		e.add(d)
	case e.lastLook.IsZero() && !e.state.Looked && waiting:
		e.add(Decision{About: aboutSync, Condition: Behind, Since: e.blessed, Message: "no sync has run on this host yet", Hint: hint})
	case e.lastLook.IsZero():
	case e.newest.after(e.state.Seen) && e.away:
		e.add(Decision{
			About: aboutSync, Condition: Behind, Since: e.blessed, Hint: hint,
			Message: "no sync has run since that was blessed: the last one was at " + clock(e.lastLook),
		})
	default:
		e.add(Decision{About: aboutSync, Since: e.lastLook, Message: "the last sync was at " + clock(e.lastLook)})
	}
}

// byHand is about a person who has chosen another revision here.
func (e *explainer) byHand() {
	_, rejected := e.st.Rejected[e.target]
	if !e.away || e.isNew || rejected || e.st.Inconsistent != "" {
		return
	}
	d := Decision{
		About: aboutByHand, Condition: Behind, Since: e.flipped,
		Message: fmt.Sprintf("somebody jumped to %s on this host, at %s; that stands until a revision is blessed anew", e.links.current, clock(e.flipped)),
		Hint:    "to follow the master: ftl jump " + e.target.String() + "; who it was: ftl log " + e.name.String(),
	}
	if e.links.current == (revision.Revision{}) {
		d.Since, d.Message = time.Time{}, "the link current is gone, and sync is done with what was blessed"
	}
	e.add(d)
}

// fetched is about whether the revision can be jumped to.
func (e *explainer) fetched() {
	if !e.away || !e.isNew {
		return
	}
	failure := cmp.Or(e.st.failure(e.target, hooks.PostSync), e.st.failure(e.target, hooks.Name(ftl.Fetch)))
	line, tried := lastLine(e.log, ftl.Fetch, e.target)
	d := Decision{About: aboutFetched, Since: e.blessed}
	switch {
	case e.st.isReady(e.target) && e.here:
		d.Since = e.st.Ready[e.target].Since
		d.Message = e.target.String() + " is ready"
		if !d.Since.IsZero() {
			d.Message += " since " + clock(d.Since)
		}
	case e.manifest != nil:
		d.Condition, d.Message, d.Hint = Failed, e.manifest.Error(), "bless one that is there; ftl list --master "+e.name.String()+" shows them"
	case e.syncing != "":
		d.Condition, d.Message = Pending, e.target.String()+" is being fetched: "+e.syncing
		e.told = true
	case failure != nil:
		d.Condition, d.Since, d.Message, d.Output = Failed, failure.At, e.retry(*failure), failure.Output
		d.Hint = "to try at once: ftl jump " + e.target.String()
	case tried && line.State == ftl.Failure:
		d.Condition, d.Since = Failed, line.Time
		d.Message = fmt.Sprintf("%s could not be fetched, at %s: %s", e.target, clock(line.Time), line.Message)
		d.Hint = "each sync tries again; what to do is said by: ftl sync " + e.name.String()
	default:
		d.Condition, d.Message = Behind, e.target.String()+" is not fetched yet"
		d.Hint = "ftl sync " + e.name.String()
	}
	e.add(d)
}

// retry says how often a hook has failed, and when it is tried again.
func (e *explainer) retry(f failure) string {
	text := fmt.Sprintf("%s (%s, last at %s); ", f.Message, times(f.Count), clock(f.At))
	if f.Seen != e.newest { // a new entry is a reason to try at once
		return text + "the next sync tries again"
	}
	return text + "the next try is at " + clock(f.Next)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (e *explainer) hold() {
	if e.st.Hold == nil {
		return
	}
	d := Decision{About: aboutHold, Since: e.st.Hold.At, Message: e.st.Hold.String(), Hint: "ftl unhold " + e.name.String()}
	if e.away && e.isNew || e.st.Jump.failed() {
		d.Condition = Held
	} else {
		d.Message += " (which keeps nothing back now)"
	}
	e.add(d)
}

func (e *explainer) delayed() {
	if e.delay == 0 || !e.away || !e.isNew || !e.asked || e.bucketErr != nil {
		return
	}
	until, wait := delayedUntil(e.marker, e.delay, e.links.current != (revision.Revision{}))
	if wait {
		e.add(Decision{
			About: aboutDelay, Condition: Pending, Since: e.blessed, Message: fmt.Sprintf("delayed until %s, by FTL_DELAY=%v", clock(until), e.delay),
			Hint: "to go at once: ftl jump " + e.target.String(),
		})
	}
}

func (e *explainer) rejected() {
	why, rejected := e.st.Rejected[e.target]
	switch {
	case e.st.Inconsistent != "":
		e.add(Decision{
			About: aboutRejected, Condition: Inconsistent, Since: why.At, Message: e.st.Inconsistent, Output: why.Output,
			Hint: "mend it, then: ftl jump " + e.name.String() + ".ID",
		})
	case rejected && e.away && !e.isNew:
		e.add(Decision{
			About: aboutRejected, Condition: Rejected, Since: why.At, Output: why.Output,
			Message: fmt.Sprintf("%s was tried at %s and left again: %s", e.target, clock(why.At), why.Reason),
			Hint:    "sync does not take it again until it is blessed anew; to try it by hand: ftl jump " + e.target.String(),
		})
	}
}

// preJump is about a pre-jump that has failed, or said "not now".
func (e *explainer) preJump() {
	if !e.away || !e.isNew {
		return
	}
	failure := e.st.failure(e.target, hooks.PreJump)
	deferred := e.st.Deferred == e.newest
	switch {
	case failure != nil && !(deferred && e.st.waiting(e.target, hooks.PreJump, e.now) == nil):
		e.add(Decision{
			About: aboutPreJump, Condition: Failed, Since: failure.At, Message: e.retry(*failure), Output: failure.Output,
			Hint: "to try at once: ftl jump " + e.target.String(),
		})
	case deferred:
		e.add(Decision{
			About: aboutPreJump, Condition: Pending, Since: e.blessed, Output: e.deferred,
			Message: fmt.Sprintf("pre-jump of %s says not now (it exited with %d); each sync asks again", e.target, hooks.NotNow),
		})
	}
}

// jump is about one that is going on, or was interrupted.
func (e *explainer) jump() {
	f := e.st.Jump
	if f == nil || f.failed() && e.changing == "" {
		return
	}
	d := Decision{About: aboutJump, Condition: Pending, Since: f.Started}
	switch {
	case e.changing != "":
		d.Message = fmt.Sprintf("a jump to %s is in %s: %s", f.To, f.Phase, e.changing)
		e.told = true
		d.Hint = "if it is stuck there: ftl jump-back --interrupt " + e.name.String()
	case e.outlived != "":
		d.Message = fmt.Sprintf("the jump to %s was interrupted in %s, and %s still runs; the next sync waits for it", f.To, f.Phase, e.outlived)
	default:
		d.Message = fmt.Sprintf("the jump to %s was interrupted in %s, at %s or later; the next sync takes it up", f.To, f.Phase, clock(f.Started))
		d.Hint = "ftl sync " + e.name.String()
	}
	e.add(d)
}

// working is about a post-jump or a check that has failed where there was no
// way back.
func (e *explainer) working() {
	f := e.st.Jump
	if !f.failed() || e.changing != "" {
		return
	}
	d := Decision{
		About: aboutWorking, Condition: Failed, Since: f.Started, Output: f.Output,
		Message: fmt.Sprintf("%s (it was tried %s); ", f.Failed, times(f.Tries)),
		Hint:    "mend it, then: ftl jump " + f.To.String() + "; or go back: ftl jump-back " + e.name.String(),
	}
	switch {
	case e.st.Hold != nil:
		d.Message += "sync does not try again while it is held"
	case e.isNew: // what is blessed anew is a new chance
		d.Message += "the next sync goes on with what was blessed since"
	case f.Tries > postJumpRetries:
		d.Message += "sync does not try again, and waits for you"
	default:
		d.Message += "the next sync tries again"
	}
	e.add(d)
}

// active is about what is left when nothing else is in the way.
func (e *explainer) active() {
	switch {
	case e.links.current == (revision.Revision{}) && !e.away:
	case !e.away:
		e.add(Decision{About: aboutActive, Since: e.flipped, Message: e.links.current.String() + " is active since " + clock(e.flipped)})
	case !e.isNew || e.stopped():
	default:
		d := Decision{
			About: aboutActive, Condition: Behind, Since: e.blessed, Message: e.target.String() + " is not active yet; the next sync activates it",
			Hint: "ftl sync " + e.name.String(),
		}
		if !e.newest.after(e.state.Seen) { // a sync has seen it and left it
			d.Hint += "; if that changes nothing, is FTL_DELAY set where sync runs?"
		}
		if line, tried := lastLine(e.log, stepJump, e.target); tried && line.State == ftl.Failure && line.Time.After(e.blessed) {
			d.Condition, d.Since, d.Message = Failed, line.Time, fmt.Sprintf("the last jump to it failed, at %s: %s", clock(line.Time), line.Message)
		}
		e.add(d)
	}
}

// lock is about another ftl that is at work, where something is left to do.
func (e *explainer) lock() {
	if who := cmp.Or(e.changing, e.syncing); who != "" && e.stopped() && !e.told {
		e.add(Decision{About: aboutLock, Condition: Pending, Message: who})
	}
}

// others is about revisions that are not blessed, of which sync tells too.
func (e *explainer) others() {
	for _, f := range e.st.Failures {
		if f.Revision != e.target && f.Hook != hooks.PreJump {
			e.add(Decision{About: aboutOther, Since: f.At, Message: e.retry(f) + "; it is not blessed", Output: f.Output})
		}
	}
}
