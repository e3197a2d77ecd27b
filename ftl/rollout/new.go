package rollout

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/revision"
)

// Member is what a plan takes into account of a host that has reported lately.
type Member struct {
	Host   string
	First  bool // it offers to come first
	Last   bool // it wants to come last
	Every  time.Duration
	Splay  time.Duration
	Hook   time.Duration // how long one of its hooks may take
	Checks time.Duration // how long its check may take
}

// Options are the choices of whoever blesses. A zero value is the default.
type Options struct {
	Waves    []Step        // cumulative; the rest of the hosts come last, in a wave of their own
	Soak     time.Duration // of a wave that says nothing else
	Over     time.Duration
	Until    Amount   // the waves end here
	Tolerate *float64 // the part of the hosts that may fail; nil is DefaultTolerate
	Verdict  time.Duration
	Patience time.Duration
	First    []string // hosts to come before all others
	Canaries bool     // so do those that offer it
	AtOnce   Amount
	Back     bool
}

// Step is one of the waves that somebody asks for.
type Step struct {
	Upto Amount
	Soak time.Duration // 0 is that of the options
}

// Amount is a number of hosts, or a part of them. The zero value is none.
type Amount struct {
	Count   int
	Percent float64
}

// The defaults of a plan.
const (
	DefaultSoak     = 10 * time.Minute
	DefaultPatience = 15 * time.Minute
	DefaultVerdict  = 15 * time.Minute // at least
	DefaultTolerate = 0.02
)

const (
	maxNeed     = 900 // beyond it, waiting for more hosts tells nothing new
	longestOver = 30 * time.Minute
)

// ErrNobody says that no host has reported, so that there is nobody to count.
var ErrNobody = errors.New("no host has reported")

