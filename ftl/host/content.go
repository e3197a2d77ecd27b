package host

import (
	"fmt"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
)

// A blessing binds content: its entry in the marker has the digest of the manifest that was
// blessed. Under that name the host takes nothing else.

// source is a bucket with the marker that says what is taken from it.
type source struct {
	*catalog.Catalog
	marker    catalog.Marker
	unblessed bool // what is signed may be taken before it is blessed
}

// checkManifest refuses a manifest that is not the one that was blessed under its name.
func (s source) checkManifest(manifest catalog.Manifest) error {
	if tree.IsOther(s.marker.Content(manifest.Revision), manifest.Digest) {
		return fmt.Errorf("%w: %s is not the manifest that was blessed", archive.ErrInvalid, catalog.ManifestKey(manifest.Revision))
	}
	if s.Trust != nil && !s.unblessed && s.marker.Content(manifest.Revision) == (catalog.Digest{}) {
		return fmt.Errorf("%w: no blessing of %s was verified", archive.ErrInvalid, manifest.Revision)
	}
	return nil
}
