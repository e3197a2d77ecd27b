package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// fleetFlags are how the fleet is shown.
type fleetFlags struct {
	wanted, hosts, watch bool
	host                 string
	labels               []string
}

func (f *fleetFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.BoolVar(&f.wanted, "fleet", false, "show all hosts, by what they have reported to the bucket")
	flags.BoolVar(&f.hosts, "hosts", false, "with --fleet: a line for each host")
	flags.BoolVar(&f.watch, "watch", false, "with --fleet: go on, and show what changes")
	flags.StringVar(&f.host, "host", "", "with --fleet: one host, as ftl why would say it there")
	flags.StringArrayVar(&f.labels, "label", nil, "with --fleet: only hosts with NAME=VALUE; may be given several times")
}

// check refuses flags that need --fleet, and those that contradict each other.
func (f fleetFlags) check(command *cobra.Command) error {
	for _, name := range []string{"hosts", "watch", "host", "label"} {
		if command.Flags().Changed(name) && !f.wanted {
			return usage(errors.New("--"+name+" needs --fleet"), command.CommandPath()+" --help")
		}
	}
	if f.hosts && f.host != "" {
		return usage(errors.New("--hosts and --host contradict each other"), command.CommandPath()+" --help")
	}
	return nil
}

// A fleetPicture is the fleet at a moment.
type fleetPicture struct {
	hosts []fleet.Host // those that are asked for
	view  fleet.Overview
}

// A fleetReader reads pictures, and of what it has read before only what has changed.
type fleetReader struct {
	*reports
	packages []revision.Package // that are asked for; none is all
	labels   map[string]string
}

// redraw is how often a picture is drawn anew.
const redraw = 3 * time.Second

func (p *Program) statusFleet(ctx context.Context, s settings, args []string, flags fleetFlags) error {
	packages, err := parsePackages(args)
	if err != nil {
		return err
	}
	labels, err := parseLabels(strings.Join(flags.labels, ","))
	if err != nil {
		return usage(fmt.Errorf("--label: %w", err), "for example: --label zone=a")
	}
	bucket, err := p.bucket(ctx, s)
	if err != nil {
		return err
	}
	reader := &fleetReader{p.reports(s, bucket), packages, labels}
	if flags.watch {
		return p.watchFleet(ctx, reader, flags)
	}
	picture, err := reader.picture(ctx)
	if err != nil {
		return err
	}
	return p.showFleet(picture, flags)
}

// watchFleet shows a picture each few seconds: in the same place on a terminal, elsewhere where it
// is another one.
func (p *Program) watchFleet(ctx context.Context, reader *fleetReader, flags fleetFlags) error {
	shown := ""
	for {
		picture, err := reader.picture(ctx)
		if ctx.Err() == nil && err != nil && !unreachable(err) {
			return err
		}
		if err == nil {
			var text strings.Builder
			page := &Program{Stdout: &text, Stderr: p.Stderr, output: p.output}
			if err := page.showFleet(picture, flags); err != nil && !isSilent(err) {
				return err
			}
			now := picture.withoutAge(text.String())
			switch {
			case p.screen:
				io.WriteString(p.Stdout, overdrawn(text.String()))
			case now != shown:
				io.WriteString(p.Stdout, text.String())
			}
			shown = now
		} else if ctx.Err() == nil {
			p.warn("%v; what is shown is older", err)
		}
		select {
		case <-ctx.Done():
			return silentError{context.Cause(ctx)}
		case <-time.After(redraw):
		}
	}
}

// overdrawn draws a page over the one before, without a moment in which there is none.
func overdrawn(page string) string {
	const top, endOfLine, below = "\x1b[H", "\x1b[K", "\x1b[J"
	return top + strings.ReplaceAll(page, "\n", endOfLine+"\n") + below
}

// withoutAge leaves out of a page what changes by itself.
func (f fleetPicture) withoutAge(page string) string {
	var kept []string
	for line := range strings.SplitSeq(page, "\n") {
		if !strings.HasPrefix(line, ageOf) {
			kept = append(kept, line)
		}
	}
	return strings.ReplaceAll(strings.Join(kept, "\n"), f.view.Date.Format(time.RFC3339Nano), "")
}

// ageOf begins the line that says how old the picture is.
const ageOf = "as of "

// parallelMarkers is how many markers are read at once.
const parallelMarkers = 16

