package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/internal/spill"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// restore makes a tree in stage of a seekable archive: what a ready revision
// has is copied from there, and the rest is fetched in parts.
func (s *syncing) restore(ctx context.Context, bucket *catalog.Catalog, manifest catalog.Manifest, index *archive.Index, at *staging) error {
	kept, err := s.recycle(ctx, manifest, index, at)
	if err != nil {
		return err
	}
	root, err := s.openStage(at.tree.Path)
	if err != nil {
		return err
	}
	defer root.Close()
	trees, closeTrees, err := s.localTrees(s.scratch)
	if err != nil {
		return err
	}
	defer closeTrees()
	packed := func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		return openArchive(ctx, bucket, manifest, store.GetOptions{Offset: offset, Length: length})
	}
	behind, err := s.Files.WriteBehind(at.tree.Path, treeStep)
	if err != nil {
		return err
	}
	watch := func(now archive.Progress) {
		behind.Wrote(now.Written)
		s.watch(manifest.Revision, now)
	}
	return ftl.Join(archive.Restore(ctx, root, archive.Restoration{Index: index, Ranges: packed, Trees: trees, Kept: kept, Watch: watch}), behind.End())
}

// treeStep is how many bytes of a tree are written between two syncs, at least.
const treeStep = 16 << 20

// kept are the index and the manifest of revisions, which a host keeps beside their trees. Nothing
// depends on them: what is missing is only missed.
type kept struct{ *tree.Tree }

// maxTrees is how many ready revisions are searched for content. The active one
// and the newest have most of it.
const maxTrees = 2

// localTrees opens the ready revisions in which content may be found, the
// active one first. One whose index was lost only is not searched. What is large goes to files that
// create makes.
func (p kept) localTrees(create spill.Create) (trees []archive.Tree, closeAll func(), err error) {
	closeAll = func() {
		for _, have := range trees {
			have.Dir.Close()
			have.Index.Close()
		}
	}
	st, err := p.ReadState()
	if err != nil {
		return nil, closeAll, err
	}
	links, err := p.Links()
	if err != nil {
		return nil, closeAll, err
	}
	candidates := st.ReadyRevisions() // oldest first
	if st.IsReady(links.Current) {
		candidates = append(candidates, links.Current)
	}
	for i := len(candidates) - 1; i >= 0 && len(trees) < maxTrees; i-- {
		if r := candidates[i]; r != links.Current || i == len(candidates)-1 {
			if have, ok := p.openRevisionTree(r, create); ok {
				trees = append(trees, have)
			}
		}
	}
	return trees, closeAll, nil
}

func (p kept) openRevisionTree(r revision.Revision, create spill.Create) (archive.Tree, bool) {
	index, err := p.readIndex(r, create)
	if err != nil {
		return archive.Tree{}, false
	}
	dir, err := p.Files.OpenRoot(p.RevisionDir(r))
	if err != nil {
		index.Close()
		return archive.Tree{}, false
	}
	return archive.Tree{Dir: dir, Index: index}, true
}

// readIndex reads the index that was kept, which the caller closes.
func (p kept) readIndex(r revision.Revision, create spill.Create) (*archive.Index, error) {
	file, err := p.Files.OpenFile(p.indexPath(r), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > tree.MaxIndex {
		return nil, fmt.Errorf("%s is larger than an index can be", file.Name())
	}
	return archive.DecodeLocalIndex(file, info.Size(), create)
}

// indexPath is where the index of a revision is kept for the next fetch. It
// saves bytes and time, and nothing depends on it: what is found by it is
// compared with the digest that the new revision's index has.
func (p kept) indexPath(r revision.Revision) string {
	return filepath.Join(p.Meta(), "index", r.ID())
}

func (s *syncing) keepIndex(r revision.Revision, encoded io.Reader) {
	path := s.indexPath(r)
	err := s.Files.Mkdir(filepath.Dir(path), 0o700)
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = s.Files.CopyFile(path, encoded, 0o600)
	}
	if err != nil {
		s.host.warn("%s: keep the index of %s: %v", s.Name, r, err)
	}
}

func (p kept) removeIndex(r revision.Revision) { p.Files.Remove(p.indexPath(r)) }
