package archive

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

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

// Restore makes the tree that an index describes in stage, a directory that nobody else writes to.
// It is empty, or Recycle has said what is in it. Restore copies the content that one of the trees
// has, and checks its digest. It fetches the rest, several parts at once, and verifies each part
// before it uses a byte of it. Members that differ from those of the index are ErrInvalid.
//
// It works on a batch of entries at a time, so that it needs the same memory for any number.
//
// It does not sync files to disk: the caller does so with one call for the whole stage. After an
// error the stage holds a part of the tree. The caller removes it, or has it recycled: then the
// next Restore goes on where this one was.
func Restore(ctx context.Context, stage *os.Root, of Restoration) error {
	r := &restoring{index: of.Index, kept: of.Kept, stage: stage, trees: of.Trees, umask: readUmask()}
	r.meter.watch = of.Watch
	r.meter.toWrite.Store(of.Index.Totals.Bytes)
	r.meter.written.Store(of.Kept.size())
	r.packed = func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		body, err := of.Ranges(ctx, offset, length)
		if err != nil {
			return nil, err
		}
		return counting.ReadCloser(body, r.meter.read), nil
	}
	defer r.closeShared()
	if err := r.batches(ctx); err != nil {
		return err
	}
	if err := r.rest(); err != nil {
		return err
	}
	return r.finishDirs(ctx)
}

// restoring is what the goroutines of one Restore share.
type restoring struct {
	index  *Index
	kept   *Kept
	packed Ranges
	stage  *os.Root
	trees  []Tree
	umask  fs.FileMode
	meter  meter

	entries []IndexEntry // of the batch: the files with content that are not there
	numbers []int        // theirs, in the index
	sharedFiles
}

// disk returns a sink for one goroutine.
func (r *restoring) disk() *disk {
	return &disk{handles: handles{top: r.stage}, umask: r.umask}
}

// batchSize is how many entries are worked on together. It is a variable so that tests can reach
// it.
var batchSize = 32 << 10

// batch is what is worked on together.
type batch struct {
	entries []IndexEntry    // files with content
	numbers []int           // theirs, in the index
	dirs    map[string]bool // their directories, and those of other entries
	parent  string          // of the last entry
	end     int64           // of the last content, in the tar
}

func newBatch() *batch { return &batch{dirs: make(map[string]bool)} }

func (b *batch) size() int { return len(b.entries) + len(b.dirs) }

func (b *batch) add(i int, e *IndexEntry) {
	if e.Mode.IsDir() {
		b.addDir(e.Name)
		return
	}
	if parent, _ := split(e.Name); parent != b.parent {
		b.addDir(parent)
		b.parent = parent
	}
	if e.content() {
		b.entries, b.numbers = append(b.entries, *e), append(b.numbers, i)
		b.end = e.Offset + e.Size
	}
}

// addDir adds a directory and those above it.
func (b *batch) addDir(name string) {
	for name != "." && !b.dirs[name] {
		b.dirs[name] = true
		name, _ = split(name)
	}
}

// isFull reports whether e belongs to the next batch: there are enough, and e shares no member with
// them, which would be fetched twice.
func (r *restoring) isFull(b *batch, e *IndexEntry) bool {
	if b.size() < batchSize {
		return false
	}
	return b.size() > 2*batchSize || len(b.entries) == 0 || e.content() && !r.index.share(b.end-1, e.Offset)
}

// share reports whether one member has both places of the tar.
func (x *Index) share(first, second int64) bool {
	end := int64(0)
	for i := range x.Members {
		if end += x.Members[i].Unpacked; end > first {
			break
		}
	}
	return second < end
}

// batches makes all directories, and all files with content.
func (r *restoring) batches(ctx context.Context) error {
	b := newBatch()
	err := r.index.Each(func(i int, e *IndexEntry) error {
		if r.kept.file(i) {
			return nil
		}
		if r.isFull(b, e) {
			if err := r.batch(ctx, b); err != nil {
				return err
			}
			b = newBatch()
		}
		b.add(i, e)
		return nil
	})
	if err != nil {
		return err
	}
	return r.batch(ctx, b)
}

