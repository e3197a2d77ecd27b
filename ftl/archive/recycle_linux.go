package archive

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Recycle takes a tree that lies in stage, whatever is in it, and leaves of it what belongs to the
// tree that the index describes. So Restore has less to make:
//
//   - A directory stays if it is one in the index, and like a new one.
//   - A file stays if its content is what the index says. It is read, as its size and time say nothing.
//     It has to be like a new file: of this user, with one link, without extended attributes, access
//     control lists and flags that new files don't have, and no process may have it open for writing.
//   - All else goes, links too. Nothing is ever written into a file: a process may still run from it.
//
// Nobody may work in the tree meanwhile. After an error, which is that of ctx or due to what lies
// in the tree, the tree is of no use but to another call.
func Recycle(ctx context.Context, stage *os.Root, of Recycling) (*Kept, error) {
	like, err := newLikeness(of.Fresh)
	if err != nil {
		return nil, fmt.Errorf("look at a new file: %w", err)
	}
	r := &recycler{Recycling: of, stage: stage, like: like, kept: newKept(of.Index)}
	if r.names, err = newNameHashes(of.Index); err != nil {
		return nil, err
	}
	if err := r.top(ctx); err != nil {
		return nil, err
	}
	if err := r.dirs(ctx); err != nil {
		return nil, err
	}
	if err := r.files(ctx); err != nil {
		return nil, err
	}
	return r.kept, nil
}

// recycler is what the goroutines of one Recycle share.
type recycler struct {
	Recycling
	stage *os.Root
	like  likeness
	names nameHashes

	mu   sync.Mutex // of the totals in kept
	kept *Kept
}

// nameHashes are the names of an index, as sorted hashes: few bytes for each. Two names that have
// one hash would be taken for each other, which happens by chance to one in a million trees of five
// million files, and as the key is new each time, nobody can prepare them.
type nameHashes struct {
	seed        maphash.Seed
	dirs, files []uint64 // files are those that may be kept
}

func newNameHashes(x *Index) (nameHashes, error) {
	n := nameHashes{seed: maphash.MakeSeed()}
	n.dirs = append(n.dirs, n.hash("."))
	n.files = make([]uint64, 0, x.Entries) // of the right size at once, as growing takes twice the memory
	r := x.rows(true)
	last := ""
	for r.next() {
		name := string(r.name)
		dir, _ := split(name)
		if r.kind == kindDirectory {
			dir = name
		}
		for above := dir; above != "." && above != last && !strings.HasPrefix(last, above+"/"); above, _ = split(above) {
			n.dirs = append(n.dirs, n.hash(above))
		}
		if last = dir; r.kind == kindFile {
			n.files = append(n.files, n.hash(name))
		}
	}
	slices.Sort(n.dirs)
	n.dirs = slices.Compact(n.dirs)
	slices.Sort(n.files)
	return n, r.fault
}

func (n *nameHashes) hash(name string) uint64 { return maphash.String(n.seed, name) }

// has reports whether the index has a directory, or a file, of this name.
func (n *nameHashes) has(name string, mode fs.FileMode) bool {
	among := n.files
	switch {
	case mode.IsDir():
		among = n.dirs
	case !mode.IsRegular():
		return false
	}
	_, found := slices.BinarySearch(among, n.hash(name))
	return found
}

// isPlainFile reports whether an entry is a file, and no further name of one.
func isPlainFile(e *Entry) bool { return e.Mode.IsRegular() && !e.HardLink() }

// top looks at the top directory.
func (r *recycler) top(ctx context.Context) error {
	h := handles{top: r.stage}
	defer h.close()
	kept, err := r.dir(ctx, &h, ".")
	if err == nil && !kept {
		err = errors.New("its top directory is not like a new one")
	}
	return err
}

// dirs looks at all other directories, a batch of entries at a time. A directory may come in
// several batches, and is the same after each.
func (r *recycler) dirs(ctx context.Context) error {
	b := newBatch()
	look := func() error {
		for _, level := range byDepth(b.dirs) { // what is below a directory that goes is gone, too
			if err := r.eachDir(ctx, level); err != nil {
				return err
			}
		}
		b = newBatch()
		return nil
	}
	err := r.Index.Each(func(_ int, e *IndexEntry) error {
		dir := e.Name
		if !e.Mode.IsDir() {
			dir, _ = split(dir)
		}
		if b.addDir(dir); len(b.dirs) < batchSize {
			return nil
		}
		return look()
	})
	if err != nil {
		return err
	}
	return look()
}

// eachDir looks at directories of equal depth.
func (r *recycler) eachDir(ctx context.Context, dirs []string) error {
	return inParallel(ctx, len(dirs), func(next func() (from, to int, err error)) error {
		h := handles{top: r.stage}
		defer h.close()
		for {
			from, to, err := next()
			if from == to || err != nil {
				return err
			}
			for _, name := range dirs[from:to] {
				if _, err := r.dir(ctx, &h, name); err != nil {
					return fmt.Errorf("recycle %q: %w", name, err)
				}
			}
		}
	})
}

