package fleet

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// Overview is what a fleet looks like at a moment.
type Overview struct {
	Date     time.Time `json:"date"` // the bucket's clock
	Hosts    int       `json:"hosts"`
	Silent   []string  `json:"silent"` // hosts that were not heard from
	Twins    []string  `json:"twins"`  // names that two machines have
	Broken   []string  `json:"broken"` // hosts whose reports can't be read
	Packages []Package `json:"packages"`
}

// Package is how a package stands in a fleet.
type Package struct {
	Package   revision.Package  `json:"package"`
	Blessed   revision.Revision `json:"blessed"` // zero where nothing is
	Serial    int64             `json:"serial"`
	BlessedAt ftl.Time          `json:"blessed_at"`
	By        string            `json:"by"`
	Note      string            `json:"note"`

	Hosts    int       `json:"hosts"`    // that are subscribed, also those that are silent
	On       int       `json:"on"`       // of them run what is blessed, and are well
	Counts   Counts    `json:"counts"`   // the rest
	Running  []Running `json:"running"`  // what runs, the revision with the most hosts first
	Problems []Problem `json:"problems"` // the worst first
	Rollout  *Progress `json:"rollout"`  // nil: the entry has no waves
}

// Counts are how many hosts are in a condition.
type Counts struct {
	Waiting  int `json:"waiting"` // behind, or pending
	Failing  int `json:"failing"` // failed, or inconsistent
	Held     int `json:"held"`
	Rejected int `json:"rejected"`
	Silent   int `json:"silent"`
}

// Running is how many hosts run a revision.
type Running struct {
	Revision revision.Revision `json:"revision"` // zero where nothing is active
	Hosts    int               `json:"hosts"`
}

// Problem is what is the matter with hosts, in the same words.
type Problem struct {
	Condition ftl.Condition `json:"state"`
	Reason    string        `json:"reason"`
	Output    string        `json:"output"` // the last line of what the hook printed that it is about; "" for none
	Hosts     []string      `json:"hosts"`
	Since     ftl.Time      `json:"since"` // of the first of them
}

// Progress is how far a rollout is.
type Progress struct {
	Waves   []WaveProgress `json:"waves"`
	Settled ftl.Time       `json:"settled"`
	Halted  ftl.Time       `json:"halted"`
	Why     string         `json:"why"` // it was halted
	Next    string         `json:"next"`
}

// WaveProgress is how far a wave is.
type WaveProgress struct {
	Hosts     int      `json:"hosts"` // of its own
	Opened    ftl.Time `json:"opened"`
	Need      int      `json:"need"`
	Well      int      `json:"well"`
	Undecided int      `json:"undecided"`
	Failed    int      `json:"failed"`
	Halt      int      `json:"halt"`
}

// Blessing is what the bucket says of a package.
type Blessing struct {
	Package revision.Package
	Marker  catalog.Marker
	Count   *rollout.Count // nil: the newest entry has no waves
}

// View draws the picture of hosts that have reported, with what is blessed, at a moment by the
// bucket's clock.
func View(hosts []Host, blessings []Blessing, now time.Time) Overview {
	o := Overview{Date: now, Hosts: len(hosts), Silent: []string{}, Twins: []string{}, Broken: []string{}, Packages: []Package{}}
	for _, h := range hosts {
		if h.Silent {
			o.Silent = append(o.Silent, h.Name())
		}
		if h.Twin {
			o.Twins = append(o.Twins, h.Name())
		}
		if h.Broken != "" {
			o.Broken = append(o.Broken, h.Name())
		}
	}
	for _, b := range blessings {
		o.Packages = append(o.Packages, viewPackage(hosts, b))
	}
	slices.SortStableFunc(o.Packages, func(a, b Package) int { return cmp.Compare(b.severity(), a.severity()) })
	return o
}

