package serve

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// Snapshot is what the bucket said at a moment. Nobody changes one, so all viewers share it.
type Snapshot struct {
	ID       string    // differs from that of every other snapshot, also of another server
	Date     time.Time // the bucket's clock
	Hosts    []fleet.Host
	View     fleet.Overview
	Packages []*Package // in the order of their names
	marks    []mark     // of the hosts

	// Failure is why the bucket could not be read since, and FailingSince since when, by this
	// machine's clock. The rest is what it said before that.
	Failure      string
	FailingSince time.Time
}

// newSnapshot returns what hosts and packages, both in order, amount to.
func newSnapshot(id string, date time.Time, hosts []fleet.Host, packages []*Package) *Snapshot {
	var blessings []fleet.Blessing
	for _, pkg := range packages {
		b := fleet.Blessing{Package: pkg.Package, Marker: pkg.Marker}
		if r := pkg.Current(); r != nil {
			b.Count = r.Count
		}
		blessings = append(blessings, b)
	}
	s := &Snapshot{ID: id, Date: date, Hosts: hosts, Packages: packages, View: fleet.View(hosts, blessings, date), marks: make([]mark, len(hosts))}
	for i, h := range hosts {
		s.marks[i] = s.markOfHost(h)
	}
	return s
}

// Package is what the bucket has of a package.
type Package struct {
	Package   revision.Package
	Marker    catalog.Marker
	Revisions []catalog.Listed // the newest first
	Rollouts  []*Rollout       // of the entries that have waves, the newest first
	Broken    string           // why its marker can't be read; "" where it can
}

// Rollout is an entry with waves, and what hosts have said of it.
type Rollout struct {
	Entry catalog.Entry
	Votes []rollout.Vote
	Count *rollout.Count
	View  fleet.Rollout
	Over  bool // a later entry has taken its place
}

// Package returns the package with this name, and false where neither the bucket nor a host has it.
func (s *Snapshot) Package(name revision.Package) (*Package, bool) {
	i, found := slices.BinarySearchFunc(s.Packages, name.String(), func(p *Package, name string) int {
		return strings.Compare(p.Package.String(), name)
	})
	if !found {
		return nil, false
	}
	return s.Packages[i], true
}

// Fleet returns how a package stands in the fleet.
func (s *Snapshot) Fleet(name revision.Package) fleet.Package {
	for _, p := range s.View.Packages {
		if p.Package == name {
			return p
		}
	}
	return fleet.Package{Package: name}
}

// Rollout returns the rollout of the entry with this serial.
func (p *Package) Rollout(serial int64) (*Rollout, bool) {
	for _, r := range p.Rollouts {
		if r.Entry.Serial == serial {
			return r, true
		}
	}
	return nil, false
}

// Current returns the rollout of the newest entry, nil where that has no waves.
func (p *Package) Current() *Rollout {
	if len(p.Rollouts) == 0 || p.Rollouts[0].Over {
		return nil
	}
	return p.Rollouts[0]
}

// Entry returns the entry with this serial.
func (p *Package) Entry(serial int64) (catalog.Entry, bool) {
	for _, entry := range p.Marker.Entries {
		if entry.Serial == serial {
			return entry, true
		}
	}
	return catalog.Entry{}, false
}

// log returns the entries of all packages, the newest first.
func (s *Snapshot) log() []catalog.Entry {
	var all []catalog.Entry
	for _, p := range s.Packages {
		all = append(all, p.Marker.Entries...)
	}
	slices.SortStableFunc(all, func(a, b catalog.Entry) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Serial, a.Serial))
	})
	return all
}

// busy reports whether something is going on, so that the picture will soon be another one.
func (s *Snapshot) busy() bool {
	for _, p := range s.View.Packages {
		if p.Counts.Waiting > 0 || p.Rollout != nil && p.Rollout.Settled.IsZero() && p.Rollout.Halted.IsZero() {
			return true
		}
	}
	return false
}
