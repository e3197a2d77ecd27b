package master

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// leftoverAge is how old an archive without manifest has to be before it counts as left over: a
// slow upload may still be at work.
const leftoverAge = 24 * time.Hour

// Clean purges all revisions of a package but the newest keep, the active, the previous one and the
// base of a rollout, oldest first. It also removes the archives that a spool
// left when it broke off, a day after. Objects that ftl did not make are only
// counted.
func (m *Master) Clean(ctx context.Context, pkg revision.Package, keep int) error {
	marker, err := m.prepare(ctx, pkg)
	if err != nil {
		return during(err, "clean %s", pkg)
	}
	newest, _ := marker.Newest()
	if err := newest.Understood(); err != nil {
		return err
	}
	contents, err := m.Bucket.Contents(ctx, pkg)
	if err != nil {
		return during(err, "clean %s", pkg)
	}
	if len(contents.Revisions)+len(contents.Archives)+len(marker.Entries) == 0 {
		return m.Bucket.UnknownPackage(ctx, pkg)
	}
	active, _ := marker.Active()
	previous, _ := marker.Previous()
	for _, r := range contents.Revisions[:max(0, len(contents.Revisions)-keep)] {
		if r == active.Revision || r == previous.Revision || r == active.Base {
			continue
		}
		err := m.purge(ctx, r, PurgeOptions{})
		if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Kind == ftl.NotFound {
			continue // somebody else has purged it meanwhile
		}
		if err != nil {
			return during(err, "clean %s: purge %s", pkg, r)
		}
	}
	if err := m.cleanLeftovers(ctx, pkg, contents); err != nil {
		return during(err, "clean %s", pkg)
	}
	if err := m.cleanFleet(ctx, pkg, newest.Serial); err != nil {
		return during(err, "clean %s", pkg)
	}
	m.touchChanged(ctx)
	return nil
}

// reportAge is how old the report of a host has to be before it counts as gone for good.
const reportAge = 7 * 24 * time.Hour

// cleanFleet removes the votes for older entries than the newest, and the reports of hosts that are
// gone. The votes for the newest entry stay, however old: without them a rollout that was halted
// would go on.
func (m *Master) cleanFleet(ctx context.Context, pkg revision.Package, newest int64) error {
	if m.DryRun {
		return nil
	}
	if _, err := m.Bucket.ForgetVotes(ctx, pkg, newest); err != nil {
		return err
	}
	reports, date, err := m.Bucket.Reports(ctx)
	if err != nil {
		return err
	}
	for _, report := range reports {
		if date.Sub(report.At) < reportAge {
			continue
		}
		if err := m.Bucket.ForgetReport(ctx, report.Node); err != nil {
			return err
		}
	}
	return nil
}

// cleanLeftovers removes the archives that became old without getting a
// manifest. One whose manifest is on its way out or back, because its revision
// is being purged at this moment, is none of them.
func (m *Master) cleanLeftovers(ctx context.Context, pkg revision.Package, contents catalog.Contents) error {
	foreign := 0
	for _, loose := range contents.Loose() {
		object, err := m.Bucket.Stat(ctx, loose.Key)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case object.Metadata[catalog.MetadataOp] == "":
			foreign++
			continue
		case contents.Date.Sub(object.Modified) < leftoverAge:
			continue
		}
		wanted, err := m.wanted(ctx, loose.Revision)
		if err != nil {
			return err
		}
		if wanted {
			continue
		}
		message := fmt.Sprintf("left over by a spool that broke off on %s", object.Modified.UTC().Format(time.DateOnly))
		task := m.begin(ftl.Event{Package: pkg, Revision: loose.Revision, Step: ftl.Purge, Message: message})
		if m.DryRun {
			task.end("", nil)
			continue
		}
		err = m.Bucket.Delete(ctx, loose.Key)
		task.end(message, err)
		if err != nil {
			return err
		}
	}
	if foreign > 0 {
		m.warn("%s: objects that were not spooled by this ftl, and are left alone: %d", pkg, foreign)
	}
	return nil
}

// wanted reports whether the marker names r as active or previous, or r has a
// manifest after all.
func (m *Master) wanted(ctx context.Context, r revision.Revision) (bool, error) {
	marker, err := m.Bucket.Marker(ctx, r.Package())
	if err != nil {
		return false, err
	}
	active, _ := marker.Active()
	previous, _ := marker.Previous()
	if r == active.Revision || r == previous.Revision || r == active.Base {
		return true, nil
	}
	_, err = m.Bucket.Stat(ctx, catalog.ManifestKey(r))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
