package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Count is what the votes say of a rollout at a moment.
type Count struct {
	Plan    *Plan
	At      time.Time
	Waves   []WaveCount
	Settled time.Time // when the last wave had enough hosts that are well; zero while it has not
	Halt    *Halt     // nil: not halted

	early map[int][]time.Time // when hosts that were in no working order went before their wave opened
}

// WaveCount is what the votes say of a wave.
//
// A host that has joined an earlier wave, in the place of one that did not show up, helps there and
// in the wave of its own place: otherwise that one could lack it for ever.
type WaveCount struct {
	Opened    time.Time // zero while it is shut
	Well      []Vote    // in the order of time
	Undecided []Vote    // hosts that have begun, or run it and are not well yet
	Failures  []Failure
}

// Failure is a host that counts against the revision.
type Failure struct {
	Vote
	Why   Why
	Since time.Time // it counts
	Half  bool      // it counts half, as a host that was taken out of service looks the same
}

// Why says how a host failed.
type Why string

// How hosts fail.
const (
	FailedThere Why = "bad"  // it says so
	Gone        Why = "gone" // it has begun, and was not heard from since
	Lost        Why = "lost" // it ran the revision, and was not heard from since
)

// Halt says what stopped a rollout.
type Halt struct {
	At       time.Time
	Operator bool // a person did
	Wave     int  // in which, with those before it, too many hosts failed
	Failures []Failure
	// Certain is set when those who say that they failed are enough, without the hosts that were
	// not heard from.
	Certain bool
}

// Count counts votes, which may be in any order and may hold several of a host, the newest of which
// counts. Votes that are not of this plan's waves are left out.
func (p *Plan) Count(votes []Vote, now time.Time) *Count {
	c := &Count{Plan: p, At: now, Waves: make([]WaveCount, len(p.Waves)), early: make(map[int][]time.Time)}
	byWave, operator := p.newest(votes, now)
	opened := p.Opened
	for k := range p.Waves {
		c.Waves[k].Opened = opened
		for _, v := range byWave[k] {
			c.add(k, v)
		}
		slices.SortFunc(c.Waves[k].Well, inTime)
		opened = c.next(k)
	}
	if !opened.IsZero() && !p.Limited && p.Waves[p.last()].Need > 0 {
		c.Settled = opened
	}
	c.Halt = c.halted(operator)
	return c
}

// newest returns the newest vote of each host by the wave that it names, in the order of time, and
// when a person halted the rollout.
func (p *Plan) newest(votes []Vote, now time.Time) (byWave [][]Vote, operator time.Time) {
	newest := make(map[string]Vote)
	for _, v := range votes {
		if v.At.After(now) || v.Wave < 0 || v.Wave >= len(p.Waves) {
			continue
		}
		if v.Host == Operator {
			if v.Kind == Bad && (operator.IsZero() || v.At.Before(operator)) {
				operator = v.At
			}
			continue
		}
		if old, voted := newest[v.Host]; !voted || v.replaces(old) {
			newest[v.Host] = v
		}
	}
	byWave = make([][]Vote, len(p.Waves))
	for _, v := range newest {
		byWave[v.Wave] = append(byWave[v.Wave], v)
	}
	for _, wave := range byWave {
		slices.SortFunc(wave, inTime)
	}
	return byWave, operator
}

// LastWords returns the vote of each host that counts: its newest.
func LastWords(votes []Vote) map[string]Vote {
	last := make(map[string]Vote)
	for _, v := range votes {
		if old, voted := last[v.Host]; !voted || v.replaces(old) {
			last[v.Host] = v
		}
	}
	return last
}

// Complete reports whether every wave has as many hosts that are well as it needs, also where the
// waves end before they have reached all hosts.
func (c *Count) Complete() bool {
	last := c.Plan.last()
	return !c.next(last).IsZero()
}

// Undecided returns the hosts that have begun, or run the revision and are not well yet.
func (c *Count) Undecided() []string {
	var names []string
	for _, w := range c.Waves {
		for _, v := range w.Undecided {
			if !slices.Contains(names, v.Host) {
				names = append(names, v.Host)
			}
		}
	}
	return names
}

// Failures returns the hosts that count against the revision, in all waves, the first one first.
func (c *Count) Failures() []Failure {
	var all []Failure
	for _, w := range c.Waves {
		all = append(all, w.Failures...)
	}
	slices.SortStableFunc(all, func(a, b Failure) int { return a.Since.Compare(b.Since) })
	return all
}

func inTime(a, b Vote) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Host, b.Host)) }