// ParseSteps reads waves such as "1,5%/30m,25%": numbers or parts of the hosts, that rise, each
// with a soak of its own if it needs another.
func ParseSteps(text string) ([]Step, error) {
	var steps []Step
	for word := range strings.SplitSeq(text, ",") {
		upto, soak, hasSoak := strings.Cut(word, "/")
		amount, err := ParseAmount(upto)
		if err != nil {
			return nil, fmt.Errorf("waves %q: %w", text, err)
		}
		step := Step{Upto: amount}
		if hasSoak {
			if step.Soak, err = time.ParseDuration(soak); err != nil || step.Soak <= 0 {
				return nil, fmt.Errorf("waves %q: %q is no time for a wave to soak, such as 30m", text, soak)
			}
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// ParseAmount reads a number of hosts, such as "3", or a part of them, such as "5%" or "0.5%".
func ParseAmount(text string) (Amount, error) {
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		part, err := strconv.ParseFloat(percent, 64)
		if err != nil || !(part > 0 && part <= 100) {
			return Amount{}, fmt.Errorf("%q is no part of the hosts, such as 5%%", text)
		}
		return Amount{Percent: part}, nil
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 {
		return Amount{}, fmt.Errorf("%q is no number of hosts, such as 3 or 5%%", text)
	}
	return Amount{Count: count}, nil
}

// Of returns how many of n hosts an amount is: at least one, at most n, and none only for the zero
// value.
func (a Amount) Of(n int) int {
	if a == (Amount{}) {
		return 0
	}
	count := a.Count
	if a.Percent > 0 {
		// A little less, so that 5 % of 20, which no float holds exactly, is one.
		count = int(math.Ceil(a.Percent/100*float64(n) - 1e-9))
	}
	return min(max(count, 1), n)
}

// New computes the plan of a blessing for the members of a fleet. Without members it is
// [ErrNobody], unless the options say over what time the hosts are to go: then time alone decides,
// as there is nobody to hear from. One member makes a plan of one wave, which says nothing that an
// entry without a plan does not.
func New(r revision.Revision, opened time.Time, members []Member, opts Options) (*Plan, error) {
	p := &Plan{Revision: r, Opened: opened, Size: len(members), Back: opts.Back, First: firsts(members, opts)}
	if len(members) == 0 {
		if opts.Over == 0 {
			return nil, ErrNobody
		}
		p.Waves = []Wave{{To: Last, Over: opts.Over}}
		p.Verdict, p.Patience = cmp.Or(opts.Verdict, DefaultVerdict), cmp.Or(opts.Patience, DefaultPatience)
		return p, nil
	}
	p.addWaves(members, opts)
	p.setTimes(members, opts)
	return p, nil
}

// firsts returns the names of the members that come before all others.
func firsts(members []Member, opts Options) []string {
	var names []string
	for _, m := range members {
		if slices.Contains(opts.First, m.Host) || opts.Canaries && m.First {
			names = append(names, m.Host)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// addWaves cuts the order of the members into waves. A wave that would add nobody is left out.
func (p *Plan) addWaves(members []Member, opts Options) {
	places := p.ordered(members)
	n, upto := len(members), 0
	limit := n
	if opts.Until != (Amount{}) {
		limit = opts.Until.Of(n)
		p.Limited = limit < n
	}
	for i, step := range append(slices.Clone(opts.Waves), Step{Upto: Amount{Count: limit}}) {
		count := min(step.Upto.Of(n), limit)
		if i == 0 {
			count = max(count, min(len(p.First), limit))
		}
		if count < limit {
			count = min(count, len(places)) // those who want to come last come with the rest
		}
		if count <= upto {
			continue
		}
		wave := Wave{To: Last, Upto: count, Halt: 1 + int(opts.tolerate()*float64(count)), Soak: cmp.Or(step.Soak, opts.Soak, DefaultSoak)}
		if count < n && count <= len(places) {
			wave.To = places[count-1]
		}
		wave.Need = need(count-upto, count == limit)
		p.Waves = append(p.Waves, wave)
		upto = count
	}
}

// ordered returns the places of the members that don't want to come last, in order.
func (p *Plan) ordered(members []Member) []Place {
	var places []Place
	for _, m := range members {
		if !m.Last || slices.Contains(p.First, m.Host) {
			places = append(places, p.place(m.Host))
		}
	}
	slices.Sort(places)
	return places
}

func (o Options) tolerate() float64 {
	if o.Tolerate != nil {
		return *o.Tolerate
	}
	return DefaultTolerate
}

// need returns how many of the hosts of a wave have to be well. A large wave waits for four of
// five: to wait for more takes longer, for no fewer hosts that run a bad revision.
func need(size int, last bool) int {
	n := size
	switch {
	case size >= 10:
		n = (size*4 + 4) / 5
	case size >= 5:
		n = size - 1
	}
	if last {
		return n
	}
	return min(n, maxNeed)
}

// setTimes says how long to wait for a host, and over what time a wave is spread.
func (p *Plan) setTimes(members []Member, opts Options) {
	var everies []time.Duration
	p.Verdict, p.Patience = DefaultVerdict, DefaultPatience
	for _, m := range members {
		everies = append(everies, m.Every)
		p.Verdict = max(p.Verdict, 2*m.Hook+m.Checks+2*m.Every)
		p.Patience = max(p.Patience, 3*m.Every)
		p.Lease = max(p.Lease, 5*m.Hook+2*m.Checks+5*time.Minute)
	}
	p.Verdict = cmp.Or(opts.Verdict, p.Verdict)
	p.AtOnce = opts.AtOnce.Of(len(members))
	slices.Sort(everies)
	often := everies[len(everies)/2] < 2*time.Minute
	largest := 0
	for k := range p.Waves {
		size := p.size(k)
		largest = max(largest, size)
		switch {
		case opts.Over > 0:
			p.Waves[k].Over = opts.Over
		case size > 100 && often:
			p.Waves[k].Over = min(time.Duration(size)*time.Second/10, longestOver)
		}
	}
	if p.AtOnce > 0 {
		p.Patience = max(p.Patience, time.Duration((largest+p.AtOnce-1)/p.AtOnce)*p.Verdict)
	}
	p.Patience = cmp.Or(opts.Patience, p.Patience)
}

// Tolerating returns the plan with so large a part of the hosts that may fail, where that is more
// than it tolerates already.
func (p *Plan) Tolerating(part float64) *Plan {
	changed := *p
	changed.Waves = slices.Clone(p.Waves)
	for k, w := range changed.Waves {
		if w.Halt > 0 {
			changed.Waves[k].Halt = max(w.Halt, 1+int(part*float64(w.Upto)))
		}
	}
	return &changed
}

// Advanced returns the plan without one of its waves, whose hosts belong to the next one then; nil
// where that is the last.
func (p *Plan) Advanced(wave int) *Plan {
	if wave >= p.last() {
		return nil
	}
	changed := *p
	changed.Waves = slices.Delete(slices.Clone(p.Waves), wave, wave+1)
	next := &changed.Waves[wave]
	next.Need = need(changed.size(wave), wave == changed.last())
	return &changed
}

// WithoutWaves returns a plan for all hosts at once, but for how many may change at a time.
func (p *Plan) WithoutWaves() *Plan {
	changed := *p
	changed.Waves = []Wave{{To: Last, Upto: p.Size}}
	changed.First, changed.Limited, changed.Back = nil, false, false
	return &changed
}
