package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// Rollout is a rollout as it is shown. As JSON it is what ftl rollout show prints.
type Rollout struct {
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"`
	Base     revision.Revision `json:"base"`
	Serial   int64             `json:"serial"`
	At       ftl.Time          `json:"at"`
	By       string            `json:"by"`
	Date     ftl.Time          `json:"date"`
	Settled  ftl.Time          `json:"settled"`
	Halted   ftl.Time          `json:"halted"`
	Why      string            `json:"why"`
	Next     string            `json:"next"`
	Waves    []Wave            `json:"waves"`
	Hosts    []Part            `json:"hosts"`
	Slots    []Slot            `json:"slots"`
}

// Wave is one wave of it.
type Wave struct {
	Hosts     int      `json:"hosts"`
	State     string   `json:"state"` // done, open or shut
	Opened    ftl.Time `json:"opened"`
	Well      int      `json:"well"`
	Need      int      `json:"need"`
	Undecided []string `json:"undecided"`
	Failed    []string `json:"failed"`
	Halt      int      `json:"halt"`
	Soak      string   `json:"soak"`
	Missing   []string `json:"missing"` // hosts that have not said anything
}

// Part is a host's part in it.
type Part struct {
	Host  string       `json:"host"`
	Wave  int          `json:"wave"` // from 1
	Place string       `json:"place"`
	Vote  rollout.Kind `json:"vote"` // "" for none
	Voted ftl.Time     `json:"voted"`
	Waits string       `json:"waits"` // what for, and until when at the earliest
}

// Slot is a host that changes now.
type Slot struct {
	Number int      `json:"number"`
	Host   string   `json:"host"`
	Until  ftl.Time `json:"until"`
}

// ViewRollout says how a rollout stands.
func ViewRollout(entry catalog.Entry, count *rollout.Count, votes []rollout.Vote, hosts []Host) Rollout {
	v := Rollout{
		Package: entry.Revision.Package(), Revision: entry.Revision, Base: entry.Base, Serial: entry.Serial, At: ftl.At(entry.At), By: entry.By,
		Date: ftl.At(count.At), Settled: ftl.At(count.Settled), Hosts: []Part{}, Slots: []Slot{},
	}
	if count.Halt != nil {
		v.Halted, v.Why = ftl.At(count.Halt.At), count.Halt.String()
	}
	before := 0
	for k, plan := range entry.Rollout.Waves {
		v.Waves = append(v.Waves, viewWave(count, k, plan.Upto-before))
		before = plan.Upto
	}
	v.addHosts(count, rollout.LastWords(votes), Roster(hosts, entry.Revision.Package()))
	v.Next = v.next(count)
	return v
}

func viewWave(count *rollout.Count, k, hosts int) Wave {
	plan, wave := count.Plan.Waves[k], count.Waves[k]
	w := Wave{
		Hosts: hosts, State: "shut", Opened: ftl.At(wave.Opened), Well: len(wave.Well), Need: plan.Need, Halt: plan.Halt, Soak: plan.Soak.String(),
		Undecided: []string{}, Failed: []string{}, Missing: []string{},
	}
	switch {
	case wave.Opened.IsZero():
	case k < count.Done() || count.Complete():
		w.State = "done"
	default:
		w.State = "open"
	}
	for _, vote := range wave.Undecided {
		w.Undecided = append(w.Undecided, vote.Host)
	}
	for _, f := range wave.Failures {
		w.Failed = append(w.Failed, f.Host)
	}
	return w
}

// addHosts adds the hosts that have voted or reported, in the order of the rollout.
func (v *Rollout) addHosts(count *rollout.Count, words map[string]rollout.Vote, roster []rollout.Member) {
	known := make(map[string]rollout.Member)
	for _, m := range roster {
		known[m.Host] = m
	}
	for name := range words {
		if _, reported := known[name]; !reported && name != rollout.Operator {
			known[name] = rollout.Member{Host: name}
		}
	}
	places := make(map[string]rollout.Place)
	for name, m := range known {
		word, voted := words[name]
		as := rollout.Host{Name: name, Last: m.Last}
		if voted && word.Kind != rollout.Out {
			as.Joined = word.Wave + 1
		}
		d := count.Decide(as)
		h := Part{Host: name, Wave: d.Own + 1, Place: d.Place.String(), Vote: word.Kind, Voted: ftl.At(word.At)}
		if voted {
			h.Wave = word.Wave + 1
		} else {
			h.Waits = waitsFor(d)
			if v.Waves[d.Own].State == "open" && d.Act == rollout.Go {
				v.Waves[d.Own].Missing = append(v.Waves[d.Own].Missing, name)
			}
		}
		places[name] = d.Place
		v.Hosts = append(v.Hosts, h)
	}
	slices.SortFunc(v.Hosts, func(a, b Part) int {
		if places[a.Host] != places[b.Host] {
			return strings.Compare(a.Place, b.Place)
		}
		return strings.Compare(a.Host, b.Host)
	})
	for k := range v.Waves {
		slices.Sort(v.Waves[k].Missing)
	}
}

// waitsFor says in words what a host waits for that has not said anything.
func waitsFor(d rollout.Decision) string {
	when := ""
	if !d.Next.IsZero() {
		when = "; " + ftl.Clock(d.Next) + " at the earliest"
	}
	switch d.Reason {
	case rollout.IsHalted:
		return "the rollout is halted"
	case rollout.IsOpen, rollout.HasBegun, rollout.IsBroken:
		return "it may go, and was not heard from"
	case rollout.Joins:
		return fmt.Sprintf("it may join wave %d in the place of another", d.Wave+1)
	case rollout.ItsTurn:
		return "its turn" + when
	case rollout.IsBeyond:
		return "nothing: the waves end before it"
	case rollout.TooMany:
		return "others that are being mended" + when
	}
	return fmt.Sprintf("wave %d, which is not open%s", d.Own+1, when)
}

// next says what opens the next wave, and when at the earliest.
func (v *Rollout) next(count *rollout.Count) string {
	switch open := count.Done(); {
	case count.Halt != nil:
		return "nothing, until ftl rollout resume, or another blessing"
	case count.Complete() && count.Plan.Limited:
		return "nothing: the waves end here; ftl rollout finish opens it to all"
	case count.Complete():
		return ""
	default:
		w := v.Waves[open]
		text := fmt.Sprintf("wave %d waits for %d more to be well", open+1, w.Need-w.Well)
		if len(w.Missing) > 0 {
			text += "; not heard from " + rollout.List(w.Missing)
		}
		soak := count.Plan.Waves[open].Soak
		return text + "; " + ftl.Clock(earliest(count, open).Add(soak)) + " at the earliest"
	}
}

// earliest returns since when a host of the wave may run the revision that is not well yet.
func earliest(count *rollout.Count, wave int) time.Time {
	since := count.At
	for _, vote := range count.Waves[wave].Undecided {
		if vote.At.Before(since) {
			since = vote.At
		}
	}
	return since
}
