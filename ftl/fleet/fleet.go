// Package fleet says what a bucket says of its hosts: how each is, what runs where, how far a
// rollout is, and who was not heard from. It is for people, and for whoever plans a rollout; hosts
// do not use it.
//
// What a host last said is not how it is now. So a host that should have reported again and has not
// is silent, and silent hosts never count as well.
package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// Fleet reads the reports of hosts, and of those it has read before only what has changed. It is
// for one goroutine.
type Fleet struct {
	Catalog *catalog.Catalog

	known   map[catalog.Node]known
	changed bool // since it was saved or loaded
}

// known is a report as it was last read.
type known struct {
	ETag     string         `json:"etag"`
	Report   catalog.Report `json:"report"`
	Machines []string       `json:"machines,omitempty"` // that have called themselves so lately, the newest last
	Broken   string         `json:"broken,omitempty"`   // why it can't be read
	// Young is set where it was read while it may still have been written: a server that keeps content
	// and ETag apart can answer with the one of before and the other of after. It is read once more.
	Young bool `json:"young,omitempty"`
}

// youth is how long a report may still be changing after the bucket says that it was written, with
// the resolution of its clock. Tests shrink it.
var youth = 3 * time.Second

// Host is a host that has reported. As JSON it is a line of ftl status --fleet --hosts.
type Host struct {
	catalog.Report
	Node   catalog.Node `json:"node"`   // its name in the keys of the bucket
	At     time.Time    `json:"at"`     // when the bucket got the report
	Silent bool         `json:"silent"` // it should have reported again
	Twin   bool         `json:"twin"`   // two machines call themselves so
	Broken string       `json:"broken"` // why its report can't be read; "" where it can
}

// parallelReads is how many reports are read at once, each over a connection that is kept for the
// next.
const parallelReads = 128

