package host

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// restore makes a tree in stage of a seekable archive: what a ready revision
// has is copied from there, and the rest is fetched in parts.
func (p *pkg) restore(ctx context.Context, bucket store.Bucket, manifest master.Manifest, index *archive.Index, stage string) error {
	root, err := openStage(stage)
	if err != nil {
		return err
	}
	defer root.Close()
	trees, closeTrees, err := p.localTrees()
	if err != nil {
		return err
	}
	defer closeTrees()
	packed := func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		return openArchive(ctx, bucket, manifest, store.GetOptions{Offset: offset, Length: length})
	}
	behind, err := durable.WriteBehind(stage)
	if err != nil {
		return err
	}
	watch := func(now archive.Progress) {
		behind.Wrote(now.Written)
		p.watch(manifest.Revision, now)
	}
	return errors.Join(archive.Restore(ctx, index, packed, root, trees, watch), behind.End())
}

// maxTrees is how many ready revisions are searched for content. The active one
// and the newest have most of it.
const maxTrees = 2

// localTrees opens the ready revisions in which content may be found, the
// active one first. One whose index was lost only is not searched.
func (p *pkg) localTrees() (trees []archive.Tree, closeAll func(), err error) {
	closeAll = func() {
		for _, tree := range trees {
			tree.Dir.Close()
		}
	}
	st, err := p.readState()
	if err != nil {
		return nil, closeAll, err
	}
	links, err := p.links()
	if err != nil {
		return nil, closeAll, err
	}
	candidates := st.readyRevisions() // oldest first
	if st.isReady(links.current) {
		candidates = append(candidates, links.current)
	}
	for i := len(candidates) - 1; i >= 0 && len(trees) < maxTrees; i-- {
		if r := candidates[i]; r != links.current || i == len(candidates)-1 {
			if tree, ok := p.openTree(r); ok {
				trees = append(trees, tree)
			}
		}
	}
	return trees, closeAll, nil
}

func (p *pkg) openTree(r revision.Revision) (archive.Tree, bool) {
	encoded, err := os.ReadFile(p.indexPath(r))
	if err != nil {
		return archive.Tree{}, false
	}
	index, err := archive.DecodeIndex(encoded)
	if err != nil {
		return archive.Tree{}, false
	}
	dir, err := os.OpenRoot(p.revisionDir(r))
	if err != nil {
		return archive.Tree{}, false
	}
	return archive.Tree{Dir: dir, Index: index}, true
}

// indexPath is where the index of a revision is kept for the next fetch. It
// saves bytes and time, and nothing depends on it: what is found by it is
// compared with the digest that the new revision's index has.
func (p *pkg) indexPath(r revision.Revision) string {
	return filepath.Join(p.meta(), "index", r.ID())
}

func (p *pkg) keepIndex(r revision.Revision, encoded []byte) {
	path := p.indexPath(r)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = durable.ReplaceFile(path, encoded, 0o600)
	}
	if err != nil {
		p.host.warn("%s: keep the index of %s: %v", p.name, r, err)
	}
}

func (p *pkg) removeIndex(r revision.Revision) { os.Remove(p.indexPath(r)) }
