package serve

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// rolloutPage tells of one blessing: its waves and votes, who is missing, and how it went over
// time.
func rolloutPage(v view) (page, error) {
	pkg, err := v.wanted()
	if err != nil {
		return page{}, err
	}
	serial, err := strconv.ParseInt(v.path("serial"), 10, 64)
	entry, found := pkg.Entry(serial)
	if err != nil || !found {
		return page{}, &missing{fmt.Sprintf("The marker of %s has no entry with the serial %s.", pkg.Package, v.path("serial"))}
	}
	p := page{Title: entry.Revision.String(), Nav: "overview"}
	head := v.rolloutHead(pkg, entry)
	p.Fragments = append(p.Fragments, fragment{ID: "head", Label: "The blessing", template: "rollout-head", Data: head})
	if r, has := pkg.Rollout(serial); has {
		p.Fragments = append(p.Fragments,
			fragment{ID: "waves", Label: "Waves", template: "waves", Data: v.waves(r)},
			fragment{ID: "plot", Label: "Confirmations over time", template: "plot", Data: v.plot(r)},
			fragment{ID: "votes", Label: "Votes", template: "votes", Data: v.votes(r)},
		)
	}
	return p, nil
}

// rolloutHead is what a blessing is.
type rolloutHead struct {
	logRow
	Kind     string
	Manifest catalog.Digest
	Base     revision.Revision
	Params   []string
	State    mark
	Sentence string
	Why      string
	Next     string
	Newest   bool
	Waves    bool
	Acts     []button
}

func (v view) rolloutHead(pkg *Package, entry catalog.Entry) rolloutHead {
	newest, _ := pkg.Marker.Newest()
	head := rolloutHead{
		logRow: v.entry(entry), Kind: entry.Kind, Manifest: entry.Manifest, Base: entry.Base, Newest: newest.Serial == entry.Serial, State: rolloutPassed,
		Sentence: "blessed for all hosts at once",
	}
	for name, value := range entry.Params {
		head.Params = append(head.Params, name+"="+value)
	}
	slices.Sort(head.Params)
	if head.Newest {
		head.State = v.outcome(pkg.Package)
		head.Acts = v.buttons(pkg)
	}
	if r, has := pkg.Rollout(entry.Serial); has {
		head.Waves, head.State, head.Sentence, head.Why = true, r.state(), v.sentence(r), r.View.Why
		if head.Newest && r.Count.Halt == nil {
			head.Next = v.next(r)
		}
	}
	return head
}

// next says what opens the next wave.
func (v view) next(r *Rollout) string {
	switch open := r.Count.Done(); {
	case r.Count.Complete() && r.Count.Plan.Limited:
		return "The waves end here; finish opens it to all hosts."
	case r.Count.Complete():
		return ""
	default:
		w := r.View.Waves[open]
		return fmt.Sprintf("Wave %d waits for %d more to be well; each runs it for %s first.", open+1, w.Need-w.Well, w.Soak)
	}
}

// A waveCard is one wave.
type waveCard struct {
	fleet.Wave
	Mark            mark
	Number, Percent int
	Opened          moment
	Shut            bool
	Undecided       []hostLink
	Failed          []hostLink
	Missing         []hostLink
}

// A hostLink is a host by name.
type hostLink struct{ Name, Link string }

// shownHosts is how many hosts of a wave are named.
const shownHosts = 20

func (v view) hostLinks(names []string) []hostLink {
	var links []hostLink
	for _, name := range names[:min(len(names), shownHosts)] {
		links = append(links, hostLink{v.nameOf(name), "/h/" + url.PathEscape(name)})
	}
	if more := len(names) - shownHosts; more > 0 {
		links = append(links, hostLink{fmt.Sprintf("and %d more", more), "/h"})
	}
	return links
}

// nameOf returns what people call the host with this name in keys.
func (s *Snapshot) nameOf(node string) string {
	i, found := slices.BinarySearchFunc(s.Hosts, node, func(h fleet.Host, node string) int { return strings.Compare(h.Node.String(), node) })
	if found {
		return s.Hosts[i].Name()
	}
	return node
}

func (v view) waves(r *Rollout) []waveCard {
	var cards []waveCard
	for k, w := range r.View.Waves {
		cards = append(cards, waveCard{
			Wave: w, Mark: waveMark(w, r), Number: k + 1, Percent: percent(w.Well, w.Hosts), Opened: v.when(w.Opened.Time), Shut: w.Opened.IsZero(),
			Undecided: v.hostLinks(w.Undecided), Failed: v.hostLinks(w.Failed), Missing: v.hostLinks(w.Missing),
		})
	}
	return cards
}

// A voteRow is what a host has said.
type voteRow struct {
	hostLink
	Mark  mark
	Wave  int
	Voted moment
	Why   string
}

// A voteTable is what the hosts have said, the worst first, as far as there is room.
type voteTable struct {
	Rows []voteRow
	More int
}

var voteMarks = map[rollout.Kind]mark{
	rollout.Try: {"work", "▶", "trying"}, rollout.OK: {"work", "◐", "runs it"}, rollout.Well: {"ok", "✓", "well"},
	rollout.Bad: {"bad", "✗", "failed"}, rollout.Out: {"gone", "–", "out"}, "": {"shut", "○", "waits"},
}

const maxVotes = 200

