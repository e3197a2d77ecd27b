package serve

import (
	"net/url"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
)

type packageReport = catalog.PackageReport

// hostPage tells of one host: its packages, the steps of the last change of each, and what holds
// each back.
func hostPage(v view) (page, error) {
	name := v.path("host")
	h, found := fleet.Find(v.Hosts, name)
	if !found {
		return page{}, &missing{"No host " + name + " has reported."}
	}
	p := page{Title: h.Name(), Nav: "hosts", Fragments: []fragment{{ID: "host", Label: "The host", template: "host-head", Data: v.hostHead(h)}}}
	for _, report := range h.Packages {
		p.Fragments = append(p.Fragments, fragment{
			ID: "package-" + report.Package.String(), Label: report.Package.String(), template: "host-package", Data: v.hostPackage(h, report),
		})
	}
	return p, nil
}

// hostHead is what a host says of itself.
type hostHead struct {
	fleet.Host
	Mark     mark
	Text     string
	Heard    moment
	Every    string
	Labels   []string
	Link     string
	Overlong bool
}

func (v view) hostHead(h fleet.Host) hostHead {
	head := hostHead{Host: h, Labels: labelWords(h.Labels), Mark: v.markOfHost(h), Heard: v.when(h.At), Link: "/h/" + url.PathEscape(h.Node.String()), Overlong: h.Cut}
	if h.Every > 0 {
		head.Every = seconds(time.Duration(h.Every))
	}
	switch {
	case h.Broken != "":
		head.Text = "Its report can't be read: " + h.Broken
	case h.Silent:
		head.Text = "It was not heard from since, and should have been. What follows is what it said then."
	case h.Twin:
		head.Text = "Two machines call themselves so; give one of them another FTL_NODE."
	}
	return head
}

// hostPackage is a package on a host.
type hostPackage struct {
	packageReport
	Mark      mark
	Link      string
	When      moment
	Synced    moment
	Held      moment
	Jumped    moment
	Took      string
	Decisions []decision
	Steps     []step
	Output    string // of what failed
	Command   string // to type there
}

// A decision is a line of ftl why.
type decision struct {
	Mark                         mark
	About, Message, Hint, Output string
	First                        bool
	When                         moment
}

// A step is one of the last change.
type step struct {
	Mark          mark
	Name, Message string
	Took          string
	From, Width   float64 // of a hundred
	Own           bool    // of a hook
}

func (v view) hostPackage(h fleet.Host, report packageReport) hostPackage {
	p := hostPackage{
		packageReport: report, Mark: markOf(h.Condition(report, v.blessed(report))), Link: "/p/" + report.Package.String(),
		When: v.when(report.Since.Time), Synced: v.when(report.LastSync.Time), Held: v.when(report.HeldSince.Time),
		Steps: v.steps(report.Steps), Command: command("why", report.Package.String()),
	}
	if report.Jump != nil {
		p.Jumped, p.Took = v.when(report.Jump.Time), seconds(time.Duration(report.Jump.Took))
	}
	for _, d := range report.Decisions {
		shown := decision{markOf(d.Condition), d.About, d.Message, d.Hint, "", d.First, v.when(d.Since.Time)}
		if v.person.Output {
			shown.Output = strings.TrimRight(d.Output, "\n")
			if d.First {
				p.Output = shown.Output
			}
		}
		p.Decisions = append(p.Decisions, shown)
	}
	switch {
	case p.Output != "":
		p.Command = command("log", report.Package.String())
	case report.Condition == ftl.Held:
		p.Command = command("unhold", report.Package.String())
	}
	return p
}

var stepMarks = map[ftl.State]mark{
	ftl.Running: {"work", "▶", "running"}, ftl.Success: {"ok", "✓", "done"}, ftl.Failure: {"bad", "✗", "failed"}, ftl.Planned: {"shut", "○", "planned"},
}

// steps returns the steps of a change, each where it stands in the time that all of them took.
func (v view) steps(events []ftl.Event) []step {
	if len(events) == 0 {
		return nil
	}
	took := func(e ftl.Event) time.Duration { return time.Duration(e.Seconds * float64(time.Second)) }
	first, last := events[0].Time.Add(-took(events[0])), events[0].Time
	ended := make(map[ftl.Step]bool)
	for _, e := range events {
		if begun := e.Time.Add(-took(e)); begun.Before(first) {
			first = begun
		}
		if e.Time.After(last) {
			last = e.Time
		}
		ended[e.Step] = ended[e.Step] || e.State != ftl.Running
	}
	whole := max(last.Sub(first), time.Millisecond).Seconds()
	var steps []step
	for _, e := range events {
		if e.State == ftl.Running && ended[e.Step] {
			continue
		}
		_, name, own := e.Step.Own()
		if !own {
			name = string(e.Step)
		}
		s := step{
			Mark: stepMarks[e.State], Name: name, Message: e.Message, Took: seconds(took(e)), Own: own,
			From: 100 * e.Time.Add(-took(e)).Sub(first).Seconds() / whole, Width: max(0.6, 100*took(e).Seconds()/whole),
		}
		if e.State == ftl.Running {
			s.Took, s.Width = "since "+v.when(e.Time).Text, 100-s.From
		}
		steps = append(steps, s)
	}
	return steps
}