// picture reads the reports, what is blessed, and the votes for what is rolled out.
func (r *fleetReader) picture(ctx context.Context) (fleetPicture, error) {
	hosts, now, err := r.read(ctx)
	if err != nil {
		return fleetPicture{}, err
	}
	hosts = slices.DeleteFunc(hosts, func(h fleet.Host) bool { return !h.Matches(r.labels) })
	packages := r.packages
	if len(packages) == 0 {
		packages = reportedPackages(hosts)
	}
	blessings := make([]fleet.Blessing, len(packages))
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(parallelMarkers)
	for i, pkg := range packages {
		group.Go(func() (err error) {
			blessings[i], err = readBlessing(reading, r.Catalog, pkg)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fleetPicture{}, err
	}
	if len(r.packages) > 0 {
		hosts = slices.DeleteFunc(hosts, func(h fleet.Host) bool {
			return !slices.ContainsFunc(packages, func(pkg revision.Package) bool { _, has := h.Package(pkg); return has })
		})
		if err := r.known(ctx, hosts, blessings); err != nil {
			return fleetPicture{}, err
		}
	}
	return fleetPicture{hosts, fleet.View(hosts, blessings, now)}, nil
}

// known refuses a package that neither the bucket nor a host has.
func (r *fleetReader) known(ctx context.Context, hosts []fleet.Host, blessings []fleet.Blessing) error {
	for _, b := range blessings {
		has := func(h fleet.Host) bool { _, subscribed := h.Package(b.Package); return subscribed }
		if len(b.Marker.Entries) > 0 || slices.ContainsFunc(hosts, has) {
			continue
		}
		if _, _, err := r.Catalog.Revisions(ctx, b.Package); err != nil {
			return err
		}
	}
	return nil
}

// reportedPackages returns the packages that hosts are subscribed to.
func reportedPackages(hosts []fleet.Host) []revision.Package {
	seen := make(map[revision.Package]bool)
	var packages []revision.Package
	for _, h := range hosts {
		for _, p := range h.Packages {
			if !seen[p.Package] {
				seen[p.Package] = true
				packages = append(packages, p.Package)
			}
		}
	}
	slices.SortFunc(packages, func(a, b revision.Package) int { return strings.Compare(a.String(), b.String()) })
	return packages
}

func readBlessing(ctx context.Context, bucket *catalog.Catalog, pkg revision.Package) (fleet.Blessing, error) {
	marker, err := bucket.Marker(ctx, pkg)
	if err != nil {
		return fleet.Blessing{}, err
	}
	blessing := fleet.Blessing{Package: pkg, Marker: marker}
	active, blessed := marker.Active()
	if !blessed || active.Rollout == nil {
		return blessing, nil
	}
	votes, err := bucket.Votes(ctx, pkg, active.Serial)
	if err != nil {
		return blessing, err
	}
	blessing.Count = votes.Count(active.Rollout)
	return blessing, nil
}

// errNotWell is a fleet in which something is wrong, which what was printed says.
var errNotWell = errors.New("something is wrong in the fleet")

func (p *Program) showFleet(f fleetPicture, flags fleetFlags) error {
	if flags.host != "" {
		return p.showHost(f, flags.host)
	}
	switch {
	case p.json && flags.hosts:
		for _, h := range f.hosts {
			p.writeJSON(h)
		}
	case p.json:
		p.writeJSON(f.view)
	case flags.hosts:
		p.printHosts(f.hosts)
	default:
		p.printFleet(f)
	}
	if f.view.Well() {
		return nil
	}
	return silentError{errNotWell}
}

// printFleet prints the first screen: what is wrong, what runs where, what is rolled out, and how
// old all of it is.
func (p *Program) printFleet(f fleetPicture) {
	p.print("%s", f.view.Headline())
	if len(f.view.Packages) > 0 {
		p.print("")
		rows := [][]string{{"PACKAGE", "BLESSED", "RUN IT", "WAITING", "FAILING", "REJECTED", "HELD", "SILENT", "ROLLOUT"}}
		for _, pkg := range f.view.Packages {
			c := pkg.Counts
			rows = append(rows, []string{
				pkg.Package.String(), orDash(pkg.Blessed.ID()), fmt.Sprintf("%d of %d", pkg.On, pkg.Hosts), strconv.Itoa(c.Waiting), strconv.Itoa(c.Failing),
				strconv.Itoa(c.Rejected), strconv.Itoa(c.Held), strconv.Itoa(c.Silent), rolloutText(pkg.Rollout),
			})
		}
		p.printTable(rows)
	}
	for _, pkg := range f.view.Packages {
		p.printFleetPackage(pkg)
	}
	p.print("")
	p.print("%s", f.age())
}

// printFleetPackage prints what runs of a package, and what is wrong, with the hosts.
func (p *Program) printFleetPackage(pkg fleet.Package) {
	if len(pkg.Problems) == 0 && len(pkg.Running) < 2 {
		return
	}
	p.print("")
	var running []string
	for _, r := range pkg.Running {
		running = append(running, fmt.Sprintf("%s on %s", orNothing(r.Revision), hostCount(r.Hosts)))
	}
	p.print("%s: %s", pkg.Package, strings.Join(running, ", "))
	if pkg.Rollout != nil && pkg.Rollout.Why != "" {
		p.print("  the rollout is halted: %s", pkg.Rollout.Why)
	}
	for _, problem := range pkg.Problems {
		p.print("  %s: %s since %s: %s", problem.Condition, hostCount(len(problem.Hosts)), ftl.Clock(problem.Since.Time), orDash(problem.Reason))
		if problem.Output != "" {
			p.print("    it printed: %s", hooks.Harmless(problem.Output))
		}
		p.print("    %s", rollout.List(problem.Hosts))
	}
}

func orNothing(r revision.Revision) string {
	if r == (revision.Revision{}) {
		return "nothing"
	}
	return r.ID()
}

// rolloutText says how far a rollout is.
func rolloutText(r *fleet.Progress) string {
	if r == nil {
		return "-"
	}
	open := 0
	for _, w := range r.Waves {
		if !w.Opened.IsZero() {
			open++
		}
	}
	text := fmt.Sprintf("wave %d of %d", open, len(r.Waves))
	switch {
	case !r.Halted.IsZero():
		return text + ", halted"
	case !r.Settled.IsZero():
		return "settled"
	}
	return text
}

// age says how old the picture is.
func (f fleetPicture) age() string {
	text := ageOf + ftl.Clock(f.view.Date) + ", by what " + hostCount(len(f.hosts)) + " reported"
	if len(f.hosts) == 0 {
		return text
	}
	oldest, newest := f.hosts[0].At, f.hosts[0].At
	for _, h := range f.hosts {
		if h.At.Before(oldest) {
			oldest = h.At
		}
		if h.At.After(newest) {
			newest = h.At
		}
	}
	ago := func(t time.Time) time.Duration { return max(0, f.view.Date.Sub(t)).Round(time.Second) }
	return fmt.Sprintf("%s, %v to %v ago", text, ago(newest), ago(oldest))
}

// printHosts prints a line for each package of each host.
func (p *Program) printHosts(hosts []fleet.Host) {
	rows := [][]string{{"HOST", "PACKAGE", "STATE", "CURRENT", "SINCE", "REPORTED", "FTL", "LABELS", "MESSAGE"}}
	for _, h := range hosts {
		of := h.Packages
		if len(of) == 0 {
			of = make([]catalog.PackageReport, 1)
		}
		for _, pkg := range of {
			state, message := string(pkg.Condition), pkg.Message
			switch {
			case h.Broken != "":
				state, message = "unreadable", h.Broken
			case h.Silent:
				state, message = "silent", "was "+state+" when it was last heard from"
			}
			rows = append(rows, []string{
				h.Name(), orDash(pkg.Package.String()), orDash(state), orDash(pkg.Current.ID()), ftl.Clock(pkg.Since.Time), ftl.Clock(h.At),
				orDash(h.Version), orDash(labelText(h.Labels)), orDash(message),
			})
		}
	}
	p.printTable(rows)
}

// labelText is the labels as FTL_LABELS has them.
func labelText(labels map[string]string) string {
	var words []string
	for name, value := range labels {
		words = append(words, name+"="+value)
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}

// showHost prints one host, as ftl why would say it there.
func (p *Program) showHost(f fleetPicture, name string) error {
	h, found := fleet.Find(f.hosts, name)
	if !found {
		return ftl.Errorf(ftl.NotFound, "those that have: ftl status --fleet --hosts", "no host %s has reported", name)
	}
	if p.json {
		return p.writeJSON(h)
	}
	p.print("%s reported at %s, every %v at least; ftl %s", h.Name(), ftl.Clock(h.At), time.Duration(h.Heartbeat), orDash(h.Version))
	well := !h.Silent && h.Broken == "" && !h.Twin
	if h.Silent {
		p.print("it was not heard from since, and should have been")
	}
	if h.Twin {
		p.print("two machines call themselves so; give one of them another FTL_NODE")
	}
	if h.Broken != "" {
		p.print("its report can't be read: %s", h.Broken)
	}
	for _, pkg := range h.Packages {
		p.printWhy(pkg.Status, pkg.Decisions)
		well = well && pkg.Condition.Converged()
		if len(pkg.Decisions) == 0 && pkg.Message != "" {
			p.print("  %s", hooks.Harmless(pkg.Message))
		}
	}
	if !well {
		return silentError{errNotWell}
	}
	return nil
}
