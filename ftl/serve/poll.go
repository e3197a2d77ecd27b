package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// A poller reads the bucket, and of what it has read before only what has changed: reports by their
// ETags, everything that commands write by the epoch. It is for one goroutine.
type poller struct {
	catalog *catalog.Catalog
	fleet   fleet.Fleet

	instance  string
	count     int
	epoch     string
	looked    time.Time // when packages were read last
	packages  map[revision.Package]*Package
	described map[revision.Revision]catalog.Listed
}

const (
	// fullLook is after what time packages are read although the epoch is the same: somebody may
	// have written without ftl.
	fullLook = 5 * time.Minute
	// pastRollouts is of how many entries of a package that are over the votes are read.
	pastRollouts = 5

	parallelMarkers = 16
)

func newPoller(bucket *catalog.Catalog) *poller {
	return &poller{
		catalog: bucket, fleet: fleet.Fleet{Catalog: bucket}, instance: rand.Text()[:8],
		packages: map[revision.Package]*Package{}, described: map[revision.Revision]catalog.Listed{},
	}
}

func (p *poller) id() string { return fmt.Sprintf("%s-%d", p.instance, p.count) }

// poll returns what the bucket says now.
func (p *poller) poll(ctx context.Context) (*Snapshot, error) {
	epoch, changed, err := p.catalog.Epoch(ctx, p.epoch)
	if err != nil {
		return nil, fmt.Errorf("read the epoch: %w", err)
	}
	hosts, now, err := p.fleet.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the reports of the hosts: %w", err)
	}
	if changed || time.Since(p.looked) > fullLook {
		if p.packages, err = p.readPackages(ctx); err != nil {
			return nil, err
		}
		p.epoch, p.looked = epoch.ETag, time.Now()
	}
	packages, err := p.withVotes(ctx, hosts, now)
	if err != nil {
		return nil, err
	}
	p.count++
	return newSnapshot(p.id(), now, hosts, packages), nil
}

