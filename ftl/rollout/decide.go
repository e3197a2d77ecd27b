package rollout

import "time"

// Host is what the decision takes into account of one host.
type Host struct {
	Name string
	Last bool // it wants to come last

	// Joined is the wave, from 1, that the host counts itself to since it has begun, or since it
	// was free to: what it has seen open stays open for it. 0 is none.
	Joined int
	Runs   bool // it runs the revision already
	Empty  bool // nothing is active on it
	Broken bool // neither its new nor its old revision works
}

// Decision says what a host may do.
type Decision struct {
	Act    Act
	Reason Reason
	Wave   int       // that the host counts itself to, from 0
	Own    int       // the wave of its place
	Place  Place     // where it stands in the order
	Next   time.Time // when the answer may change at the earliest; zero where that is up to people
}

// Act is what a host does.
type Act int

// What a host does.
const (
	Wait Act = iota // keep what runs
	Go              // follow the entry
	Base            // nothing is active: take what the fleet had before
	Back            // return to what the fleet had before
)

// Reason says why.
type Reason string

// Why a host goes, or waits.
const (
	IsOpen     Reason = "open"     // its wave is
	HasBegun   Reason = "begun"    // it was free to go before
	Joins      Reason = "joins"    // in the place of hosts that don't show up
	IsBroken   Reason = "broken"   // it has nothing to lose
	IsHalted   Reason = "halted"   // the rollout is
	IsShut     Reason = "shut"     // its wave is not open yet
	ItsTurn    Reason = "turn"     // its wave is open, and its turn comes later
	IsBeyond   Reason = "beyond"   // the waves end before it
	TooMany    Reason = "too many" // as many broken hosts as may go at a time have gone
	NothingYet Reason = "nothing"  // nothing is active, and its wave is not open
)

// haltedPoll is how often a host looks whether a halted rollout goes on.
const haltedPoll = 5 * time.Minute

// Decide says what a host may do. It is the same for every reader: the host itself, whoever
// explains it, and the simulation.
func (c *Count) Decide(h Host) Decision {
	p := c.Plan
	d := Decision{Place: p.place(h.Name)}
	if h.Last && d.Place != 0 {
		d.Place = Last
	}
	own, reached := p.wave(d.Place)
	d.Own, d.Wave = own, own
	if h.Joined > 0 && h.Joined <= len(p.Waves) {
		d.Wave = h.Joined - 1
	}
	if c.Halt != nil {
		return c.decideHalted(h, d)
	}
	switch {
	case h.Joined > 0:
		d.Act, d.Reason = Go, HasBegun
	case c.isOpen(own) && reached:
		d = c.decideOpen(d)
	case h.Broken && reached:
		d = c.decideBroken(d)
	default:
		d = c.decideShut(d, reached)
	}
	if d.Act == Wait && h.Empty {
		d.Act, d.Reason = Base, NothingYet
	}
	return d
}

func (c *Count) isOpen(wave int) bool { return !c.Waves[wave].Opened.IsZero() }

func (c *Count) decideHalted(h Host, d Decision) Decision {
	d.Reason, d.Next = IsHalted, c.At.Add(haltedPoll)
	switch {
	case h.Empty:
		d.Act = Base
	case h.Runs && c.Plan.Back && c.Halt.Certain:
		d.Act = Back
	}
	return d
}

// decideOpen is about a host whose own wave is open.
func (c *Count) decideOpen(d Decision) Decision {
	turn := c.Plan.turn(d.Own, d.Place, c.Waves[d.Own].Opened)
	if turn.After(c.At) {
		d.Reason, d.Next = ItsTurn, turn
		return d
	}
	d.Act, d.Reason = Go, IsOpen
	return d
}

// decideBroken lets hosts on which nothing works go before their wave opens, but not all of them at
// once.
func (c *Count) decideBroken(d Decision) Decision {
	limit := c.Plan.Waves[d.Own].Halt
	lately := 0
	for _, at := range c.early[d.Own] {
		if c.At.Sub(at) < c.Plan.Patience {
			lately++
		}
	}
	if limit > 0 && lately >= limit {
		d.Reason, d.Next = TooMany, c.At.Add(c.Plan.Patience)
		return d
	}
	d.Act, d.Reason = Go, IsBroken
	return d
}

// decideShut is about a host whose wave is not open. It may join an earlier one, whose own hosts
// don't show up.
func (c *Count) decideShut(d Decision, reached bool) Decision {
	p := c.Plan
	open := 0
	for c.isOpen(open) && open+1 < len(p.Waves) && c.isOpen(open+1) {
		open++
	}
	w, wave := p.Waves[open], c.Waves[open]
	lacks := len(wave.Well)+len(wave.Undecided) < w.Need
	if lacks && open < d.Own && d.Place <= p.widened(open, wave.Opened, c.At) {
		d.Act, d.Reason, d.Wave = Go, Joins, open
		return d
	}
	d.Reason = IsShut
	if !reached {
		d.Reason = IsBeyond
		return d
	}
	d.Next = c.earliest(open, d)
	return d
}

// earliest returns when the wave of a host may open, or the host may join the wave that is open:
// whichever comes first.
func (c *Count) earliest(open int, d Decision) time.Time {
	p := c.Plan
	opens := c.Waves[open].Opened
	for k := open; k < d.Own; k++ {
		opens = opens.Add(p.Waves[k].Soak)
	}
	opens = p.turn(d.Own, d.Place, opens)
	if opens.Before(c.At) {
		opens = c.At
	}
	joins := c.Waves[open].Opened.Add(p.Waves[open].Over + p.Patience)
	for ; joins.Before(opens); joins = joins.Add(p.Patience) {
		if d.Place <= p.widened(open, c.Waves[open].Opened, joins) {
			return maxTime(joins, c.At)
		}
	}
	return opens
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
