package catalog

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Catalog reads what a bucket says. Bucket is required. Its methods may be called from several
// goroutines at once.
type Catalog struct {
	store.Bucket
	// Trust is whose signatures count. Nil: signatures are not looked at.
	Trust *Trust

	conditions struct {
		sync.Mutex
		kept bool
	}
}

// CheckConditions is store.CheckConditions, but asks the bucket only until the bucket has once
// shown that it keeps conditions.
func (c *Catalog) CheckConditions(ctx context.Context) error {
	c.conditions.Lock()
	defer c.conditions.Unlock()
	if c.conditions.kept {
		return nil
	}
	err := store.CheckConditions(ctx, c.Bucket)
	c.conditions.kept = err == nil
	return err
}

// Packages returns the packages of which the bucket holds a revision, sorted.
func (c *Catalog) Packages(ctx context.Context) ([]revision.Package, error) {
	return c.packages(ctx, func(contents Contents) bool { return len(contents.Revisions) > 0 })
}

// AllPackages returns also those of which there is only a marker, or archives alone.
func (c *Catalog) AllPackages(ctx context.Context) ([]revision.Package, error) {
	return c.packages(ctx, func(Contents) bool { return true })
}

func (c *Catalog) packages(ctx context.Context, include func(Contents) bool) ([]revision.Package, error) {
	all, err := c.AllContents(ctx)
	if err != nil {
		return nil, err
	}
	var packages []revision.Package
	for pkg, contents := range all {
		if include(contents) {
			packages = append(packages, pkg)
		}
	}
	slices.SortFunc(packages, func(a, b revision.Package) int {
		return strings.Compare(a.String(), b.String())
	})
	return packages, nil
}

// AllContents is Contents of every package, by one listing of the bucket.
func (c *Catalog) AllContents(ctx context.Context) (map[revision.Package]Contents, error) {
	listing, err := c.List(ctx, store.ListOptions{})
	if err != nil {
		return nil, err
	}
	return group(listing), nil
}

// Revisions returns what the bucket has of a package, oldest first, and its marker. A package that
// the bucket does not know is ftl.NotFound.
func (c *Catalog) Revisions(ctx context.Context, pkg revision.Package) ([]revision.Revision, Marker, error) {
	marker, err := c.Marker(ctx, pkg)
	if err != nil {
		return nil, Marker{}, err
	}
	contents, err := c.Contents(ctx, pkg)
	if err != nil {
		return nil, Marker{}, err
	}
	if len(contents.Revisions) == 0 && marker.Retired() {
		retired, _ := marker.Newest()
		return nil, Marker{}, ftl.Errorf(ftl.NotFound, "to bring it back, spool it and bless that; its history: ftl log --master "+pkg.String(),
			"%s was retired%s", pkg, retired.Origin())
	}
	if len(contents.Revisions) == 0 {
		return nil, Marker{}, c.UnknownPackage(ctx, pkg)
	}
	return contents.Revisions, marker, nil
}

// UnknownPackage is the error of a package of which the bucket has no revision. It names the one
// that is likely to be meant, but for a package that was blessed once: that one has lost something.
func (c *Catalog) UnknownPackage(ctx context.Context, pkg revision.Package) error {
	marker, err := c.Marker(ctx, pkg)
	if err != nil {
		return err
	}
	if newest, blessed := marker.Newest(); blessed && !marker.Retired() {
		return ftl.Errorf(ftl.NotFound, "what else is wrong: ftl check --master "+pkg.String(),
			"the bucket has no revision of %s, though %s was blessed", pkg, newest.Revision)
	}
	hint := "what there is: ftl list --master"
	if packages, err := c.Packages(ctx); err == nil {
		if nearest, found := revision.Nearest(pkg, packages); found {
			hint = "did you mean " + nearest.String() + "? What there is: ftl list --master"
		}
	}
	return ftl.Errorf(ftl.NotFound, hint, "the bucket has no package %s", pkg)
}

// refused makes a refusal of what is wrong with an object.
func refused(err error) error { return &ftl.Error{Kind: ftl.Refused, Err: err} }
