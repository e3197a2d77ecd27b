package master

import (
	"context"
	"errors"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// Retire takes a package out of the bucket. First an entry of the marker says so, and that stays:
// by it a host knows that the package is gone on purpose, and keeps what it has. Then the revisions
// go. To retire a package again removes what an interrupted one has left.
func (m *Master) Retire(ctx context.Context, pkg revision.Package, note string) error {
	if len(note) > catalog.MaxNote {
		return longNote(note)
	}
	marker, err := m.prepare(ctx, pkg)
	if err != nil {
		return during(err, "retire %s", pkg)
	}
	if !marker.Retired() {
		if err := m.writeRetirement(ctx, marker, note); err != nil {
			return during(err, "retire %s", pkg)
		}
	}
	err = m.purgeAll(ctx, pkg)
	m.touchChanged(ctx) // also where it came half way
	return during(err, "retire %s", pkg)
}

// writeRetirement puts the entry on top of the marker.
func (m *Master) writeRetirement(ctx context.Context, marker catalog.Marker, note string) error {
	contents, err := m.Bucket.Contents(ctx, marker.Package)
	if err != nil {
		return err
	}
	if err := m.checkClock(contents.Date); err != nil {
		return err
	}
	newest, blessed := marker.Newest()
	if !blessed && len(contents.Revisions) == 0 {
		return m.Bucket.UnknownPackage(ctx, marker.Package)
	}
	if err := newest.Understood(); err != nil {
		return err
	}
	entry := catalog.Entry{Revision: newest.Revision, Manifest: newest.Manifest, Kind: catalog.KindRetire, Retired: true, Note: note}
	if !blessed {
		entry.Revision = contents.Revisions[len(contents.Revisions)-1]
	}
	task := m.begin(ftl.Event{Package: marker.Package, Step: ftl.Retire})
	if !m.DryRun {
		err = m.writeRetired(ctx, marker, entry, contents.Date)
	}
	task.end("", err)
	return err
}

func (m *Master) writeRetired(ctx context.Context, marker catalog.Marker, entry catalog.Entry, date time.Time) (err error) {
	if entry.Serial, err = m.leastSerial(ctx, marker, date); err != nil {
		return err
	}
	entry.Op, entry.At, entry.By = newOp(), m.now(), m.by(ctx)
	return m.writeMarker(ctx, marker, &entry)
}

// purgeAll removes every revision of a package that is retired, and stops where somebody blesses
// one meanwhile.
func (m *Master) purgeAll(ctx context.Context, pkg revision.Package) error {
	contents, err := m.Bucket.Contents(ctx, pkg)
	if err != nil {
		return err
	}
	for _, r := range contents.Revisions {
		if m.DryRun {
			m.begin(ftl.Event{Package: pkg, Revision: r, Step: ftl.Purge}).end("", nil)
			continue
		}
		marker, err := m.Bucket.Marker(ctx, pkg)
		if err != nil {
			return err
		}
		if active, blessed := marker.Active(); blessed {
			return ftl.Errorf(ftl.Refused, "look at it, then retire it again if that is still right",
				"%s was blessed%s; what is left of %s stays", active.Revision, active.Origin(), pkg)
		}
		err = m.purge(ctx, r, PurgeOptions{Force: true})
		if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Kind == ftl.NotFound {
			continue // somebody else has purged it meanwhile
		}
		if err != nil {
			return err
		}
	}
	return m.cleanLeftovers(ctx, pkg, contents)
}
