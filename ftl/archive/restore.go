package archive

import (
	"context"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl/internal/counting"
)

// Ranges reads a part of a packed archive. The reader ends after length bytes; an earlier end is an
// error.
type Ranges func(ctx context.Context, offset, length int64) (io.ReadCloser, error)

// Tree is a tree that was unpacked before, and the index that it was made from. Its content may
// differ by now.
type Tree struct {
	Dir   *os.Root
	Index *Index
}

// Restoration is what Restore makes a tree of.
type Restoration struct {
	Index  *Index
	Ranges Ranges
	Trees  []Tree         // whose content may be copied
	Kept   *Kept          // what Recycle has left in the stage; nil: the stage is empty
	Watch  func(Progress) // called often, by several goroutines at once; nil: nobody listens
}

// Restore makes the tree that an index describes in stage, a directory that nobody else writes to. It
// is empty, or Recycle has said what is in it. Restore copies the content that one of the trees has, and checks its digest. It
// fetches the rest, several parts at once, and verifies each part before it uses a byte of it.
// Members that differ from those of the index are ErrInvalid.
//
// It does not sync files to disk: the caller does so with one call for the whole stage. After an
// error the stage holds a part of the tree. The caller removes it, or has it recycled: then the next
// Restore goes on where this one was.
func Restore(ctx context.Context, stage *os.Root, of Restoration) error {
	x := of.Index
	r := &restoring{index: x, kept: of.Kept, stage: stage, umask: readUmask()}
	r.meter.watch = of.Watch
	r.meter.toWrite.Store(x.Totals.Bytes)
	r.meter.written.Store(of.Kept.size())
	r.packed = func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		body, err := of.Ranges(ctx, offset, length)
		if err != nil {
			return nil, err
		}
		return counting.ReadCloser(body, r.meter.read), nil
	}
	defer r.closeShared()
	levels := byDepth(x.dirs)
	for _, level := range levels[1:] { // the top directory is there
		if err := r.eachDir(ctx, level, r.makeDir); err != nil {
			return err
		}
	}
	local, remote := r.divide(of.Trees)
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.fetch(gctx, remote) })
	var missed []int
	group.Go(func() (err error) {
		missed, err = r.reuse(gctx, of.Trees, local)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := r.fetchMissed(ctx, missed); err != nil {
		return err
	}
	if err := r.rest(); err != nil {
		return err
	}
	for _, level := range slices.Backward(levels) { // as a mode may forbid to enter
		if err := r.eachDir(ctx, level, r.finishDir); err != nil {
			return err
		}
	}
	return nil
}

// restoring is what the goroutines of one Restore share.
type restoring struct {
	index  *Index
	kept   *Kept
	packed Ranges
	stage  *os.Root
	umask  fs.FileMode
	meter  meter

	sharedFiles
}

// disk returns a sink for one goroutine.
func (r *restoring) disk() *disk {
	return &disk{handles: handles{top: r.stage}, umask: r.umask}
}

func (r *restoring) makeDir(d *disk, i int) error {
	if r.kept.dir(i) {
		return nil
	}
	return d.mkdir(r.index.dirs[i].name)
}

// finishDir also gives a directory that was kept what a new one has by itself.
func (r *restoring) finishDir(d *disk, i int) error {
	dir := r.index.dirs[i]
	if r.kept.dir(i) && dir.modTime.IsZero() {
		dir.modTime = time.Now()
	}
	return d.finishDir(&dir)
}

// fetchMissed makes the files that no tree has had, and those whose pieces of an earlier run were not
// what they should be.
func (r *restoring) fetchMissed(ctx context.Context, missed []int) error {
	missed = append(missed, r.missed...)
	slices.Sort(missed)
	for _, i := range r.missed {
		delete(r.kept.partial, i)
	}
	return r.fetch(ctx, missed)
}

// divide separates the files whose content a tree may have from those to fetch. Both are in the
// order of the tar.
func (r *restoring) divide(trees []Tree) (local []localFile, remote []int) {
	have := catalogue(trees)
	for i := range r.index.Entries {
		e := &r.index.Entries[i]
		if !e.content() || r.kept.file(i) {
			continue
		}
		if source, ok := have[e.Digest]; ok && source.in(trees).Size == e.Size && !r.kept.isPartial(i) {
			local = append(local, localFile{i, source})
		} else {
			remote = append(remote, i)
		}
	}
	return local, remote
}

// rest makes the entries without content, after all files exist.
func (r *restoring) rest() error {
	d := r.disk()
	defer d.close()
	for i := range r.index.Entries {
		e := &r.index.Entries[i].Entry
		var err error
		switch entryKind(e) {
		case kindFile:
			if e.Size == 0 && !r.kept.file(i) {
				err = d.emptyFile(e)
			}
		case kindSymlink:
			err = d.symlink(e)
		case kindHardLink:
			err = d.link(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) emptyFile(e *Entry) error {
	f, err := d.create(e)
	if err == nil {
		err = d.finishFile(e, f)
	}
	return unpackError(e.Name, err)
}
