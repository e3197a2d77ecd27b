package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/probe"
	"github.com/rhettg/ftl/ftl/rollout"
)

// A deployment is an entry that is waited for.
type deployment struct {
	entry  catalog.Entry
	roster []rollout.Member // the hosts that are waited for
	// said is when hosts had reported, by their own clocks, before the entry was written: until
	// they report again, they have said nothing of it.
	said        map[string]time.Time
	wait        time.Duration
	healthcheck string
}

// clockError is how far the clocks of serve and of a host may be apart.
const clockError = time.Minute

// pauses are those between two looks at the bucket and between two tries of a probe, and how long a
// body may take.
type pauses struct{ first, most, probe, body time.Duration }

var usualPauses = pauses{200 * time.Millisecond, 5 * time.Second, probe.DefaultInterval, 10 * time.Second}

// A fate is what became of an entry on a host.
type fate int

const (
	undecided    fate = iota
	well              // it runs it
	unprepared        // it could not take it, and runs what it ran
	rolledBack        // it has left it again
	inconsistent      // neither works
)

// preparing are the steps that leave what runs untouched.
var preparing = map[ftl.Step]bool{ftl.Fetch: true, ftl.Unpack: true, ftl.Ready: true, ftl.PostSync: true, ftl.PreJump: true}

func (d *deployment) fateOn(h fleet.Host) fate {
	p, subscribed := h.Package(d.entry.Revision.Package())
	if said, known := d.said[h.Node.String()]; !subscribed || known && !h.Time.After(said) {
		return undecided
	}
	about := p.Serial == d.entry.Serial || p.Active == d.entry.Revision
	switch outcome := h.Outcome(d.entry); {
	case outcome == fleet.Runs:
		return well
	case p.Condition == ftl.Inconsistent && (outcome == fleet.FailedIt || about):
		return inconsistent
	case outcome == fleet.LeftIt:
		return rolledBack
	case outcome == fleet.FailedIt && p.Current == d.entry.Revision:
		return inconsistent // it is active there, and does not work
	case outcome == fleet.FailedIt:
		return unprepared
	case p.Condition == ftl.Failed && p.Current != d.entry.Revision && about && d.failedToPrepare(p):
		return unprepared
	}
	return undecided
}

// failedToPrepare reports whether a step has failed that comes before anything changes.
func (d *deployment) failedToPrepare(p catalog.PackageReport) bool {
	for _, step := range p.Steps {
		if preparing[step.Step] && step.State == ftl.Failure && d.isOf(step) {
			return true
		}
	}
	return false
}

// isOf reports whether a step belongs to the deployment.
func (d *deployment) isOf(step ftl.Event) bool {
	return step.Revision == d.entry.Revision && step.Time.After(d.entry.At.Add(-clockError))
}

// A progress is how far a deployment is.
type progress struct {
	fates  map[fate][]string // the hosts with each
	worst  map[fate]string   // what the first of them says
	steps  []hostStep
	halted string // why; "" where it is not
	done   bool   // also where some hosts say nothing
}

// progressOf says how far a deployment is by what hosts have reported, and by the count of votes,
// nil where the entry has no waves.
func (d *deployment) progressOf(hosts []fleet.Host, count *rollout.Count) progress {
	byNode := make(map[string]fleet.Host, len(hosts))
	for _, h := range hosts {
		byNode[h.Node.String()] = h
	}
	now := progress{fates: make(map[fate][]string), worst: make(map[fate]string)}
	for _, member := range d.roster {
		h, reported := byNode[member.Host]
		fate := undecided
		if reported {
			fate = d.fateOn(h)
		}
		name := member.Host
		if reported {
			name = h.Name()
		}
		p, _ := h.Package(d.entry.Revision.Package())
		if len(now.fates[fate]) == 0 {
			now.worst[fate] = name + ": " + fleet.Reason(p.Message)
		}
		now.fates[fate] = append(now.fates[fate], name)
		for _, step := range p.Steps {
			if d.isOf(step) {
				now.steps = append(now.steps, hostStep{name, step})
			}
		}
	}
	now.done = len(now.fates[undecided]) == 0
	if count != nil {
		if count.Halt != nil {
			now.halted = count.Halt.String()
		}
		now.done = now.done || now.halted != "" && d.heard(now, count) || count.Complete() && len(count.Undecided()) == 0
	}
	return now
}

// heard reports whether the hosts that halted a rollout have said why: a report follows a vote.
func (d *deployment) heard(now progress, count *rollout.Count) bool {
	told := len(now.fates[unprepared]) + len(now.fates[rolledBack]) + len(now.fates[inconsistent])
	return told > 0 || count.Halt.Operator || !count.Halt.Certain
}

// A verdict is what a deployment came to, as a status of the older service.
type verdict struct {
	status int
	err    string
}

