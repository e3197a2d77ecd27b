package main

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// A simulation runs the decision that hosts make, over the bucket that they make it from, with a clock that jumps from
// one event to the next. What a host does is as package host does it; how long hooks take, and what becomes of the
// revision, is up to the scenario.
type simulation struct {
	scenario
	random  *rand.Rand
	now     time.Time
	queue   queue
	bucket  *memory
	catalog *catalog.Catalog
	plan    *rollout.Plan
	serial  int64
	hosts   []*host

	counted        *rollout.Count // of the present second
	countedAt      time.Time
	countedVersion int
	reached        int // the last wave that was ever open

	seen seen
}

// scenario says what happens to a fleet.
type scenario struct {
	Seed    uint64
	Hosts   int
	Waves   string
	Every   time.Duration // between two syncs of a host
	Hook    time.Duration // how long the hooks of a jump take, at most
	Fate    fate
	Part    float64       // of the hosts that a fate meets; 0 is all
	Dead    float64       // part of the hosts that are off, though they have reported lately
	Churn   float64       // part of the hosts that leave within an hour, and are replaced by new ones
	Failing float64       // part of the listings that fail
	Liars   int           // hosts that vote that all is well, in every wave
	Newer   time.Duration // after which another revision is blessed, without waves; 0 is never
	Long    time.Duration
}

// fate is what becomes of the revision on a host.
type fate string

const (
	good       fate = "good"
	failsCheck fate = "fails its check"
	kills      fate = "kills the host at the flip"
	killsLater fate = "kills the host 5 minutes after its ok"
	failsLate  fate = "fails its check after 40 minutes"
)

// What is later than the flip.
const (
	killedAfter = 5 * time.Minute
	failedAfter = 40 * time.Minute
)

// seen is what the simulation saw.
type seen struct {
	Ran               int           // hosts that ever ran the revision
	RanAtHalt         int           // when the first host could know that it was halted
	Halted            time.Duration // since the blessing; 0 is never
	Finished          time.Duration // when 95 % of the hosts that live ran it; 0 is never
	Settled           bool
	Violations        []string // of the properties
	Gets, Lists, Puts int
}

// host is one of the hosts.
type host struct {
	name  string
	dead  bool
	met   bool // by the fate
	liar  bool
	empty bool // nothing is active

	runs     bool // the revision
	newer    bool // it runs the newer revision
	joined   int  // wave, from 1
	flipped  time.Time
	verdict  rollout.Kind // its last vote
	rejected bool
	sawHalt  bool
	busy     bool // in a jump
}

var (
	begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	rev   = mustParse("my_site.2026112145296Wq")
)

func mustParse(name string) revision.Revision {
	r, err := revision.Parse(name)
	if err != nil {
		panic(err)
	}
	return r
}

