package host

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// Status reads how packages are, and what the bucket says of them if there is one; no packages are
// all of them. It takes no lock and changes nothing. A bucket that can't be read is a decision of
// each package, and no error.
func (h *Host) Status(ctx context.Context, packages []revision.Package) ([]ftl.Status, error) {
	if len(packages) == 0 {
		var misnamed []string
		var err error
		if packages, misnamed, err = h.packages(); err != nil {
			return nil, err
		}
		h.sayMisnamed(misnamed)
	}
	open := h.Open
	if open != nil {
		once := sync.OnceValues(func() (*catalog.Catalog, error) { return h.Open(ctx) })
		open = func(context.Context) (*catalog.Catalog, error) { return once() }
	}
	h.recognize(ctx, false)
	all := make([]ftl.Status, len(packages))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelPackages)
	for i, name := range packages {
		group.Go(func() error {
			p := h.open(name)
			defer p.Close()
			facts, err := p.facts(ctx, open)
			if err != nil {
				return err
			}
			all[i] = facts.status()
			return nil
		})
	}
	return all, group.Wait()
}

// status draws the conclusion.
func (f facts) status() ftl.Status {
	newest, _ := f.newest()
	s := ftl.Status{
		Package: f.name, Condition: ftl.OK, Current: f.links.Current, Previous: f.links.Previous, Active: newest.Revision,
		Since: ftl.At(f.flipped), LastSync: ftl.At(f.lastLook), Decisions: explain(f), Trust: f.verification(),
	}
	if f.retired() {
		s.Active = revision.Revision{}
	}
	if hold := f.state.Hold; hold != nil {
		s.HeldBy, s.HeldSince, s.HeldReason = hold.By, ftl.At(hold.At), hold.Reason
	}
	if i := ftl.First(s.Decisions); i >= 0 {
		d := &s.Decisions[i]
		d.First = true
		s.Condition, s.Since, s.Message = d.Condition, d.Since, d.Message
	}
	return s
}
