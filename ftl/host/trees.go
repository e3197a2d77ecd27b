package host

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/internal/spill"
	"github.com/rhettg/ftl/revision"
)

// manifestPath is where the header of a revision's manifest is kept, to be shown.
func (p kept) manifestPath(r revision.Revision) string {
	return filepath.Join(p.Meta(), "manifest", r.ID())
}

// keepManifest is best effort: what it keeps is only shown.
func (s *syncing) keepManifest(manifest catalog.Manifest) {
	path := s.manifestPath(manifest.Revision)
	err := s.Files.Mkdir(filepath.Dir(path), 0o755)
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = s.Files.ReplaceFile(path, manifest.Header(), 0o644)
	}
	if err != nil {
		s.host.warn("%s: keep the manifest of %s: %v", s.Name, manifest.Revision, err)
	}
}

func (p kept) removeManifest(r revision.Revision) { p.Files.Remove(p.manifestPath(r)) }

// Describe adds to a list what the manifests say that this host has kept. An older ftl has kept
// none.
func (h *Host) Describe(listed []catalog.Listed) {
	for i := range listed {
		p := h.open(listed[i].Package)
		if manifest, ok := p.keptManifest(listed[i].Revision); ok {
			listed[i].Describe(manifest)
		}
		p.Close()
	}
}

// keptManifest returns the manifest that was kept, if there is one that can be made sense of.
func (p kept) keptManifest(r revision.Revision) (catalog.Manifest, bool) {
	text, err := p.Files.ReadFile(p.manifestPath(r), tree.MaxRecord)
	if err != nil {
		return catalog.Manifest{}, false
	}
	manifest, err := catalog.ParseManifest(text)
	return manifest, err == nil && manifest.Revision == r
}

// Tree returns what a revision consists of: by the index that this host has kept, else by that in
// the bucket, if there is one. The errors are those of a catalog's Tree.
func (h *Host) Tree(ctx context.Context, r revision.Revision) (catalog.Tree, error) {
	p := h.open(r.Package())
	defer p.Close()
	if err := p.mustExist(); err != nil {
		return catalog.Tree{}, err
	}
	index, err := p.readIndex(r, spill.Temporary)
	if err == nil {
		defer index.Close()
		return catalog.TreeOf(index)
	}
	// One that can't be used is only missed: what is in the bucket is the same.
	if h.Open == nil && errors.Is(err, fs.ErrNotExist) {
		return catalog.Tree{}, ftl.Errorf(ftl.NotFound, "set FTL_BUCKET to read it from there", "this host has kept no index of %s", r)
	}
	if h.Open == nil {
		return catalog.Tree{}, err
	}
	bucket, err := h.Open(ctx)
	if err != nil {
		return catalog.Tree{}, err
	}
	return bucket.Tree(ctx, r)
}