func viewPackage(hosts []Host, b Blessing) Package {
	p := Package{Package: b.Package, Running: []Running{}, Problems: []Problem{}}
	if active, ok := b.Marker.Active(); ok {
		p.Blessed, p.Serial, p.BlessedAt, p.By, p.Note = active.Revision, active.Serial, ftl.At(active.At), active.By, active.Note
	}
	running := make(map[revision.Revision]int)
	problems := make(map[string]*Problem)
	for _, h := range hosts {
		report, subscribed := h.Package(b.Package)
		if !subscribed {
			continue
		}
		p.Hosts++
		if !h.Silent {
			running[report.Current]++
		}
		condition := p.count(h, report)
		if !condition.Converged() && condition != ftl.Behind && condition != ftl.Pending {
			addProblem(problems, condition, h, report)
		}
	}
	for r, n := range running {
		p.Running = append(p.Running, Running{r, n})
	}
	slices.SortFunc(p.Running, func(a, b Running) int {
		return cmp.Or(cmp.Compare(b.Hosts, a.Hosts), revision.Compare(b.Revision, a.Revision))
	})
	for _, problem := range problems {
		p.Problems = append(p.Problems, *problem)
	}
	p.Problems = append(p.Problems, divided(hosts, b.Package)...)
	slices.SortFunc(p.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(severity(b.Condition), severity(a.Condition)), cmp.Compare(len(b.Hosts), len(a.Hosts)), cmp.Compare(a.Reason, b.Reason),
			cmp.Compare(a.Output, b.Output))
	})
	if b.Count != nil {
		p.Rollout = progress(b.Count)
	}
	return p
}

// divided finds hosts that were shown different blessings under one serial: somebody has written
// the marker for each.
func divided(hosts []Host, pkg revision.Package) []Problem {
	type seen struct {
		hosts   []string
		entries map[catalog.Digest]bool
	}
	serials := make(map[int64]*seen)
	for _, h := range hosts {
		report, subscribed := h.Package(pkg)
		if !subscribed || report.Newest == 0 || report.Entry == (catalog.Digest{}) {
			continue
		}
		if serials[report.Newest] == nil {
			serials[report.Newest] = &seen{entries: make(map[catalog.Digest]bool)}
		}
		s := serials[report.Newest]
		s.hosts, s.entries[report.Entry] = append(s.hosts, h.Name()), true
	}
	var problems []Problem
	for serial, s := range serials {
		if len(s.entries) > 1 {
			reason := fmt.Sprintf("they were shown different blessings under the serial %d", serial)
			problems = append(problems, Problem{Condition: ftl.Inconsistent, Reason: reason, Hosts: s.hosts})
		}
	}
	return problems
}

// Silent is the condition of every package of a host that was not heard from. Only readers have it.
const Silent ftl.Condition = "silent"

// Condition returns how a package of the host stands to what is blessed. A host that says it is
// well, of another revision than the blessed one, has not heard of that yet.
func (h Host) Condition(report catalog.PackageReport, blessed revision.Revision) ftl.Condition {
	switch {
	case h.Silent:
		return Silent
	case report.Condition == ftl.OK && blessed != (revision.Revision{}) && report.Current != blessed:
		return ftl.Behind
	}
	return report.Condition
}

// count adds a host to the counts, and returns its condition.
func (p *Package) count(h Host, report catalog.PackageReport) ftl.Condition {
	condition := h.Condition(report, p.Blessed)
	switch {
	case condition == Silent:
		p.Counts.Silent++
	case condition.Converged():
		p.On++
	case condition == ftl.Held:
		p.Counts.Held++
	case condition == ftl.Rejected:
		p.Counts.Rejected++
	case condition == ftl.Failed || condition == ftl.Inconsistent:
		p.Counts.Failing++
	default:
		p.Counts.Waiting++
	}
	return condition
}

func addProblem(problems map[string]*Problem, condition ftl.Condition, h Host, report catalog.PackageReport) {
	reason := Reason(report.Message)
	since := report.Since
	output := printed(report)
	if condition == Silent {
		reason, output, since = "not heard from", "", ftl.At(h.At)
	}
	key := string(condition) + "\n" + reason + "\n" + Reason(output)
	problem, ok := problems[key]
	if !ok {
		problem = &Problem{Condition: condition, Reason: reason, Output: output, Since: since}
		problems[key] = problem
	}
	problem.Hosts = append(problem.Hosts, h.Name())
	if !since.IsZero() && (problem.Since.IsZero() || since.Before(problem.Since.Time)) {
		problem.Since = since
	}
}