func (r *restoring) batch(ctx context.Context, b *batch) error {
	for _, level := range byDepth(b.dirs) {
		if err := r.eachDir(ctx, len(level), func(d *disk, i int) error { return r.mkdir(d, level[i]) }); err != nil {
			return err
		}
	}
	r.entries, r.numbers, r.files, r.missed = b.entries, b.numbers, nil, nil
	local, remote, err := r.divide()
	if err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.fetch(gctx, remote) })
	var missed []int
	group.Go(func() (err error) {
		missed, err = r.reuse(gctx, r.trees, local)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return r.fetchMissed(ctx, missed)
}

// fetchMissed makes the files that no tree has had, and those whose pieces of an earlier run were
// not what they should be.
func (r *restoring) fetchMissed(ctx context.Context, missed []int) error {
	missed = append(missed, r.missed...)
	slices.Sort(missed)
	for _, i := range r.missed {
		delete(r.kept.partial, r.numbers[i])
	}
	return r.fetch(ctx, missed)
}

// mkdir makes a directory with the mode of one that no entry lists, unless an earlier batch has, or
// it was kept: the index uses the name for nothing else.
func (r *restoring) mkdir(d *disk, name string) error {
	err := d.mkdir(name)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil && r.umask&permissions != 0 {
		err = d.finishDir(&directory{name: name, mode: permissions})
	}
	return unpackError(name, err)
}

// divide separates the files whose content a tree may have from those to fetch. Both are in the
// order of the tar.
func (r *restoring) divide() (local []localFile, remote []int, err error) {
	have, err := catalogue(r.trees, r.entries)
	if err != nil {
		return nil, nil, err
	}
	for i := range r.entries {
		e := &r.entries[i]
		if source := have[e.Digest]; source.tree > 0 && source.size == e.Size && !r.kept.isPartial(r.numbers[i]) {
			local = append(local, localFile{i, source})
		} else {
			remote = append(remote, i)
		}
	}
	return local, remote, nil
}

// rest makes the entries without content, after all files exist.
func (r *restoring) rest() error {
	d := r.disk()
	defer d.close()
	return r.index.Each(func(i int, of *IndexEntry) error {
		e := &of.Entry
		switch entryKind(e) {
		case kindFile:
			if e.Size == 0 && !r.kept.file(i) {
				return d.emptyFile(e)
			}
		case kindSymlink:
			return d.symlink(e)
		case kindHardLink:
			return d.link(e)
		}
		return nil
	})
}

func (d *disk) emptyFile(e *Entry) error {
	f, err := d.create(e)
	if err == nil {
		err = d.finishFile(e, f)
	}
	return unpackError(e.Name, err)
}

// finishDirs sets the modes and times of the directories, after all that is in them was made. A
// directory may be listed twice; the last entry counts.
func (r *restoring) finishDirs(ctx context.Context) error {
	next := map[string]directory{".": {name: ".", mode: permissions}}
	closed := make(map[string]directory) // whose modes forbid to reach what is below, so they come last
	finish := func() error {
		dirs := make([]directory, 0, len(next))
		for _, dir := range next {
			dirs = append(dirs, dir)
		}
		clear(next)
		return r.eachDir(ctx, len(dirs), func(d *disk, i int) error { return unpackError(dirs[i].name, d.finishDir(&dirs[i])) })
	}
	err := r.index.Each(func(_ int, e *IndexEntry) error {
		if !e.Mode.IsDir() {
			return nil
		}
		dir := directory{e.Name, e.Mode.Perm(), e.ModTime}
		if dir.mode&0o500 != 0o500 && dir.name != "." {
			delete(next, dir.name)
			closed[dir.name] = dir
			return nil
		}
		delete(closed, dir.name)
		if next[dir.name] = dir; len(next) < batchSize {
			return nil
		}
		return finish()
	})
	if err == nil {
		err = finish()
	}
	if err != nil {
		return err
	}
	return r.finishClosed(closed)
}

// finishClosed finishes the deepest directories first.
func (r *restoring) finishClosed(dirs map[string]directory) error {
	names := make([]string, 0, len(dirs))
	for name := range dirs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	d := r.disk()
	defer d.close()
	for _, name := range names {
		dir := dirs[name]
		if err := d.finishDir(&dir); err != nil {
			return unpackError(name, err)
		}
	}
	return nil
}