// event is something that happens at a time.
type event struct {
	at   time.Time
	turn int // of those at the same time, the one that was planned first
	do   func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(q[i].at.Compare(q[j].at), cmp.Compare(q[i].turn, q[j].turn)) < 0
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(e any)   { *q = append(*q, e.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (s *simulation) after(wait time.Duration, do func()) {
	heap.Push(&s.queue, event{s.now.Add(wait), s.bucket.version + len(s.queue), do})
}

// simulate runs a scenario to its end.
func simulate(sc scenario) (seen, error) { return simulateBroken(sc, func(*simulation) {}) }

// simulateBroken does so after something of the plan was broken.
func simulateBroken(sc scenario, damage func(*simulation)) (seen, error) {
	s := &simulation{scenario: sc, random: rand.New(rand.NewPCG(sc.Seed, 1)), now: begin, serial: 7}
	s.bucket = &memory{now: func() time.Time { return s.now }, random: s.random, failing: sc.Failing, objects: make(map[string]object)}
	s.catalog = &catalog.Catalog{Bucket: s.bucket}
	if err := s.bless(); err != nil {
		return seen{}, err
	}
	damage(s)
	for _, h := range s.hosts {
		s.after(s.part(s.Every), func() { s.sync(h) })
	}
	if s.Churn > 0 {
		s.after(s.untilChurn(), s.churn)
	}
	for len(s.queue) > 0 {
		next := heap.Pop(&s.queue).(event)
		if s.now = next.at; s.now.Sub(begin) > s.Long {
			break
		}
		next.do()
	}
	s.seen.Gets, s.seen.Lists, s.seen.Puts = s.bucket.gets, s.bucket.lists, s.bucket.puts
	s.bucket.failing, s.counted = 0, nil
	s.count()
	return s.seen, nil
}

// bless makes the hosts, and computes the plan of the entry from what they report.
func (s *simulation) bless() error {
	var members []rollout.Member
	for i := range s.Hosts {
		h := s.newHost(fmt.Sprintf("web-%d", i))
		h.dead = s.random.Float64() < s.Dead
		h.liar = i < s.Liars
		members = append(members, rollout.Member{Host: h.name, Every: s.Every, Hook: s.Hook, Checks: time.Minute})
	}
	steps, err := rollout.ParseSteps(s.Waves)
	if err != nil {
		return err
	}
	plan, err := rollout.New(rev, begin, members, rollout.Options{Waves: steps})
	if err != nil {
		return err
	}
	if s.plan, err = rollout.Parse(plan.String()); err != nil { // as hosts read it
		return err
	}
	s.plan.Revision, s.plan.Opened = rev, begin
	return nil
}

func (s *simulation) newHost(name string) *host {
	h := &host{name: name, met: s.Fate != good && (s.Part == 0 || s.random.Float64() < s.Part)}
	s.hosts = append(s.hosts, h)
	return h
}

// part returns a random part of a time.
func (s *simulation) part(of time.Duration) time.Duration {
	return time.Duration(s.random.Float64() * float64(of))
}

func (s *simulation) untilChurn() time.Duration {
	perHour := s.Churn * float64(s.Hosts)
	return time.Duration(s.random.ExpFloat64() / perHour * float64(time.Hour))
}

// churn takes a host out of service, and brings a new one.
func (s *simulation) churn() {
	s.hosts[s.random.IntN(len(s.hosts))].dead = true
	h := s.newHost(fmt.Sprintf("new-%d", len(s.hosts)))
	h.empty = true
	s.after(s.part(s.Every), func() { s.sync(h) })
	s.after(s.untilChurn(), s.churn)
}

// sync is one of a host, and plans the next one.
func (s *simulation) sync(h *host) {
	if h.dead {
		return
	}
	s.after(s.Every, func() { s.sync(h) })
	s.bucket.gets++ // the marker
	switch {
	case h.busy:
	case s.Newer > 0 && s.now.Sub(begin) >= s.Newer:
		h.newer, h.runs, h.empty = true, false, false
	case h.runs:
		s.stayWell(h)
	case !h.rejected:
		s.follow(h)
	}
}

// count returns what the votes say, and false where they could not be listed.
func (s *simulation) count() (*rollout.Count, bool) {
	if s.counted != nil && s.now.Sub(s.countedAt) < time.Second && s.countedVersion == s.bucket.version {
		s.bucket.lists++
		return s.counted, s.random.Float64() >= s.Failing
	}
	votes, err := s.catalog.Votes(context.Background(), rev.Package(), s.serial)
	if err != nil {
		return nil, false
	}
	s.counted, s.countedAt, s.countedVersion = s.plan.Count(votes.Votes, s.now), s.now, s.bucket.version
	s.watch(s.counted)
	return s.counted, true
}

// watch notes what the votes say for the first time.
func (s *simulation) watch(c *rollout.Count) {
	for k := range c.Waves {
		if !c.Waves[k].Opened.IsZero() {
			s.reached = max(s.reached, k)
		}
	}
	if c.Halt != nil && s.seen.Halted == 0 {
		s.seen.Halted, s.seen.RanAtHalt = s.now.Sub(begin), s.seen.Ran
		if len(c.Halt.Failures) == 0 && !c.Halt.Operator {
			s.violation("P9: a halt without a failure")
		}
		s.checkExposure()
	}
	s.seen.Settled = !c.Settled.IsZero()
}

func (s *simulation) violation(format string, args ...any) {
	s.seen.Violations = append(s.seen.Violations, fmt.Sprintf("after %v: ", s.now.Sub(begin).Round(time.Second))+fmt.Sprintf(format, args...))
}

// checkExposure is P1: a revision has reached the waves up to the one in which it was halted, and those who were just
// under way.
func (s *simulation) checkExposure() {
	// By chance, more hosts than a wave was made for may lie below its last place, as new ones have come meanwhile, and
	// others may have joined in the place of those that did not show up.
	upto := s.plan.Waves[s.reached].Upto
	if s.seen.Ran > upto+upto/5+8 {
		s.violation("P1: %d hosts ran it when it was halted, and the waves that were open have %d", s.seen.Ran, upto)
	}
}

// follow is what a host does that does not run the revision yet.
func (s *simulation) follow(h *host) {
	decision, ok := s.decide(h)
	switch {
	case !ok || decision.Act == rollout.Wait:
	case decision.Act == rollout.Base:
		h.empty = false
	case decision.Act == rollout.Go:
		h.joined, h.busy = decision.Wave+1, true
		s.after(s.part(s.Hook)/2, func() { s.try(h) }) // fetch, post-sync, pre-jump
	}
}

func (s *simulation) decide(h *host) (rollout.Decision, bool) {
	c, ok := s.count()
	if !ok {
		return rollout.Decision{}, false
	}
	d := c.Decide(rollout.Host{Name: h.name, Joined: h.joined, Runs: h.runs, Empty: h.empty})
	if d.Act != rollout.Go && d.Reason == "" {
		s.violation("P9: %s waits, and nothing says why", h.name)
	}
	if d.Act == rollout.Wait && h.empty {
		s.violation("P4: the new host %s is left with nothing, by %s", h.name, d.Reason)
	}
	h.sawHalt = c.Halt != nil
	return d, true
}

// try is the last look, and the flip.
func (s *simulation) try(h *host) {
	if h.dead {
		return
	}
	decision, ok := s.decide(h)
	if !ok || decision.Act != rollout.Go {
		h.busy = false
		return
	}
	s.vote(h, rollout.Try)
	if h.sawHalt {
		s.violation("P2: %s flips though it has seen that the rollout is halted", h.name)
	}
	if s.Newer > 0 && s.now.Sub(begin) >= s.Newer && h.newer {
		s.violation("P5: %s flips to the older revision", h.name)
	}
	s.after(s.part(s.Hook)/2, func() { s.flip(h) })
}

func (s *simulation) vote(h *host, kind rollout.Kind) {
	h.verdict = kind
	vote := rollout.Vote{Host: catalog.NodeOf(h.name).String(), Kind: kind, Wave: h.joined - 1}
	if h.liar {
		vote.Kind = rollout.Well
	}
	if err := s.catalog.Vote(context.Background(), rev.Package(), s.serial, vote); err != nil {
		s.violation("a vote: %v", err)
	}
}

// flip is what comes after the last look: the host runs the revision, for whatever that is worth.
func (s *simulation) flip(h *host) {
	if h.dead {
		return
	}
	h.busy, h.runs, h.empty, h.flipped = false, true, false, s.now
	s.seen.Ran++
	switch {
	case h.met && s.Fate == kills:
		h.dead = true
	case h.met && s.Fate == failsCheck:
		s.reject(h)
	default:
		s.vote(h, rollout.OK)
		if h.met && s.Fate == killsLater {
			s.after(killedAfter, func() { h.dead = true })
		}
	}
	s.finished()
}

func (s *simulation) reject(h *host) {
	s.vote(h, rollout.Bad)
	h.runs, h.rejected = false, true
}

// stayWell is what a host does at a sync that runs the revision: its check is asked until the rollout is settled.
func (s *simulation) stayWell(h *host) {
	failed := h.met && s.Fate == failsLate && s.now.Sub(h.flipped) >= failedAfter
	switch {
	case failed && h.verdict != rollout.Bad:
		c, ok := s.count()
		if !ok {
			return
		}
		if c.Halt != nil { // what all suffer from is not mended by all going back
			s.vote(h, rollout.Bad)
			return
		}
		s.reject(h)
	case !failed && h.verdict == rollout.OK && s.now.Sub(h.flipped) >= s.plan.Waves[h.joined-1].Soak:
		s.vote(h, rollout.Well)
		s.count()
	}
}

// finished notes when nearly all hosts that live run the revision.
func (s *simulation) finished() {
	if s.seen.Finished != 0 || s.seen.Ran*100 < s.Hosts*90 {
		return
	}
	living, running := 0, 0
	for _, h := range s.hosts {
		if !h.dead {
			living++
			if h.runs {
				running++
			}
		}
	}
	if running*100 >= living*95 {
		s.seen.Finished = s.now.Sub(begin)
	}
}
