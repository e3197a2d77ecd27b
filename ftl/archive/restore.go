package archive

import (
	"context"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Ranges reads a part of a packed archive. The reader ends after length bytes, and not before without an error.
type Ranges func(ctx context.Context, offset, length int64) (io.ReadCloser, error)

// Tree is a tree that was unpacked before, and what it was made of. What is in it now may differ.
type Tree struct {
	Dir   *os.Root
	Index *Index
}

// Restore makes the tree that an index describes in stage, an empty directory of mode 0700 that nobody else writes to.
// Content that one of the trees has is copied from there, and hashed on the way; the rest is fetched, several parts at
// once, each verified before a byte of it is used. Members that are not those of the index are ErrInvalid.
//
// Files are not synced to disk: that is one call for the whole stage, and the caller's. After an error the stage holds a
// part of the tree, and is for the caller to remove.
//
// watch, if not nil, is told often how far it is, by several goroutines at once.
func Restore(ctx context.Context, x *Index, packed Ranges, stage *os.Root, trees []Tree, watch func(Progress)) error {
	r := &restoring{index: x, stage: stage, umask: readUmask()}
	r.meter.watch = watch
	r.meter.toWrite.Store(x.Totals.Bytes)
	r.packed = func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		body, err := packed(ctx, offset, length)
		if err != nil {
			return nil, err
		}
		return r.meter.counted(body), nil
	}
	defer r.closeShared()
	levels := byDepth(x.dirs)
	for _, level := range levels[1:] { // the top directory is there
		if err := r.eachDir(ctx, level, func(d *disk, dir *directory) error { return d.mkdir(dir.name) }); err != nil {
			return err
		}
	}
	local, remote := r.divide(trees)
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.fetch(gctx, remote) })
	var missed []int
	group.Go(func() (err error) {
		missed, err = r.reuse(gctx, trees, local)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := r.fetch(ctx, missed); err != nil {
		return err
	}
	if err := r.rest(); err != nil {
		return err
	}
	for _, level := range slices.Backward(levels) { // as a mode may forbid to enter
		if err := r.eachDir(ctx, level, (*disk).finishDir); err != nil {
			return err
		}
	}
	return nil
}

// restoring is what the goroutines of one Restore share.
type restoring struct {
	index  *Index
	packed Ranges
	stage  *os.Root
	umask  fs.FileMode
	meter  meter

	sharedFiles
}

// disk returns a sink for one goroutine.
func (r *restoring) disk() *disk {
	return &disk{folders: folders{top: r.stage}, umask: r.umask}
}

// divide tells the files whose content a tree may have from those to fetch. Both are in the order of the tar.
func (r *restoring) divide(trees []Tree) (local []localFile, remote []int) {
	have := catalogue(trees)
	for i := range r.index.Entries {
		e := &r.index.Entries[i]
		if !e.content() {
			continue
		}
		if source, ok := have[e.Digest]; ok && source.in(trees).Size == e.Size {
			local = append(local, localFile{i, source})
		} else {
			remote = append(remote, i)
		}
	}
	return local, remote
}

// rest makes what has no content, after all files are there.
func (r *restoring) rest() error {
	d := r.disk()
	defer d.close()
	for i := range r.index.Entries {
		e := &r.index.Entries[i].Entry
		var err error
		switch entryKind(e) {
		case kindFile:
			if e.Size == 0 {
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
