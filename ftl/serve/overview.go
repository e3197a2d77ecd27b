package serve

import (
	"cmp"
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

// overviewPage tells, in this order, what is wrong now, what is rolled out, what runs where, and
// what was blessed lately.
func overviewPage(v view) (page, error) {
	return page{Title: "Overview", Nav: "overview", Fragments: []fragment{
		{ID: "now", Label: "What is wrong now", template: "now", Data: v.verdict()},
		{ID: "rollouts", Label: "Rollouts", template: "rollouts", Data: v.strips()},
		{ID: "packages", Label: "What runs where", template: "packages", Data: v.rows()},
		{ID: "recent", Label: "What changed lately", template: "recent", Data: v.entries(v.log(), recentEntries)},
	}}, nil
}

const recentEntries = 5

// A verdict is what is wrong now, in one sentence, and what else is.
type verdict struct {
	trouble
	Hosts int
	More  []trouble
}

// A trouble is one thing that is not as it should be.
type trouble struct {
	Class, Icon, Word string
	Text              string // a sentence
	Detail            string // in the words of the host
	Package           revision.Package
	Link              string // where to look
	rank              int
}

// The ranks of troubles, the worst first.
const (
	rankHalted = iota
	rankFailing
	rankBroken
	rankRejected
	rankTwin
	rankSilent
	rankWorking
	rankWell
)

func (v view) verdict() verdict {
	all := v.troubles()
	slices.SortStableFunc(all, func(a, b trouble) int { return cmp.Compare(a.rank, b.rank) })
	return verdict{trouble: all[0], Hosts: v.View.Hosts, More: all[1:]}
}

// troubles returns everything that is not as it should be, or that all is well.
func (v view) troubles() []trouble {
	var all []trouble
	for _, p := range v.View.Packages {
		all = append(all, v.packageTroubles(p)...)
	}
	for _, pkg := range v.Packages {
		if pkg.Broken != "" {
			all = append(all, trouble{"bad", "✗", "Broken", "the marker of " + pkg.Package.String() + " can't be read", pkg.Broken, pkg.Package, "/p/" + pkg.Package.String(), rankBroken})
		}
	}
	add := func(names []string, word, icon, what, link string, rank int) {
		if len(names) > 0 {
			all = append(all, trouble{Class: "warn", Icon: icon, Word: word, Text: hostCount(len(names)) + " " + what, Detail: rollout.List(names), Link: link, rank: rank})
		}
	}
	add(v.View.Broken, "Unreadable", "!", "sent a report that can't be read", "/h?state=unreadable", rankBroken)
	add(v.View.Twins, "Twins", "!", "have a name that two machines use", "/h", rankTwin)
	add(v.View.Silent, "Silent", "?", "not heard from", "/h?state=silent", rankSilent)
	if v.View.Hosts == 0 {
		all = append(all, trouble{Class: "warn", Icon: "?", Word: "Nothing yet", Text: "no host has reported to this bucket", rank: rankSilent})
	}
	if len(all) == 0 {
		all = append(all, trouble{Class: "ok", Icon: "✓", Word: "All is well", Text: "every host that is not held runs what is blessed", rank: rankWell})
	}
	return all
}

// packageTroubles returns what is the matter with a package.
func (v view) packageTroubles(p fleet.Package) []trouble {
	var all []trouble
	link := "/p/" + p.Package.String()
	if p.Rollout != nil && !p.Rollout.Halted.IsZero() {
		all = append(all, trouble{"bad", "■", "Halted", "the rollout of " + p.Blessed.String() + " is halted", p.Rollout.Why, p.Package, link + "/" + strconv.FormatInt(p.Serial, 10), rankHalted})
	}
	for _, problem := range p.Problems {
		var word string
		rank := rankFailing
		m := group(problem.Condition)
		switch m {
		case markFailing:
			word = "failing"
		case markRejected:
			word, rank = "rejected it", rankRejected
		default:
			continue // held ones are as a person wants them, silent ones are told of once
		}
		to := "/h?" + url.Values{"package": {p.Package.String()}, "state": {m.Word}}.Encode()
		if len(problem.Hosts) == 1 {
			to = v.hostLink(problem.Hosts[0])
		}
		detail := rollout.List(problem.Hosts) + ": " + problem.Reason
		if v.person.Output && problem.Output != "" && !strings.Contains(problem.Reason, problem.Output) {
			detail += ": " + problem.Output
		}
		all = append(all, trouble{"bad", m.Icon, hostCount(len(problem.Hosts)) + " " + word, "", detail, p.Package, to, rank})
	}
	if p.Counts.Waiting > 0 {
		working := trouble{
			"work", "…", "In progress", fmt.Sprintf("%d of %s run %s; %d to go", p.On, hostCount(p.Hosts), p.Blessed, p.Counts.Waiting), "", p.Package, link, rankWorking,
		}
		if p.Rollout != nil && !p.Rollout.Halted.IsZero() {
			working.Word, working.Text = "Waiting", fmt.Sprintf("%d of %s run %s; %d keep what they have", p.On, hostCount(p.Hosts), p.Blessed, p.Counts.Waiting)
		}
		all = append(all, working)
	}
	return all
}

// hostLink returns the address of the page of a host that people call so.
func (s *Snapshot) hostLink(name string) string {
	if h, found := fleet.Find(s.Hosts, name); found {
		name = h.Node.String()
	}
	return "/h/" + url.PathEscape(name)
}

// A strip is a rollout in a line.
type strip struct {
	Package  revision.Package
	Revision revision.Revision
	Link     string
	State    mark
	Sentence string
	Why      string
	Waves    []stripWave
}

// A stripWave is a wave as a square of a strip.
type stripWave struct {
	Number int
	Mark   mark
	Text   string // "3 of 4"
	Title  string
	Done   int // of a hundred
}

var (
	rolloutRuns    = mark{"work", "▶", "rolling out"}
	rolloutHalted  = mark{"bad", "■", "halted"}
	rolloutSettled = mark{"ok", "✓", "settled"}
	rolloutPassed  = mark{"gone", "–", "replaced"}
)

// shownSettled is how long a rollout that has settled is still of interest.
const shownSettled = time.Hour

// strips returns the rollouts that are going on, or have just settled.
func (v view) strips() []strip {
	var strips []strip
	for _, pkg := range v.Packages {
		r := pkg.Current()
		if r == nil || !r.Count.Settled.IsZero() && v.Date.Sub(r.Count.Settled) > shownSettled {
			continue
		}
		strips = append(strips, v.strip(r))
	}
	return strips
}

func (v view) strip(r *Rollout) strip {
	st := strip{
		Package: r.View.Package, Revision: r.View.Revision, State: r.state(), Why: r.View.Why,
		Link: fmt.Sprintf("/p/%s/%d", r.View.Package, r.View.Serial),
	}
	for k, w := range r.View.Waves {
		st.Waves = append(st.Waves, stripWave{
			Number: k + 1, Mark: waveMark(w, r), Text: fmt.Sprintf("%d of %d", w.Well, w.Hosts), Done: percent(w.Well, max(w.Need, 1)),
			Title: fmt.Sprintf("wave %d of %d: %d of %s are well, %d needed", k+1, len(r.View.Waves), w.Well, hostCount(w.Hosts), w.Need),
		})
	}
	st.Sentence = v.sentence(r)
	return st
}

// state returns how a rollout stands.
func (r *Rollout) state() mark {
	switch {
	case !r.Count.Settled.IsZero():
		return rolloutSettled
	case r.Over:
		return rolloutPassed
	case r.Count.Halt != nil:
		return rolloutHalted
	}
	return rolloutRuns
}

// sentence says how far a rollout is.
func (v view) sentence(r *Rollout) string {
	open := r.Count.Done()
	w := r.View.Waves[open]
	text := fmt.Sprintf("wave %d of %d: %d of %s well", open+1, len(r.View.Waves), w.Well, hostCount(w.Hosts))
	switch r.state() {
	case rolloutSettled:
		return "every wave is well, " + v.when(r.Count.Settled).Text
	case rolloutHalted:
		return fmt.Sprintf("%s; %s, %s", text, plural(len(r.Count.Failures()), "failure"), v.when(r.Count.Halt.At).Text)
	case rolloutPassed:
		return text + " when a later blessing took its place"
	}
	if n := len(w.Undecided); n > 0 {
		text += fmt.Sprintf(", %d at work", n)
	}
	if len(w.Failed) > 0 {
		text += fmt.Sprintf(", %d failed", len(w.Failed))
	}
	if opens := r.opens(); !opens.IsZero() && open+1 < len(r.View.Waves) {
		text += ", opens next ≈ " + opens.UTC().Format("15:04") + " UTC"
	}
	return text
}

// opens returns when the next wave opens if all goes well on the hosts that are at work; zero where
// they are too few.
func (r *Rollout) opens() time.Time {
	open := r.Count.Done()
	plan, wave := r.Count.Plan.Waves[open], r.Count.Waves[open]
	missing := plan.Need - len(wave.Well)
	if missing < 1 || missing > len(wave.Undecided) {
		return time.Time{}
	}
	begun := slices.SortedFunc(slices.Values(wave.Undecided), func(a, b rollout.Vote) int { return a.At.Compare(b.At) })
	return maxTime(begun[missing-1].At.Add(plan.Soak), r.Count.At)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

func percent(n, of int) int {
	if of <= 0 {
		return 0
	}
	return min(100, n*100/of)
}

func waveMark(w fleet.Wave, r *Rollout) mark {
	switch {
	case len(w.Failed) > 0 && r.Count.Halt != nil:
		return mark{"bad", "✗", "failed"}
	case w.State == "done":
		return mark{"ok", "✓", "done"}
	case w.State == "open" && r.Count.Halt != nil:
		return mark{"bad", "■", "halted"}
	case w.State == "open":
		return mark{"work", "▶", "open"}
	}
	return mark{"shut", "○", "shut"}
}

// A packageRow is a package among others.
type packageRow struct {
	Package   revision.Package
	Link      string
	Blessed   revision.Revision
	Retired   bool
	By, Note  string
	At        moment
	On, Hosts int
	Percent   int
	Parts     []part
	Running   []running
	Commit    string
}

// A part is some of the hosts of a package, as a piece of a bar.
type part struct {
	mark
	Hosts    int
	From, To float64 // of a hundred
	Link     string
}

// Width is how long the piece is.
func (p part) Width() float64 { return p.To - p.From }

// running is a revision that hosts run beside the blessed one.
type running struct {
	Revision revision.Revision
	Hosts    int
}

func (v view) rows() []packageRow {
	var rows []packageRow
	for _, p := range v.View.Packages {
		rows = append(rows, v.row(p))
	}
	return rows
}

func (v view) row(p fleet.Package) packageRow {
	row := packageRow{
		Package: p.Package, Link: "/p/" + p.Package.String(), Blessed: p.Blessed, By: p.By, Note: p.Note, At: v.when(p.BlessedAt.Time),
		On: p.On, Hosts: p.Hosts, Percent: percent(p.On, p.Hosts), Parts: parts(p),
	}
	if pkg, found := v.Package(p.Package); found {
		row.Retired = pkg.Marker.Retired()
		if active, ok := pkg.Marker.Active(); ok {
			row.Commit = commitOf(active.Labels)
		}
	}
	for _, r := range p.Running {
		if r.Revision != p.Blessed {
			row.Running = append(row.Running, running(r))
		}
	}
	return row
}

// commitOf returns what a revision was built from, as far as its labels tell.
func commitOf(labels catalog.Labels) string { return cmp.Or(labels["commit"], labels["image-tag"]) }

// parts cuts the hosts of a package into pieces by their state.
func parts(p fleet.Package) []part {
	c := p.Counts
	counts := map[mark]int{
		markOK: p.On, markWaiting: c.Waiting, markFailing: c.Failing, markRejected: c.Rejected, markHeld: c.Held, markSilent: c.Silent,
	}
	var all []part
	from := 0.0
	for _, m := range []mark{markOK, markWaiting, markFailing, markRejected, markHeld, markSilent} {
		if counts[m] == 0 {
			continue
		}
		to := from + float64(counts[m])*100/float64(max(p.Hosts, 1))
		all = append(all, part{m, counts[m], from, to, "/h?" + url.Values{"package": {p.Package.String()}, "state": {m.Word}}.Encode()})
		from = to
	}
	return all
}

// A logRow is an entry of a marker.
type logRow struct {
	At       moment
	Package  revision.Package
	Revision revision.Revision
	Serial   int64
	Link     string
	Verb     string
	By, Note string
	Commit   string
	Outcome  mark
}

// entries shows the first of some entries.
func (v view) entries(all []catalog.Entry, most int) []logRow {
	var rows []logRow
	for _, entry := range all[:min(len(all), most)] {
		rows = append(rows, v.entry(entry))
	}
	return rows
}

func (v view) entry(e catalog.Entry) logRow {
	name := e.Revision.Package()
	row := logRow{
		At: v.when(e.At), Package: name, Revision: e.Revision, Serial: e.Serial, Link: "/p/" + name.String(), Verb: e.Verb(), By: e.By, Note: e.Note,
		Commit: commitOf(e.Labels),
	}
	if e.Kind == catalog.KindJumpBack {
		row.Verb = "back to"
	}
	pkg, found := v.Package(name)
	if !found {
		return row
	}
	if r, has := pkg.Rollout(e.Serial); has {
		row.Link = fmt.Sprintf("/p/%s/%d", name, e.Serial)
		row.Outcome = r.state()
		return row
	}
	if newest, _ := pkg.Marker.Newest(); newest.Serial == e.Serial {
		row.Outcome = v.outcome(name)
	}
	return row
}

// outcome says how what is blessed of a package fares.
func (v view) outcome(name revision.Package) mark {
	p := v.Fleet(name)
	switch c := p.Counts; {
	case p.Hosts == 0:
		return mark{"gone", "–", "no hosts"}
	case c.Failing+c.Rejected > 0:
		return mark{"bad", "✗", "failing on " + hostCount(c.Failing+c.Rejected)}
	case c.Waiting > 0:
		return mark{"work", "…", fmt.Sprintf("on %d of %d", p.On, p.Hosts)}
	}
	return mark{"ok", "✓", "on " + hostCount(p.On)}
}
