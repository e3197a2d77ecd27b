package main

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
)

// An oracle knows what hosts can't: how each of them really is. It judges what they do by that and
// by the numbers of the plan, and shares no code with the decision that it judges.
type oracle struct {
	size     int
	waves    []rollout.Wave // as they were blessed
	ends     []float64      // where each wave ends, as a part of the order
	verdict  time.Duration
	patience time.Duration
	opened   []time.Time // when enough hosts of the wave before were really well
}

func (o *oracle) set(p *rollout.Plan) {
	o.size, o.waves, o.verdict, o.patience = p.Size, append([]rollout.Wave(nil), p.Waves...), p.Verdict, p.Patience
	for _, w := range p.Waves {
		o.ends = append(o.ends, float64(w.To)/math.MaxUint64)
	}
	o.opened = make([]time.Time, len(p.Waves))
	o.opened[0] = p.Opened
}

// putIn tells where a host stands.
func (o *oracle) putIn(h *host) {
	h.place = float64(rollout.PlaceOf(rev, h.name)) / math.MaxUint64
	for h.own < len(o.ends)-1 && h.place > o.ends[h.own] {
		h.own++
	}
}

// mayJoin reports whether a host may take part in a wave before its own at a time, as others don't
// show up.
func (o *oracle) mayJoin(h *host, wave int, now time.Time) bool {
	if h.own <= wave {
		return true
	}
	before := 0
	if wave > 0 {
		before = o.waves[wave-1].Upto
	}
	steps := math.Floor(float64(now.Sub(o.opened[wave].Add(o.waves[wave].Over))) / float64(o.patience))
	if wave == len(o.waves)-1 || steps < 1 {
		return false
	}
	more := (math.Pow(2, steps) - 1) * math.Max(2, math.Floor(float64(o.waves[wave].Upto-before)/10))
	return h.place <= o.ends[wave]+more/float64(o.size)+1e-9
}

// tooLarge is how many hosts are too many for judging each step by all of them.
const tooLarge = 1000

// judgeBegin is P1, P2, P6 and P8, at the moment in which a host begins: enough hosts of the wave
// before are really well, and no more have failed than may.
func (s *simulation) judgeBegin(h *host) {
	if s.Hosts > tooLarge {
		return
	}
	o := &s.oracle
	wave := h.joined - 1
	switch {
	case o.opened[wave].IsZero():
		s.violation("P1, P8: %s begins in wave %d, and %d of wave %d are well, of %d that must be", h.name, wave+1, s.reallyWell(wave-1), wave, o.waves[wave-1].Need)
	case !o.mayJoin(h, wave, s.now.Add(2*time.Second)):
		s.violation("P1: %s of wave %d joins wave %d too early", h.name, h.own+1, wave+1)
	}
	if j := s.failedWave(2 * time.Second); j >= 0 && !s.seen.Settled {
		s.violation("P2: %s begins, and in the first %d waves too many hosts have failed", h.name, j+1)
	}
}

// noteOpen notes which waves are open now.
func (s *simulation) noteOpen() {
	o := &s.oracle
	if s.Hosts > tooLarge {
		return
	}
	for k := range o.waves[1:] {
		if o.opened[k+1].IsZero() && s.reallyWell(k) >= o.waves[k].Need {
			o.opened[k+1] = s.now
		}
		if o.opened[k+1].IsZero() {
			return
		}
	}
}

// reallyWell returns how many hosts of a wave are well. Who lies is believed for the wave of its
// own place or a later one.
func (s *simulation) reallyWell(wave int) (really int) {
	for _, h := range s.hosts {
		in := h.joined - 1
		honest := !h.liar && h.verdict == rollout.Well && (in == wave || in >= 0 && in < wave && h.own == wave)
		if honest || h.liar && h.lies == wave && h.own <= wave {
			really++
		}
	}
	return really
}

// failedWave returns the first wave up to which as many hosts have failed as halt a rollout, long
// enough ago to be known, and -1 where there is none.
func (s *simulation) failedWave(known time.Duration) int {
	failed := make([]int, len(s.oracle.waves))
	for _, h := range s.hosts {
		ago := s.now.Sub(h.voted)
		if h.liar || h.joined == 0 || !(h.verdict == rollout.Bad && ago > known || h.verdict == rollout.Try && ago > s.oracle.verdict+known) {
			continue
		}
		for k := h.joined - 1; k < len(failed); k++ {
			failed[k]++
		}
	}
	for k, n := range failed {
		if halt := s.oracle.waves[k].Halt; halt > 0 && n >= halt {
			return k
		}
	}
	return -1
}

