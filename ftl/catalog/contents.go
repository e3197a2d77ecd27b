package catalog

import (
	"context"
	"fmt"
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
	// Archives are the objects named like an archive, in the order of their keys.
	Archives []Archive
	// Marked is set where there is a marker.
	Marked bool
	// Date is the bucket's clock at the end of the listing.
	Date time.Time
	// Newest is the latest time that any object of the package tells, by its id or as it was
	// written.
	Newest time.Time
}

// Archive is an object named like the archive of a revision.
type Archive struct {
	store.Object
	Revision revision.Revision
}

// Loose returns the archives whose revision has no manifest: left by a spool that broke off or is
// still at work, or not made by this ftl.
func (c Contents) Loose() []Archive {
	var loose []Archive
	for _, object := range c.Archives {
		if !c.Has(object.Revision) {
			loose = append(loose, object)
		}
	}
	return loose
}

// Size returns the size of the object with a key, and false where there is none.
func (c Contents) Size(key string) (int64, bool) {
	i, found := slices.BinarySearchFunc(c.Archives, key, func(a Archive, key string) int { return strings.Compare(a.Key, key) })
	if !found {
		return 0, false
	}
	return c.Archives[i].Size, true
}

// Has reports whether r is in the bucket.
func (c Contents) Has(r revision.Revision) bool {
	_, found := slices.BinarySearchFunc(c.Revisions, r, revision.Compare)
	return found
}

// Contents lists one package. A package that the bucket does not know has no revisions; that is not
// an error.
func (c *Catalog) Contents(ctx context.Context, pkg revision.Package) (Contents, error) {
	listing, err := c.List(ctx, store.ListOptions{Prefix: pkg.String() + ".", Split: splitByTime(time.Now())})
	if err != nil {
		return Contents{}, err
	}
	contents := group(listing)[pkg]
	contents.Date = listing.Date
	return contents, nil
}

// maxListedAtOnce bounds how many ranges of ids are asked for at once.
const maxListedAtOnce = 8

// splitByTime cuts the time that follows a key, up to now, into ranges of equal length, of about
// two pages each: ids are times. A clock that is wrong only makes the ranges too long or too many.
func splitByTime(now time.Time) func(first, last string) []string {
	return func(first, last string) (keys []string) {
		older, _, _ := keyRevision(first)
		newer, _, _ := keyRevision(last)
		begin, known := older.Time()
		from, alsoKnown := newer.Time()
		if !known || !alsoKnown || !from.After(begin) || !now.After(from) {
			return nil
		}
		pages := now.Sub(from) / from.Sub(begin)
		ranges := min(pages/2+1, maxListedAtOnce)
		for i := range ranges - 1 {
			at := from.Add(now.Sub(from) / ranges * (i + 1)).UTC()
			second := at.Hour()*3600 + at.Minute()*60 + at.Second()
			keys = append(keys, fmt.Sprintf("%s.%s%05d", newer.Package(), at.Format("20060102"), second))
		}
		return keys
	}
}

// group sorts the objects of a listing by package.
func group(listing store.Listing) map[revision.Package]Contents {
	packages := make(map[revision.Package]Contents)
	for _, object := range listing.Objects {
		if pkg, ok := keyMarker(object.Key); ok {
			contents := packages[pkg]
			contents.Marked = true
			packages[pkg] = contents
		}
		r, extension, ok := keyRevision(object.Key)
		if !ok {
			continue
		}
		contents := packages[r.Package()]
		spooled, _ := r.Time()
		contents.Newest = latest(contents.Newest, spooled, object.Modified)
		if extension == manifestExtension {
			contents.Revisions = append(contents.Revisions, r)
		} else {
			contents.Archives = append(contents.Archives, Archive{object, r})
		}
		packages[r.Package()] = contents
	}
	for _, contents := range packages {
		slices.SortFunc(contents.Revisions, revision.Compare)
	}
	return packages
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }
