// Package master is the bucket's point of view: the revisions there are, and
// which of them is blessed.
//
// A package is three kinds of object:
//
//	<package>.<id>.<ext>   the archive of a revision
//	<package>.<id>.ftl     its manifest, written last
//	<package>.rev          the marker: a log of what was blessed, newest first
//
// A revision exists once its manifest does, so a spool that broke off leaves
// nothing that a host would take. Whoever changes the marker writes it on the
// condition that nobody else has since it was read, so of two people who jump
// at the same instant exactly one wins.
package master

import (
	"strings"

	"github.com/rhettg/ftl/revision"
)

// manifestExtension is what a spooled file's own extension can't be.
const manifestExtension = "ftl"

func manifestKey(r revision.Revision) string { return r.String() + "." + manifestExtension }

func markerKey(pkg revision.Package) string { return pkg.String() + ".rev" }

// archiveKey returns the key of r's archive, when the spooled file had this
// extension: what follows the first dot of its name, "" for a name without one.
func archiveKey(r revision.Revision, extension string) string {
	if extension == "" {
		return r.String()
	}
	return r.String() + "." + extension
}

// keyRevision returns the revision that a key belongs to, and its extension.
// It is false for a marker, for what is reserved, and for every other name that
// ftl would not make.
func keyRevision(key string) (r revision.Revision, extension string, ok bool) {
	pkg, rest, found := strings.Cut(key, ".")
	if !found {
		return r, "", false
	}
	id, extension, _ := strings.Cut(rest, ".")
	r, err := revision.Parse(pkg + "." + id)
	if err != nil || strings.Contains(extension, "/") {
		return revision.Revision{}, "", false
	}
	return r, extension, true
}
