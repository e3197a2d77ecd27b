package cmd

import (
	"context"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/revision"
)

// An inventory is where packages and revisions are looked up: the host, or the bucket.
type inventory interface {
	packages(context.Context) ([]revision.Package, error)
	revisions(context.Context, revision.Package) ([]catalog.Listed, error)
	// describe adds what is known beyond the names.
	describe(context.Context, []catalog.Listed) error
	tree(context.Context, revision.Revision) (catalog.Tree, error)
}

// inventory returns that of the side on which a command acts.
func (p *Program) inventory(ctx context.Context, s settings) (inventory, error) {
	if s.onMaster {
		bucket, err := p.bucket(ctx, s)
		if err != nil {
			return nil, err
		}
		return masterInventory{&catalog.Catalog{Bucket: bucket.Bucket}, bucket}, nil
	}
	h, err := p.host(s)
	return hostInventory{h}, err
}

type hostInventory struct{ *host.Host }

func (c hostInventory) packages(context.Context) ([]revision.Package, error) { return c.Packages() }

func (c hostInventory) revisions(_ context.Context, pkg revision.Package) ([]catalog.Listed, error) {
	return c.Revisions(pkg)
}

func (c hostInventory) describe(_ context.Context, listed []catalog.Listed) error {
	c.Describe(listed)
	return nil
}

func (c hostInventory) tree(ctx context.Context, r revision.Revision) (catalog.Tree, error) {
	return c.Tree(ctx, r)
}

// masterInventory shows all that there is, also what nobody who is trusted has signed.
type masterInventory struct {
	*catalog.Catalog
	signed *catalog.Catalog // knows who has signed what, if signatures are looked at
}

func (c masterInventory) packages(ctx context.Context) ([]revision.Package, error) {
	return c.Packages(ctx)
}

func (c masterInventory) revisions(ctx context.Context, pkg revision.Package) ([]catalog.Listed, error) {
	return c.Listed(ctx, pkg)
}

func (c masterInventory) describe(ctx context.Context, listed []catalog.Listed) error {
	if err := c.Describe(ctx, listed); err != nil || c.signed.Trust == nil {
		return err
	}
	return c.signed.DescribeSigners(ctx, listed)
}

func (c masterInventory) tree(ctx context.Context, r revision.Revision) (catalog.Tree, error) {
	return c.Tree(ctx, r)
}