// Read returns the hosts that have reported, in the order of their names, and the bucket's clock.
func (f *Fleet) Read(ctx context.Context) ([]Host, time.Time, error) {
	listed, date, err := f.Catalog.Reports(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	if date.IsZero() { // the bucket doesn't tell its time
		date = time.Now()
	}
	if err := f.fetch(ctx, listed, date); err != nil {
		return nil, time.Time{}, err
	}
	hosts := make([]Host, 0, len(listed))
	for _, l := range listed {
		k, ok := f.known[l.Node]
		if !ok { // deleted meanwhile
			continue
		}
		h := Host{Report: k.Report, Node: l.Node, At: l.At, Twin: len(k.Machines) > 1, Broken: k.Broken}
		h.Silent = date.Sub(l.At) > h.patience()
		hosts = append(hosts, h)
	}
	return hosts, date, nil
}

// fetch reads the reports that have changed, and forgets those that are gone.
func (f *Fleet) fetch(ctx context.Context, listed []catalog.Reported, date time.Time) error {
	next := make(map[catalog.Node]known, len(listed))
	changed := false
	var mutex sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for _, l := range listed {
		was, read := f.known[l.Node]
		if read && was.ETag == l.ETag && !was.Young {
			mutex.Lock()
			next[l.Node] = was
			mutex.Unlock()
			continue
		}
		group.Go(func() error {
			now, err := f.readReport(ctx, l.Node, was)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			now.Young = date.Sub(l.At) < youth
			mutex.Lock()
			defer mutex.Unlock()
			next[l.Node] = now
			changed = changed || now.ETag != was.ETag || now.Young != was.Young || !now.Report.Time.Equal(was.Report.Time)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	f.changed = f.changed || changed || len(next) != len(f.known)
	f.known = next
	return nil
}

// readReport reads one report. One that makes no sense is told, and keeps nobody from the others.
func (f *Fleet) readReport(ctx context.Context, node catalog.Node, was known) (known, error) {
	report, object, err := f.Catalog.Report(ctx, node)
	now := known{ETag: object.ETag, Report: report, Machines: machines(was.Machines, report.Machine)}
	if err != nil && object.ETag != "" {
		now.Broken, now.Report, now.Machines = err.Error(), catalog.Report{Host: node.String()}, nil
		return now, nil
	}
	return now, err
}

// machines notes whose report was read. Two that take turns call themselves alike; one that comes
// in the place of another, as after a new installation, is soon alone.
func machines(seen []string, machine string) []string {
	const remembered = 4
	seen = append(slices.Clone(seen), machine)
	seen = seen[max(0, len(seen)-remembered):]
	for _, m := range seen[:len(seen)-1] {
		changes := 0
		for i := 1; i < len(seen); i++ {
			if seen[i] != seen[i-1] {
				changes++
			}
		}
		if m != machine && changes > 1 {
			return seen
		}
	}
	if len(seen) > 1 && seen[len(seen)-2] != machine {
		return seen[len(seen)-2:]
	}
	return []string{machine}
}

// DefaultHeartbeat is how often a host reports that does not say so.
const DefaultHeartbeat = time.Hour

// patience returns after what time a host is silent, by what it says of itself.
func (h Host) patience() time.Duration {
	heartbeat := time.Duration(h.Heartbeat)
	if heartbeat <= 0 {
		heartbeat = DefaultHeartbeat
	}
	return heartbeat + 3*time.Duration(h.Every) + time.Duration(h.Splay)
}

// Name returns what people call the host.
func (h Host) Name() string {
	if h.Host == "" {
		return h.Node.String()
	}
	return h.Host
}

// Package returns what the host says of a package, and false where it is not subscribed to it.
func (h Host) Package(pkg revision.Package) (catalog.PackageReport, bool) {
	for _, p := range h.Packages {
		if p.Package == pkg {
			return p, true
		}
	}
	return catalog.PackageReport{}, false
}

// Matches reports whether a host has all these labels.
func (h Host) Matches(labels map[string]string) bool {
	for name, value := range labels {
		if got, ok := h.Labels[name]; !ok || got != value {
			return false
		}
	}
	return true
}

// Roster returns the hosts that a rollout of a package counts: those that are subscribed to it, are
// not held, and were heard from lately.
func Roster(hosts []Host, pkg revision.Package) []rollout.Member {
	var members []rollout.Member
	for _, h := range hosts {
		p, subscribed := h.Package(pkg)
		if !subscribed || h.Silent || h.Broken != "" || !p.HeldSince.IsZero() {
			continue
		}
		members = append(members, rollout.Member{
			Host: h.Node.String(), First: h.Canary == "always", Last: h.Canary == "never" || h.Delay > 0,
			Every: time.Duration(h.Every), Splay: time.Duration(h.Splay), Hook: time.Duration(h.Hook), Checks: time.Duration(h.Check),
		})
	}
	return members
}

// Outcome is how a host has fared with an entry of a marker.
type Outcome int

// How a host has fared.
const (
	NotYet   Outcome = iota // it has not said, or is at work
	Runs                    // it runs the revision, and is well
	LeftIt                  // the revision failed there, and what ran before runs again
	FailedIt                // the revision failed there
)

// clockError is how far the clocks of whoever blesses and of a host may be apart.
const clockError = time.Minute

// Outcome says how the host has fared with an entry.
func (h Host) Outcome(entry catalog.Entry) Outcome {
	p, _ := h.Package(entry.Revision.Package())
	follows := p.Serial == entry.Serial
	tried := p.Jump != nil && p.Jump.To == entry.Revision && p.Jump.State == ftl.Failure && p.Jump.Time.After(entry.At.Add(-clockError))
	switch {
	case follows && p.Condition == ftl.OK && p.Current == entry.Revision:
		return Runs
	case follows && p.Condition == ftl.Rejected:
		return LeftIt
	case p.Condition == ftl.Rejected && tried:
		return LeftIt
	case (p.Condition == ftl.Failed || p.Condition == ftl.Inconsistent) && tried:
		return FailedIt
	}
	return NotYet
}

// Outcomes counts how many of the members run an entry well, and on how many it failed.
func Outcomes(hosts []Host, members []rollout.Member, entry catalog.Entry) (ok, bad int) {
	counted := make(map[string]bool)
	for _, m := range members {
		counted[m.Host] = true
	}
	for _, h := range hosts {
		if !counted[h.Node.String()] {
			continue
		}
		switch h.Outcome(entry) {
		case Runs:
			ok++
		case LeftIt, FailedIt:
			bad++
		}
	}
	return ok, bad
}

// Find returns the host with this name, as people or as keys have it.
func Find(hosts []Host, name string) (Host, bool) {
	for _, same := range []func(Host) bool{
		func(h Host) bool { return h.Name() == name },
		func(h Host) bool { return h.Node.String() == name },
		func(h Host) bool { return strings.HasPrefix(h.Name(), name+".") }, // the name without its domain
	} {
		if i := slices.IndexFunc(hosts, same); i >= 0 {
			return hosts[i], true
		}
	}
	return Host{}, false
}

// Changed reports whether there is something to save: reports were read that no Save or Load has
// seen.
func (f *Fleet) Changed() bool { return f.changed }

// Save writes down what was read, so that a later Load saves reading it again.
func (f *Fleet) Save(to io.Writer) error {
	err := json.NewEncoder(to).Encode(f.known)
	f.changed = f.changed && err != nil
	return err
}

// Load takes up what Save has written. What can't be made sense of is left alone, as everything can
// be read again.
func (f *Fleet) Load(from io.Reader) {
	var saved map[catalog.Node]known
	if json.NewDecoder(from).Decode(&saved) == nil {
		f.known, f.changed = saved, false
	}
}