// readPackages reads what the bucket has of every package, but for the votes.
func (p *poller) readPackages(ctx context.Context) (map[revision.Package]*Package, error) {
	contents, err := p.catalog.AllContents(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the bucket: %w", err)
	}
	packages := make(map[revision.Package]*Package, len(contents))
	var mutex sync.Mutex
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(parallelMarkers)
	for name, content := range contents {
		group.Go(func() error {
			pkg, err := p.readPackage(reading, name, content)
			if err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
			mutex.Lock()
			defer mutex.Unlock()
			packages[name] = pkg
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return packages, p.describe(ctx, packages)
}

// describe adds what the manifests say, which are read once: what a name stands for never changes.
func (p *poller) describe(ctx context.Context, packages map[revision.Package]*Package) error {
	var unknown []catalog.Listed
	described := make(map[revision.Revision]catalog.Listed)
	for _, pkg := range packages {
		for _, listed := range pkg.Revisions {
			if known, ok := p.described[listed.Revision]; ok {
				described[listed.Revision] = known
			} else {
				unknown = append(unknown, listed)
			}
		}
	}
	if err := p.catalog.Describe(ctx, unknown); err != nil {
		return fmt.Errorf("read the manifests: %w", err)
	}
	known := maps.Clone(described)
	for _, listed := range unknown {
		described[listed.Revision] = listed
		if listed.State != catalog.ListedBroken { // which is read again
			known[listed.Revision] = listed
		}
	}
	p.described = known
	for _, pkg := range packages {
		for i, listed := range pkg.Revisions {
			is := described[listed.Revision]
			is.Active, is.Previous = listed.Active, listed.Previous
			if is.State != catalog.ListedBroken {
				is.State = listed.State
			}
			pkg.Revisions[i] = is
		}
		for i := range pkg.Marker.Entries {
			pkg.Marker.Entries[i].Labels = described[pkg.Marker.Entries[i].Revision].Labels
		}
	}
	return nil
}

// readPackage reads the marker of a package. One that makes no sense is told, and keeps nobody from
// the other packages.
func (p *poller) readPackage(ctx context.Context, name revision.Package, contents catalog.Contents) (*Package, error) {
	pkg := &Package{Package: name, Marker: catalog.Marker{Package: name}}
	marker, err := p.catalog.Marker(ctx, name)
	refusal, refused := errors.AsType[*ftl.Error](err)
	switch {
	case refused && refusal.Kind == ftl.Refused:
		pkg.Broken = err.Error()
	case err != nil:
		return nil, err
	default:
		pkg.Marker = marker
	}
	active, _ := pkg.Marker.Active()
	previous, _ := pkg.Marker.Previous()
	for _, r := range slices.Backward(contents.Revisions) {
		pkg.Revisions = append(pkg.Revisions, catalog.NewListed(r, r == active.Revision, r == previous.Revision))
	}
	for i, entry := range pkg.Marker.Entries {
		if entry.Rollout == nil || i > 0 && len(pkg.Rollouts) > pastRollouts {
			continue
		}
		r := &Rollout{Entry: entry, Over: i > 0}
		if r.Over {
			votes, err := p.catalog.Votes(ctx, name, entry.Serial)
			if err != nil {
				return nil, err
			}
			r.count(votes.Votes, pkg.Marker.Entries[i-1].At)
			r.View = fleet.ViewRollout(r.Entry, r.Count, r.Votes, nil)
		}
		pkg.Rollouts = append(pkg.Rollouts, r)
	}
	return pkg, nil
}

// count counts votes at a moment. Only the marker's newest entry says when the bucket got it; of an
// older one it is the clock of whoever wrote it.
func (r *Rollout) count(votes []rollout.Vote, at time.Time) {
	plan := *r.Entry.Rollout
	if plan.Opened.IsZero() {
		plan.Opened = r.Entry.At
	}
	r.Entry.Rollout = &plan
	r.Votes, r.Count = votes, plan.Count(votes, at)
}

// withVotes returns the packages with the votes for their newest entries, and those that only hosts
// have, in order.
func (p *poller) withVotes(ctx context.Context, hosts []fleet.Host, now time.Time) ([]*Package, error) {
	all := maps.Clone(p.packages)
	for _, h := range hosts {
		for _, pkg := range h.Packages {
			if all[pkg.Package] == nil {
				all[pkg.Package] = &Package{Package: pkg.Package, Marker: catalog.Marker{Package: pkg.Package}}
			}
		}
	}
	delete(all, revision.Package{})
	packages := slices.Collect(maps.Values(all))
	slices.SortFunc(packages, func(a, b *Package) int { return strings.Compare(a.Package.String(), b.Package.String()) })
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(parallelMarkers)
	for i, pkg := range packages {
		if pkg.Current() == nil {
			continue
		}
		group.Go(func() error {
			votes, err := p.catalog.Votes(reading, pkg.Package, pkg.Current().Entry.Serial)
			if err != nil {
				return fmt.Errorf("read the votes of %s: %w", pkg.Package, err)
			}
			if votes.Date.IsZero() {
				votes.Date = now
			}
			with, current := *pkg, *pkg.Current()
			current.count(votes.Votes, votes.Date)
			current.View = fleet.ViewRollout(current.Entry, current.Count, current.Votes, hosts)
			with.Rollouts = append([]*Rollout{&current}, pkg.Rollouts[1:]...)
			packages[i] = &with
			return nil
		})
	}
	return packages, group.Wait()
}

// changed reports, by one request, whether a command has changed the bucket since. A bucket of
// which that can't be told is read when its time comes.
func (p *poller) changed(ctx context.Context) bool {
	epoch, changed, err := p.catalog.Epoch(ctx, p.epoch)
	return err == nil && changed && epoch.ETag != ""
}

// interval returns how long to wait before the bucket is read again.
func interval(s *Snapshot, watched bool) time.Duration {
	switch {
	case s == nil || s.Failure != "":
		return 5 * time.Second
	case watched && s.busy():
		return 2 * time.Second
	case watched:
		return 15 * time.Second
	}
	return time.Minute
}