// What differs from host to host in what is otherwise the same: times, how often something was
// tried, and processes.
var incidental = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(` ?\((once|\d+ times), last at [^)]*\)`), ""},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`), "…"},
	{regexp.MustCompile(`\bpid \d+`), "pid …"},
	{regexp.MustCompile(`; the next (try|sync)[^;]*$`), ""},
	{regexp.MustCompile(`\d+(\.\d+)?(ms|µs|s)\b`), "…s"},
}

// printed returns the last line of what a hook has printed, as far as the host tells it, where that
// holds a package back.
func printed(report catalog.PackageReport) string {
	for _, d := range report.Decisions {
		if text := strings.TrimSpace(d.Output); d.First && text != "" {
			return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
		}
	}
	return ""
}

// Reason returns a message without what differs from host to host, so that the same failure reads
// the same.
func Reason(message string) string {
	for _, i := range incidental {
		message = i.pattern.ReplaceAllString(message, i.by)
	}
	return strings.TrimSpace(message)
}

// severity orders conditions, the worst highest.
func severity(c ftl.Condition) int {
	return slices.Index([]ftl.Condition{ftl.OK, ftl.Retired, ftl.Held, ftl.Pending, ftl.Behind, Silent, ftl.Rejected, ftl.Failed, ftl.Inconsistent}, c)
}

func (p Package) severity() int {
	worst := 0
	if p.Counts.Waiting > 0 {
		worst = severity(ftl.Behind)
	}
	for _, problem := range p.Problems {
		worst = max(worst, severity(problem.Condition))
	}
	if p.Rollout != nil && !p.Rollout.Halted.IsZero() {
		worst = severity(ftl.Inconsistent) + 1
	}
	return worst
}

// progress says how far a rollout is.
func progress(c *rollout.Count) *Progress {
	p := &Progress{Settled: ftl.At(c.Settled)}
	before := 0
	for k, w := range c.Waves {
		plan := c.Plan.Waves[k]
		p.Waves = append(p.Waves, WaveProgress{
			Hosts: plan.Upto - before, Opened: ftl.At(w.Opened), Need: plan.Need, Well: len(w.Well), Undecided: len(w.Undecided),
			Failed: len(w.Failures), Halt: plan.Halt,
		})
		before = plan.Upto
	}
	if c.Halt != nil {
		p.Halted, p.Why = ftl.At(c.Halt.At), c.Halt.String()
	}
	return p
}

// Well reports whether nothing is wrong: every host was heard from, and those that are not held run
// what is blessed.
func (o Overview) Well() bool {
	if o.Hosts == 0 || len(o.Silent)+len(o.Twins)+len(o.Broken) > 0 {
		return false
	}
	for _, p := range o.Packages {
		c := p.Counts
		halted := p.Rollout != nil && !p.Rollout.Halted.IsZero()
		if halted || c.Waiting+c.Failing+c.Rejected+c.Silent > 0 {
			return false
		}
	}
	return true
}

// Headline says in one sentence what is the matter, the worst first.
func (o Overview) Headline() string {
	switch {
	case o.Hosts == 0:
		return "no host has reported"
	case len(o.Packages) == 0:
		return fmt.Sprintf("%s reported, and none is subscribed to anything", count(o.Hosts))
	}
	worst := o.Packages[0]
	if worst.Rollout != nil && !worst.Rollout.Halted.IsZero() {
		return fmt.Sprintf("the rollout of %s is halted: %s", worst.Blessed, worst.Rollout.Why)
	}
	if len(worst.Problems) > 0 {
		p := worst.Problems[0]
		if text, bad := troubles[p.Condition]; bad {
			return fmt.Sprintf("%s %s %s (%s)", worst.Package, text, count(len(p.Hosts)), rollout.List(p.Hosts))
		}
	}
	switch {
	case len(o.Broken) > 0:
		return fmt.Sprintf("the report of %s can't be read (%s)", count(len(o.Broken)), rollout.List(o.Broken))
	case len(o.Twins) > 0:
		return fmt.Sprintf("two machines have the name of %s (%s)", count(len(o.Twins)), rollout.List(o.Twins))
	case len(o.Silent) > 0:
		return fmt.Sprintf("not heard from %s (%s)", count(len(o.Silent)), rollout.List(o.Silent))
	case worst.Counts.Waiting > 0:
		return fmt.Sprintf("%d of %s run %s", worst.On, count(worst.Hosts), worst.Blessed)
	}
	return "every host that is not held runs what is blessed"
}

// troubles says in words which conditions are trouble.
var troubles = map[ftl.Condition]string{
	ftl.Inconsistent: "has no revision that works on", ftl.Failed: "failed on", ftl.Rejected: "was rejected on",
}

func count(hosts int) string {
	if hosts == 1 {
		return "1 host"
	}
	return fmt.Sprintf("%d hosts", hosts)
}