func (v view) votes(r *Rollout) voteTable {
	failed := make(map[string]rollout.Failure)
	for _, f := range r.Count.Failures() {
		failed[f.Host] = f
	}
	order := []mark{voteMarks[rollout.Bad], voteMarks[rollout.Try], voteMarks[rollout.OK], voteMarks[rollout.Out], voteMarks[""], voteMarks[rollout.Well]}
	var rows []voteRow
	for _, h := range r.View.Hosts {
		row := voteRow{hostLink{v.nameOf(h.Host), "/h/" + url.PathEscape(h.Host)}, voteMarks[h.Vote], h.Wave, v.when(h.Voted.Time), h.Waits}
		if h.Voted.IsZero() {
			row.Voted.Text = ""
		}
		if f, ok := failed[h.Host]; ok {
			row.Mark = voteMarks[rollout.Bad]
			switch f.Why {
			case rollout.Gone:
				row.Why = "began, and was not heard from again"
			case rollout.Lost:
				row.Why = "ran it, and was not heard from again"
			case rollout.FailedThere:
				row.Why = v.reasonOf(h.Host, r.View.Package)
			}
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b voteRow) int { return slices.Index(order, a.Mark) - slices.Index(order, b.Mark) })
	return voteTable{rows[:min(len(rows), maxVotes)], max(0, len(rows)-maxVotes)}
}

// reasonOf returns what a host says is the matter with a package.
func (s *Snapshot) reasonOf(node string, pkg revision.Package) string {
	i, found := slices.BinarySearchFunc(s.Hosts, node, func(h fleet.Host, node string) int { return strings.Compare(h.Node.String(), node) })
	if !found {
		return ""
	}
	report, _ := s.Hosts[i].Package(pkg)
	return report.Message
}

// A plot is how many hosts said what by when, as lines of a picture that is Width by Height.
type plot struct {
	Width, Height     int
	Well, Begun, Fail string // points of lines
	Area              string // below the line of those that are well
	Ticks             []tick // times
	Levels            []tick // numbers of hosts
	Opened            []tick // waves
	Summary           string // the same in words
	Empty             bool
}

// A tick is a mark at an axis.
type tick struct {
	At    float64
	Label string
}

const (
	plotWidth, plotHeight = 640, 160
	maxPoints             = 300
)

// plot draws the votes. It shows the newest of each host, so what a host said before is not in it.
func (v view) plot(r *Rollout) plot {
	from := r.Count.Plan.Opened
	to := r.Count.At
	if !r.Count.Settled.IsZero() {
		to = r.Count.Settled.Add(r.Count.Settled.Sub(from)/10 + time.Second)
	}
	to = maxTime(to, from.Add(time.Minute))
	var well, begun, fail []time.Time
	for host, vote := range rollout.LastWords(r.Votes) {
		if host == rollout.Operator {
			continue
		}
		begun = append(begun, vote.At)
		if vote.Kind == rollout.Well {
			well = append(well, vote.At)
		}
	}
	for _, f := range r.Count.Failures() {
		fail = append(fail, f.Since)
	}
	top := max(1, r.Count.Plan.Waves[len(r.Count.Plan.Waves)-1].Upto)
	x := func(t time.Time) float64 {
		return plotWidth * min(1, max(0, t.Sub(from).Seconds()/to.Sub(from).Seconds()))
	}
	y := func(n int) float64 { return plotHeight * (1 - float64(min(n, top))/float64(top)) }
	p := plot{Width: plotWidth, Height: plotHeight, Empty: len(begun) == 0}
	p.Well, p.Begun, p.Fail = steps(well, x, y), steps(begun, x, y), steps(fail, x, y)
	p.Area = p.Well + fmt.Sprintf(" %d,%d 0,%d", plotWidth, plotHeight, plotHeight)
	clock := "15:04"
	if to.Sub(from) < 10*time.Minute {
		clock = "15:04:05"
	}
	for i := range 5 {
		at := from.Add(to.Sub(from) * time.Duration(i) / 4)
		p.Ticks = append(p.Ticks, tick{x(at), at.UTC().Format(clock)})
	}
	for _, n := range []int{0, top / 2, top} {
		p.Levels = append(p.Levels, tick{y(n), strconv.Itoa(n)})
	}
	for k, w := range r.Count.Waves {
		if k > 0 && !w.Opened.IsZero() {
			p.Opened = append(p.Opened, tick{x(w.Opened), strconv.Itoa(k + 1)})
		}
	}
	p.Summary = fmt.Sprintf("%d of %s well, %d have begun, %s", len(well), hostCount(top), len(begun), plural(len(fail), "failure"))
	return p
}

// steps draws how many there were by when.
func steps(times []time.Time, x func(time.Time) float64, y func(int) float64) string {
	slices.SortFunc(times, time.Time.Compare)
	points := []string{fmt.Sprintf("0,%g", y(0))}
	every := max(1, len(times)/maxPoints)
	for i, t := range times {
		if i%every != 0 && i != len(times)-1 {
			continue
		}
		points = append(points, fmt.Sprintf("%.1f,%.1f", x(t), y(i-i%every)), fmt.Sprintf("%.1f,%.1f", x(t), y(i+1)))
	}
	return strings.Join(append(points, fmt.Sprintf("%d,%.1f", plotWidth, y(len(times)))), " ")
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