// dir reports whether a directory is there and stays. Then only what the index has is left in it,
// and its mode and its time are those of a new one.
func (r *recycler) dir(ctx context.Context, h *handles, name string) (bool, error) {
	parent, base := split(name)
	above, err := h.open(parent)
	if err != nil {
		return false, unlessAbsent(err)
	}
	fd, err := above.openHere(base, unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrPermission) {
		return false, r.Remove(ctx, name)
	}
	if err != nil {
		return false, unlessAbsent(err)
	}
	file := os.NewFile(uintptr(fd), base)
	defer file.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return false, os.NewSyscallError("fstat", err)
	}
	if !r.like.isDir(fd, &stat) {
		if base == "." {
			return false, nil
		}
		return false, r.Remove(ctx, name)
	}
	if mode := uint32(permissions) | r.like.special; stat.Mode&^unix.S_IFMT != mode {
		if err := unix.Fchmod(fd, mode); err != nil {
			return false, os.NewSyscallError("fchmod", err)
		}
	}
	if err := r.removeExtra(ctx, file, name); err != nil {
		return false, err
	}
	return true, above.setTime(base, time.Now())
}

// removeExtra deletes from a directory what the index does not have.
func (r *recycler) removeExtra(ctx context.Context, dir *os.File, name string) error {
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		full := path.Join(name, entry.Name())
		if r.names.has(full, entry.Type()) {
			continue
		}
		if entry.IsDir() {
			err = r.Remove(ctx, full)
		} else {
			err = unlink(int(dir.Fd()), entry.Name())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func unlink(dir int, base string) error {
	return os.NewSyscallError("unlinkat", unlessAbsent(unix.Unlinkat(dir, base, 0)))
}

func unlessAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// files looks at all files, a batch at a time.
func (r *recycler) files(ctx context.Context) error {
	var batch []numberedEntry
	err := r.Index.Each(func(i int, e *IndexEntry) error {
		if !isPlainFile(&e.Entry) {
			return nil
		}
		if batch = append(batch, numberedEntry{i, *e}); len(batch) < batchSize {
			return nil
		}
		err := r.eachFile(ctx, batch)
		batch = batch[:0]
		return err
	})
	if err != nil {
		return err
	}
	return r.eachFile(ctx, batch)
}

// numberedEntry is an entry with its number in the index.
type numberedEntry struct {
	number int
	IndexEntry
}

// eachFile looks at files.
func (r *recycler) eachFile(ctx context.Context, batch []numberedEntry) error {
	return inParallel(ctx, len(batch), func(next func() (from, to int, err error)) error {
		h := handles{top: r.stage}
		defer h.close()
		buf, bytes := make([]byte, 128<<10), int64(0)
		for {
			from, to, err := next()
			if err != nil {
				return err
			}
			if from == to {
				break
			}
			for at := from; at < to; at++ {
				i, e := batch[at].number, &batch[at].IndexEntry
				state, err := r.file(&h, e, buf)
				if err != nil {
					return fmt.Errorf("recycle %q: %w", e.Name, err)
				}
				switch state {
				case isKept:
					r.kept.files[i] = true
					bytes += e.Size
				case isPartial:
					r.mu.Lock()
					r.kept.partial[i] = true
					r.mu.Unlock()
				}
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.kept.bytes += bytes
		return nil
	})
}

// found is what there is of a file.
type found int

const (
	isGone found = iota
	isKept
	isPartial
)

// file keeps a file, or makes room for it.
func (r *recycler) file(h *handles, e *IndexEntry, buf []byte) (found, error) {
	parent, base := split(e.Name)
	dir, err := h.open(parent)
	if err != nil {
		return isGone, unlessAbsent(err)
	}
	fd, err := dir.openHere(base, unix.O_NOATIME)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return isGone, nil
	case errors.Is(err, fs.ErrPermission): // it is not this user's
		return isGone, unlink(dir.fd, base)
	case err != nil:
		return isGone, err
	}
	state, err := r.look(fd, e, buf)
	if err == nil && state == isKept {
		err = setExactly(dir, base, fd, e)
	}
	if err := errors.Join(err, os.NewSyscallError("close", unix.Close(fd))); err != nil {
		return isGone, err
	}
	if state == isGone {
		err = unlink(dir.fd, base)
	}
	return state, err
}

// look judges a file that is open. One that can't be read is none.
func (r *recycler) look(fd int, e *IndexEntry, buf []byte) (found, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return isGone, os.NewSyscallError("fstat", err)
	}
	switch {
	case !r.like.isFile(fd, &stat):
	case stat.Size == e.Size:
		if same, err := (outFile{fd}).hasContent(e, buf); err == nil && (same || e.Size == 0) {
			return isKept, nil
		}
	case beginsTable(fd, e, stat.Size):
		return isPartial, nil
	}
	return isGone, nil
}

// setExactly gives a file that stays the mode and the times that a new one would have.
func setExactly(dir *handle, base string, fd int, e *IndexEntry) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if perm := uint32(e.Mode.Perm()); stat.Mode&^unix.S_IFMT != perm {
		if err := unix.Fchmod(fd, perm); err != nil {
			return os.NewSyscallError("fchmod", err)
		}
	}
	at := e.ModTime
	if at.IsZero() {
		at = time.Now()
	}
	if ts, err := unix.TimeToTimespec(at); err == nil && stat.Mtim == ts && stat.Atim == ts {
		return nil
	}
	return dir.setTime(base, at)
}