// judgeDecision is about what one host may do, and is told.
func (s *simulation) judgeDecision(h *host, d rollout.Decision, empty bool) {
	switch {
	case d.Act == rollout.Go && h.sawHalt:
		s.violation("P2: %s may go, and sees that the rollout is halted", h.name)
	case d.Act == rollout.Wait && empty:
		s.violation("P4: the new host %s is left with nothing, as %s", h.name, d.Reason)
	case d.Reason == "":
		s.violation("P9: nothing says why %s does what it does", h.name)
	case d.Act == rollout.Wait && d.Next.IsZero() && d.Reason != rollout.IsBeyond:
		s.violation("P9: nothing says until when %s waits", h.name)
	}
}

// note keeps what the votes say.
func (s *simulation) note(c *rollout.Count) {
	for k := range c.Waves {
		if !c.Waves[k].Opened.IsZero() {
			s.seen.Reached = max(s.seen.Reached, k)
		}
	}
	s.seen.Settled = !c.Settled.IsZero()
	if c.Halt == nil || s.seen.Halted != 0 {
		return
	}
	s.seen.Halted, s.seen.RanAtHalt = max(c.Halt.At.Sub(begin), time.Second), s.seen.Ran
	s.judgeExposure()
}

// judgeExposure is P1 once more, as a number: of the hosts that the waves were made for, those that
// ran the revision when it was halted are not more than the open waves have, beside those that
// joined in the place of others.
func (s *simulation) judgeExposure() {
	ran, upto := 0, s.oracle.waves[s.seen.Reached].Upto
	for _, h := range s.hosts {
		began := h.joined > 0 && (h.busy || !h.flipped.IsZero())
		if began && !h.isNew && h.own <= s.seen.Reached {
			ran++
		}
	}
	if ran > upto {
		s.violation("P1: %d hosts ran it when it was halted, and the waves that were open have %d", ran, upto)
	}
}

const (
	observed   = 10 * time.Minute // how often somebody looks
	afterwards = time.Hour        // how long the simulation goes on when the rollout is settled or halted
)

// observe is a person who looks, without a request. What that one is shown must explain what
// happens.
func (s *simulation) observe() {
	s.after(observed, s.observe)
	failing, gets, lists, puts := s.bucket.failing, s.bucket.gets, s.bucket.lists, s.bucket.puts
	defer func() {
		s.bucket.failing, s.bucket.gets, s.bucket.lists, s.bucket.puts = failing, gets, lists, puts
	}()
	s.bucket.failing = 0
	votes, err := s.catalog.Votes(context.Background(), rev.Package(), s.first.Serial)
	s.must(err)
	c := s.counted(votes)
	s.note(c)
	halted := c.Halt != nil && s.now.Sub(c.Halt.At) > afterwards
	settled := !c.Settled.IsZero() && s.now.Sub(c.Settled) > afterwards
	if s.Newer == 0 && (halted || settled) {
		s.Long = 0 // nothing happens any more
	}
	if s.Hosts > tooLarge {
		return
	}
	s.judgeShown(c, votes.Votes)
	s.judgeMore(c, votes.Votes)
}

// judgeShown is P9: what ftl rollout show says names whoever is the cause.
func (s *simulation) judgeShown(c *rollout.Count, votes []rollout.Vote) {
	view := fleet.ViewRollout(s.first, c, votes, s.reports)
	switch {
	case c.Halt != nil:
		if view.Halted.IsZero() || len(c.Halt.Failures) == 0 || !strings.Contains(view.Why, c.Halt.Failures[0].Host) {
			s.violation("P9: it is halted, and shown as %q, which names nobody", view.Why)
		}
	case c.Settled.IsZero() && view.Next == "":
		s.violation("P9: it waits, and nothing is shown of what for")
	}
	for _, part := range view.Hosts {
		if part.Vote == "" && part.Waits == "" {
			s.violation("P9: nothing is shown of what %s waits for", part.Host)
		}
	}
}

// judgeMore is P7: one more ok or well never halts, and one more bad never opens a wave that was
// shut. No host says that it is well twice.
func (s *simulation) judgeMore(c *rollout.Count, votes []rollout.Vote) {
	h := s.hosts[s.random.IntN(len(s.hosts))]
	if h.liar || h.verdict == rollout.Well {
		return
	}
	kind := []rollout.Kind{rollout.OK, rollout.Well, rollout.Bad}[s.random.IntN(3)]
	one := rollout.Vote{Host: h.name, Kind: kind, Wave: s.random.IntN(len(c.Waves)), At: c.At}
	then := s.first.Rollout.Count(append(append([]rollout.Vote(nil), votes...), one), c.At)
	if kind != rollout.Bad {
		if c.Halt == nil && then.Halt != nil {
			s.violation("P7: that %s votes %s halts it", h.name, kind)
		}
		return
	}
	for k := range c.Waves {
		if c.Waves[k].Opened.IsZero() && !then.Waves[k].Opened.IsZero() {
			s.violation("P7: that %s votes bad opens wave %s", h.name, strconv.Itoa(k+1))
		}
	}
}
