package host

import (
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// What decisions are about, in their order.
const (
	aboutPackage     = "package"
	aboutPermissions = "permissions"
	aboutBucket      = "bucket"
	aboutTrust       = "trust"
	aboutBlessed     = "blessed"
	aboutSync        = "sync"
	aboutFetched     = "fetched"
	aboutHold        = "hold"
	aboutDelay       = "delay"
	aboutRollout     = "rollout"
	aboutRejected    = "rejected"
	aboutPreJump     = "pre-jump"
	aboutJump        = "jump"
	aboutWorking     = "working"
	aboutByHand      = "by hand"
	aboutActive      = "active"
	aboutLock        = "lock"
	aboutOther       = "other"
	aboutLeftover    = "leftover"
	aboutReport      = "report"
)

// situation is what a decision depends on: what is, and what a sync would make of it.
type situation struct {
	seen    facts
	wouldBe outlook
	streak  streak         // of syncs that failed, until now
	before  []ftl.Decision // that were made already
}

// outlook is what is to be done, once a sync has read the marker.
type outlook struct {
	state  tree.State        // with the marker's newest entry noted
	newest tree.Mark         // the entry to follow
	target revision.Revision // that it names
	older  bool              // somebody has put an older marker back
	isNew  bool              // the entry is not done with
	away   bool              // something is blessed, and another revision is current, or none
}

// decisions are in the order in which sync comes to them. Each is a function of the situation
// alone; a Decision that is about nothing does not apply.
var decisions = []func(situation) ftl.Decision{
	situation.permissions,
	situation.bucket,
	situation.trust,
	situation.blessed,
	situation.synced,
	situation.fetched,
	situation.hold,
	situation.delayed,
	situation.rollout,
	situation.rejected,
	situation.preJump,
	situation.jump,
	situation.working,
	situation.byHand,
	situation.active,
	situation.lock,
	situation.report,
}

// explain returns the decisions that say whether this host runs what is blessed. Those that don't
// apply are left out.
func explain(seen facts) []ftl.Decision {
	s := situation{seen: seen, wouldBe: seen.outlook(), streak: streakOf(seen.log, seen.lastLook)}
	if seen.broken != nil {
		s.add(s.broken())
		return s.before
	}
	if seen.retired() {
		s.add(s.permissions())
		s.add(s.bucket())
		s.add(s.retirement())
		return s.before
	}
	for _, decide := range decisions {
		s.add(decide(s))
	}
	for _, d := range append(s.others(), s.leftovers()...) {
		s.add(d)
	}
	return s.before
}

func (s *situation) add(d ftl.Decision) {
	if d.About == "" {
		return
	}
	if d.Condition == "" {
		d.Condition = ftl.OK
	}
	d.Package = s.seen.name
	s.before = append(s.before, d)
}

// stopped reports whether something was found that holds the package back.
func (s situation) stopped() bool {
	for _, d := range s.before {
		if d.Condition != ftl.OK {
			return true
		}
	}
	return false
}

// found reports whether there is such a decision.
func (s situation) found(about string, condition ftl.Condition) bool {
	for _, d := range s.before {
		if d.About == about && d.Condition == condition {
			return true
		}
	}
	return false
}

// streak is a row of syncs that came to nothing; the zero value is none.
type streak struct {
	since   time.Time
	message string // of the last one
}

func (s streak) fails() bool { return !s.since.IsZero() }

// streakOf returns the syncs that failed since the last one that could read the bucket.
func streakOf(log []tree.LogLine, lastLook time.Time) streak {
	var s streak
	for _, line := range log {
		if line.Name != ftl.Sync || !line.Time.After(lastLook) {
			continue
		}
		if s.since.IsZero() {
			s.since = line.Time
		}
		s.message = line.Message
	}
	return s
}

// outlook says what a sync would find.
func (f facts) outlook() outlook {
	o := outlook{state: f.state}
	o.newest, o.older = f.newest()
	o.target = o.newest.Revision
	o.state.Look(o.newest)
	if entry, blessed := f.marker.Newest(); blessed && tree.MarkOf(entry) == o.newest {
		o.state.Renew(entry)
	}
	o.isNew = o.newest.After(o.state.Acted)
	o.away = o.newest != (tree.Mark{}) && f.links.Current != o.target
	return o
}

// newest returns the entry that the host should follow, as far as is known, and whether somebody
// has put an older marker back.
func (f facts) newest() (newest tree.Mark, older bool) {
	active, blessed := f.marker.Active()
	if !f.known() || !blessed || f.state.Seen.After(tree.MarkOf(active)) {
		return f.state.Seen, blessed && f.state.Seen.After(tree.MarkOf(active))
	}
	return tree.MarkOf(active), false
}