// verdict is the worst of what became of the entry on the hosts.
func (now progress) verdict(d *deployment) verdict {
	r, runs := d.entry.Revision, len(now.fates[well])
	tell := func(status int, f fate, what string) verdict {
		return verdict{status, fmt.Sprintf("%s %s on %s; %s", r, what, rollout.List(now.fates[f]), now.worst[f])}
	}
	switch {
	case len(now.fates[inconsistent]) > 0:
		return tell(http.StatusInternalServerError, inconsistent, "does not work, nor does what was there before,")
	case len(now.fates[rolledBack]) > 0:
		return tell(http.StatusBadGateway, rolledBack, "was rolled back")
	case now.halted != "" && (len(now.fates[unprepared]) == 0 || runs > 0):
		return verdict{http.StatusBadGateway, fmt.Sprintf("the rollout of %s is halted: %s", r, now.halted)}
	case len(now.fates[unprepared]) > 0:
		return tell(http.StatusBadRequest, unprepared, "could not be prepared")
	}
	return verdict{status: http.StatusOK}
}

// tooLate is the verdict when the time is over.
func (now progress) tooLate(d *deployment) verdict {
	if v := now.verdict(d); v.status == http.StatusInternalServerError || v.status == http.StatusBadGateway {
		return v
	}
	return verdict{http.StatusGatewayTimeout, fmt.Sprintf("%s does not run after %v on %s; it goes on", d.entry.Revision, d.wait, rollout.List(now.fates[undecided]))}
}

// errSuperseded says that somebody has blessed since.
var errSuperseded = errors.New("somebody has blessed since")

// follow waits until it is clear what became of a deployment.
func (h *Hook) follow(ctx context.Context, d *deployment, lines *lines) verdict {
	began, next, last := time.Now(), h.pauses.first, progress{}
	for {
		left := d.wait - time.Since(began)
		now, err := h.look(ctx, d)
		switch {
		case ctx.Err() != nil:
			return verdict{http.StatusServiceUnavailable, "nobody waits any more; it goes on"}
		case errors.Is(err, errSuperseded):
			return verdict{http.StatusConflict, fmt.Sprintf("%s is superseded: %v", d.entry.Revision, err)}
		case err == nil:
			last = now
			lines.tell(now.steps)
			if now.done {
				return h.judged(ctx, d, now.verdict(d), left, lines)
			}
		}
		if left <= 0 {
			if err != nil {
				return verdict{http.StatusGatewayTimeout, fmt.Sprintf("the bucket can't be read: %v; it goes on", err)}
			}
			return last.tooLate(d)
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(next, max(left, time.Millisecond))):
		}
		next = min(2*next, h.pauses.most)
	}
}

// judged is a verdict, after the service was asked whether it is well, where that is wanted.
func (h *Hook) judged(ctx context.Context, d *deployment, v verdict, left time.Duration, lines *lines) verdict {
	if v.status != http.StatusOK {
		return v
	}
	lines.info("%s runs on %s", d.entry.Revision, hostCount(len(d.roster)))
	if d.healthcheck == "" {
		return v
	}
	if err := h.healthy(ctx, d.healthcheck, max(left, time.Second)); err != nil {
		return verdict{http.StatusInternalServerError, fmt.Sprintf("%s runs, and healthcheck_url says that it is not well: %v; nothing was rolled back", d.entry.Revision, err)}
	}
	lines.info("healthcheck_url answers well")
	return v
}

func hostCount(n int) string {
	if n == 1 {
		return "1 host"
	}
	return fmt.Sprintf("%d hosts", n)
}

// look reads how far a deployment is.
func (h *Hook) look(ctx context.Context, d *deployment) (progress, error) {
	pkg := d.entry.Revision.Package()
	marker, err := h.Bucket.Marker(ctx, pkg)
	if err != nil {
		return progress{}, err
	}
	if newest, _ := marker.Newest(); newest.Serial != d.entry.Serial {
		return progress{}, fmt.Errorf("%w: %s was %s%s", errSuperseded, newest.Revision, newest.Verb(), newest.Origin())
	}
	hosts, _, err := h.hosts(ctx)
	if err != nil {
		return progress{}, err
	}
	count, err := h.count(ctx, d.entry)
	if err != nil {
		return progress{}, err
	}
	return d.progressOf(hosts, count), nil
}

// count counts the votes for an entry, nil where it has no waves.
func (h *Hook) count(ctx context.Context, entry catalog.Entry) (*rollout.Count, error) {
	if entry.Rollout == nil {
		return nil, nil
	}
	votes, err := h.Bucket.Votes(ctx, entry.Revision.Package(), entry.Serial)
	if err != nil {
		return nil, err
	}
	return votes.Count(entry.Rollout), nil
}

// hosts returns what the hosts have reported.
func (h *Hook) hosts(ctx context.Context) ([]fleet.Host, time.Time, error) {
	if h.Hosts != nil {
		return h.Hosts(ctx)
	}
	h.reading.Lock() // a fleet is for one at a time
	defer h.reading.Unlock()
	return h.fleet.Read(ctx)
}
