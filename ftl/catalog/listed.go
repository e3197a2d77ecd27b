package catalog

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
)

// Listed is a revision as a list shows it. As JSON it is a line of ftl list.
type Listed struct {
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"`
	Active   bool              `json:"active"`
	Previous bool              `json:"previous"`
	Settled  bool              `json:"settled"` // on the master: the newest one that hosts have confirmed
	State    ListedState       `json:"state"`

	// What its manifest says. All of it is zero where that is not known.
	At       ftl.Time `json:"at"` // when it was spooled
	By       string   `json:"by"` // user@host
	Note     string   `json:"note"`
	Labels   Labels   `json:"labels"`
	About    About    `json:"about"`    // what the package says of itself
	Size     int64    `json:"size"`     // bytes of the archive
	Unpacked int64    `json:"unpacked"` // bytes of the tree
	// Signer is who has signed it and is trusted, zero where nobody is; nil where nobody has
	// looked.
	Signer *trust.Signer `json:"signer,omitempty"`
}

// ListedState says how a revision stands on the master or on a host.
type ListedState string

// The states of a revision in a list.
const (
	ListedActive   ListedState = "active"
	ListedPrevious ListedState = "previous"
	ListedReady    ListedState = "ready"    // neither; on a host it can be jumped to
	ListedRejected ListedState = "rejected" // this host has left it again, and sync does not take it
	ListedBroken   ListedState = "broken"   // its manifest can't be made sense of
)

// Describe adds what a revision's manifest says.
func (l *Listed) Describe(m Manifest) {
	l.At, l.By, l.Note, l.Labels = ftl.At(m.At), m.By, m.Note, m.Labels
	l.About = m.About
	l.Size, l.Unpacked = m.Size, m.Unpacked.Bytes
}

// listedState is the state by the links alone.
func listedState(active, previous bool) ListedState {
	switch {
	case active:
		return ListedActive
	case previous:
		return ListedPrevious
	}
	return ListedReady
}

// NewListed returns a revision of which no more is known.
func NewListed(r revision.Revision, active, previous bool) Listed {
	return Listed{Package: r.Package(), Revision: r, Active: active, Previous: previous, State: listedState(active, previous)}
}

// Listed is Revisions, as a list shows it.
func (c *Catalog) Listed(ctx context.Context, pkg revision.Package) ([]Listed, error) {
	revisions, marker, err := c.Revisions(ctx, pkg)
	if err != nil {
		return nil, err
	}
	active, _ := marker.Active()
	previous, _ := marker.Previous()
	listed := make([]Listed, len(revisions))
	for i, r := range revisions {
		listed[i] = NewListed(r, r == active.Revision, r == previous.Revision)
	}
	return listed, nil
}

// parallelManifests is how many manifests are read at once for a list.
const parallelManifests = 16

// Label reads the labels of the revisions that entries name. One that is purged has none.
func (c *Catalog) Label(ctx context.Context, entries []Entry) error {
	var listed []Listed
	labels := make(map[revision.Revision]Labels)
	for _, entry := range entries {
		if _, known := labels[entry.Revision]; !known {
			labels[entry.Revision] = nil
			listed = append(listed, NewListed(entry.Revision, false, false))
		}
	}
	if err := c.Describe(ctx, listed); err != nil {
		return err
	}
	for _, described := range listed {
		labels[described.Revision] = described.Labels
	}
	for i := range entries {
		entries[i].Labels = labels[entries[i].Revision]
	}
	return nil
}

// Describe reads the manifest of each revision of a list. One that is purged meanwhile stays as it
// is.
func (c *Catalog) Describe(ctx context.Context, listed []Listed) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelManifests)
	for i := range listed {
		group.Go(func() error {
			manifest, err := c.Manifest(ctx, listed[i].Revision)
			refusal, refused := errors.AsType[*ftl.Error](err)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case refused && refusal.Kind == ftl.Refused:
				listed[i].State = ListedBroken
				return nil
			case err == nil:
				listed[i].Describe(manifest)
			}
			return err
		})
	}
	return group.Wait()
}
