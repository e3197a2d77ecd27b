// Package catalog reads what a bucket says: the revisions there are, what each consists of, and
// which of them is blessed. It has the formats for that, also for whoever writes them (package
// master).
//
// A package is three kinds of object:
//
//	<package>.<id>.<ext>   the archive of a revision
//	<package>.<id>.ftl     its manifest, written last
//	<package>.rev          the marker: a log of what was blessed, newest first
//
// (An ftl of 2014 had <package>.current and <package>.previous in the place of the marker.)
//
// A revision exists once its manifest does, so a spool that broke off leaves nothing that a host
// would take. Whoever changes the marker writes it on the condition that nobody else has since it
// was read, so of two people who jump at the same instant exactly one wins.
package catalog

import (
	"strings"

	"github.com/rhettg/ftl/revision"
)

// manifestExtension is what a spooled file's own extension can't be.
const manifestExtension = "ftl"

// ManifestKey returns the key of r's manifest.
func ManifestKey(r revision.Revision) string { return r.String() + "." + manifestExtension }

// ours begins the keys of what is no part of a package.
const ours = "_ftl/"

const markerSuffix = ".rev"

// MarkerKey returns the key of a package's marker.
func MarkerKey(pkg revision.Package) string { return pkg.String() + markerSuffix }

// keyMarker returns the package whose marker has a key, and false where it is none.
func keyMarker(key string) (revision.Package, bool) {
	name, found := strings.CutSuffix(key, markerSuffix)
	pkg, err := revision.ParsePackage(name)
	return pkg, found && err == nil
}

// LegacyKeys returns the keys under which an ftl of 2014 kept the names of a package's active and
// its previous revision.
func LegacyKeys(pkg revision.Package) (active, previous string) {
	return pkg.String() + "." + legacyActive, pkg.String() + "." + legacyPrevious
}

const (
	legacyActive   = "current"
	legacyPrevious = "previous"
)

// ArchiveKey returns the key of r's archive, when the spooled file had this
// extension: what follows the first dot of its name, "" for a name without one.
func ArchiveKey(r revision.Revision, extension string) string {
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
	if extension == "" && (id == legacyActive || id == legacyPrevious) {
		return r, "", false
	}
	r, err := revision.Parse(pkg + "." + id)
	if err != nil || strings.Contains(extension, "/") {
		return revision.Revision{}, "", false
	}
	return r, extension, true
}

// MetadataOp is the name under which an object carries the op of the command that wrote it. An
// archive with it was spooled by ftl.
const MetadataOp = "ftl-op"