// add counts a vote that names a wave. One of a host that had no place in the wave then helps
// nothing, and still counts against the revision, in the wave where the host belongs.
func (c *Count) add(k int, v Vote) {
	p := c.Plan
	place := p.place(v.Host)
	allowed := place <= p.widened(k, c.Waves[k].Opened, v.At)
	if named := p.Waves[k].Hosts; len(named) > 0 {
		allowed = slices.Contains(named, v.Host)
	}
	own, _ := p.wave(place)
	where := k
	if !allowed {
		where = max(own, k)
	}
	if v.Kind != Out && c.Waves[k].Opened.IsZero() {
		c.early[k] = append(c.early[k], v.At)
	}
	if failure, failed := p.failure(where, v, c.At); failed {
		c.Waves[where].Failures = append(c.Waves[where].Failures, failure)
		return
	}
	if !allowed || v.Kind == Out {
		return
	}
	c.Waves[k].help(v)
	if own > k {
		c.Waves[own].help(v)
	}
}

// help adds a host that has not failed.
func (w *WaveCount) help(v Vote) {
	if v.Kind == Well {
		w.Well = append(w.Well, v)
	} else {
		w.Undecided = append(w.Undecided, v)
	}
}

// failure judges a vote. A host from which nothing was heard for too long failed, too: silence is
// not health.
func (p *Plan) failure(wave int, v Vote, now time.Time) (Failure, bool) {
	f := Failure{Vote: v, Since: v.At}
	switch v.Kind {
	case Bad:
		f.Why = FailedThere
		return f, true
	case Try:
		f.Why, f.Since = Gone, v.At.Add(p.Verdict)
	case OK:
		f.Why, f.Since, f.Half = Lost, v.At.Add(p.Waves[v.Wave].Soak+p.Verdict), wave > 0
	default:
		return f, false
	}
	return f, now.After(f.Since)
}

// next returns when the wave after k opens, or the last one is done: zero while it does not.
func (c *Count) next(k int) time.Time {
	wave, need := c.Waves[k], c.Plan.Waves[k].Need
	if wave.Opened.IsZero() || len(wave.Well) < need {
		return time.Time{}
	}
	if need == 0 || !wave.Well[need-1].At.After(wave.Opened) {
		return wave.Opened
	}
	return wave.Well[need-1].At
}

// halted finds the first moment at which too many hosts had failed. What happens after a rollout
// was settled does not halt it any more.
func (c *Count) halted(operator time.Time) *Halt {
	var halt *Halt
	if !operator.IsZero() && (c.Settled.IsZero() || operator.Before(c.Settled)) {
		halt = &Halt{At: operator, Operator: true, Certain: true}
	}
	var failures []Failure
	for k, w := range c.Plan.Waves {
		failures = append(failures, c.Waves[k].Failures...)
		slices.SortStableFunc(failures, func(a, b Failure) int { return a.Since.Compare(b.Since) })
		at, tooMany := c.exceeds(failures, w.Halt, func(Failure) bool { return true })
		if tooMany && (halt == nil || at.Before(halt.At)) {
			_, certain := c.exceeds(failures, w.Halt, func(f Failure) bool { return f.Why == FailedThere })
			halt = &Halt{At: at, Wave: k, Failures: slices.Clone(failures), Certain: certain || halt != nil && halt.Operator}
		}
	}
	return halt
}

// exceeds returns when the failures that count, which are in the order of time, came to a limit.
func (c *Count) exceeds(failures []Failure, limit int, counts func(Failure) bool) (time.Time, bool) {
	halves := 0
	for _, f := range failures {
		if limit == 0 || !c.Settled.IsZero() && f.Since.After(c.Settled) {
			break
		}
		if !counts(f) {
			continue
		}
		halves += 2
		if f.Half {
			halves--
		}
		if halves >= 2*limit {
			return f.Since, true
		}
	}
	return time.Time{}, false
}

// Done returns the first wave that is not done, and the last one where all are.
func (c *Count) Done() int {
	for k := range c.Waves {
		if k < c.Plan.last() && c.Waves[k+1].Opened.IsZero() {
			return k
		}
	}
	return c.Plan.last()
}

// String says what halted the rollout, and the hosts by which it was.
func (h *Halt) String() string {
	if h.Operator {
		return "somebody halted it"
	}
	var parts []string
	for _, how := range []struct {
		why  Why
		text string
	}{
		{FailedThere, "failed on"}, {Gone, "began and was not heard from again on"}, {Lost, "ran and was not heard from again on"},
	} {
		var names []string
		for _, f := range h.Failures {
			if f.Why == how.why {
				names = append(names, f.Host)
			}
		}
		if len(names) > 0 {
			parts = append(parts, how.text+" "+List(names))
		}
	}
	return "it " + strings.Join(parts, ", and ")
}

// List joins names, of which it shows the first few.
func List(names []string) string {
	const shown = 5
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
