package master

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Contents is what a complete listing says the bucket holds of one package.
type Contents struct {
	// Revisions are those with a manifest, oldest first.
	Revisions []revision.Revision
	// Date is the bucket's clock at the end of the listing.
	Date time.Time

	// loose are the objects named like an archive that have no manifest: left
	// by a spool that broke off or is still at work, or not made by ftl.
	loose []looseObject
}

type looseObject struct {
	store.Object
	revision revision.Revision
}

// Has reports whether r is in the bucket.
func (c Contents) Has(r revision.Revision) bool { return slices.Contains(c.Revisions, r) }

// ReadContents lists one package. A package that the bucket does not know has
// no revisions; that is not an error.
func ReadContents(ctx context.Context, bucket store.Bucket, pkg revision.Package) (Contents, error) {
	listing, err := bucket.List(ctx, store.ListOptions{Prefix: pkg.String() + "."})
	if err != nil {
		return Contents{}, err
	}
	contents := group(listing)[pkg]
	contents.Date = listing.Date
	return contents, nil
}

// Packages returns the packages of which the bucket holds a revision, sorted.
func Packages(ctx context.Context, bucket store.Bucket) ([]revision.Package, error) {
	listing, err := bucket.List(ctx, store.ListOptions{})
	if err != nil {
		return nil, err
	}
	var packages []revision.Package
	for pkg, contents := range group(listing) {
		if len(contents.Revisions) > 0 {
			packages = append(packages, pkg)
		}
	}
	slices.SortFunc(packages, func(a, b revision.Package) int {
		return strings.Compare(a.String(), b.String())
	})
	return packages, nil
}

// group sorts the objects of a listing by package.
func group(listing store.Listing) map[revision.Package]Contents {
	manifests := make(map[revision.Revision]bool)
	var archives []looseObject
	for _, object := range listing.Objects {
		r, extension, ok := keyRevision(object.Key)
		switch {
		case !ok:
		case extension == manifestExtension:
			manifests[r] = true
		default:
			archives = append(archives, looseObject{object, r})
		}
	}

	packages := make(map[revision.Package]Contents)
	for _, r := range slices.SortedFunc(maps.Keys(manifests), revision.Compare) {
		contents := packages[r.Package()]
		contents.Revisions = append(contents.Revisions, r)
		packages[r.Package()] = contents
	}
	for _, archive := range archives {
		if manifests[archive.revision] {
			continue
		}
		contents := packages[archive.revision.Package()]
		contents.loose = append(contents.loose, archive)
		packages[archive.revision.Package()] = contents
	}
	return packages
}
