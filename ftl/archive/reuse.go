package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// place is where a tree had some content when it was unpacked. The zero place is nowhere.
type place struct {
	tree int // counted from 1
	name string
	size int64
}

// localFile is a file to make whose content a tree may have.
type localFile struct {
	entry int // of the batch
	from  place
}

// catalogue returns where the content of entries is. Where two trees have it, the first one counts.
func catalogue(trees []Tree, entries []IndexEntry) (map[Digest]place, error) {
	if len(trees) == 0 {
		return nil, nil
	}
	have := make(map[Digest]place, len(entries)) // of the right size at once, as growing takes twice the memory
	for i := range entries {
		if entries[i].content() {
			have[entries[i].Digest] = place{}
		}
	}
	wants := func(digest Digest) bool {
		at, wanted := have[digest]
		return wanted && at.tree == 0
	}
	for i, t := range trees {
		err := t.Index.find(wants, func(e *IndexEntry) { have[e.Digest] = place{i + 1, e.Name, e.Size} })
		if err != nil {
			return nil, err
		}
	}
	return have, nil
}

// reuse makes files from what the trees have. It returns the entries whose content is not there any
// more: a hook may have changed, replaced or deleted it.
func (r *restoring) reuse(ctx context.Context, trees []Tree, files []localFile) (missed []int, err error) {
	var mu sync.Mutex
	err = inParallel(ctx, len(files), func(next func() (from, to int, err error)) error {
		c := newCopier(r, trees)
		defer c.close()
		for {
			from, to, err := next()
			if err != nil {
				return err
			}
			if from == to {
				break
			}
			for _, f := range files[from:to] {
				if err := c.file(f); err != nil {
					return err
				}
			}
		}
		mu.Lock()
		defer mu.Unlock()
		missed = append(missed, c.missed...)
		return nil
	})
	slices.Sort(missed)
	return missed, err
}

// copier copies files out of trees, for one goroutine.
type copier struct {
	r      *restoring
	disk   *disk
	trees  []Tree
	from   []handles // of each tree
	buf    []byte
	missed []int
}

func newCopier(r *restoring, trees []Tree) *copier {
	c := &copier{r: r, disk: r.disk(), trees: trees, from: make([]handles, len(trees)), buf: make([]byte, cloneSize)}
	for i := range trees {
		c.from[i].top = trees[i].Dir
	}
	return c
}

func (c *copier) close() {
	c.disk.close()
	for i := range c.from {
		c.from[i].close()
	}
}

// cloneSize is the size, in bytes, from which the kernel copies a file, which may share its blocks;
// the copy is then read back to be hashed. A smaller file is read once, and written if its digest
// is right.
const cloneSize = 256 << 10

// file makes a file, or notes that it has to be fetched.
func (c *copier) file(f localFile) error {
	e := &c.r.entries[f.entry]
	source, ok := c.open(f.from)
	if !ok {
		c.missed = append(c.missed, f.entry)
		return nil
	}
	defer unix.Close(source)
	var err error
	if e.Size < cloneSize {
		ok, err = c.small(e, source)
	} else {
		ok, err = c.large(e, source)
	}
	if ok {
		c.r.meter.wrote(e.Size)
	} else {
		c.missed = append(c.missed, f.entry)
	}
	return unpackError(e.Name, err)
}

// open opens the file that should have the content, if it is still a file of the right size.
// Anything else, also an error, only means that the content is fetched.
func (c *copier) open(from place) (fd int, ok bool) {
	parent, base := split(from.name)
	dir, err := c.from[from.tree-1].open(parent)
	if err != nil {
		return -1, false
	}
	fd, err = dir.openat(base, unix.O_RDONLY, 0)
	if err != nil {
		return -1, false
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Size != from.size {
		unix.Close(fd)
		return -1, false
	}
	return fd, true
}

// small reads a file, and writes it if it has the right content.
func (c *copier) small(e *IndexEntry, source int) (ok bool, err error) {
	content := c.buf[:e.Size]
	if n, err := readAt(source, content, 0); err != nil || n < len(content) {
		return false, nil
	}
	if sum := sha256.Sum256(content); Digest(sum[:len(Digest{})]) != e.Digest {
		return false, nil
	}
	return true, c.disk.wholeFile(&e.Entry, content)
}

// large copies a file, and then hashes the copy: what is read twice could differ.
func (c *copier) large(e *IndexEntry, source int) (ok bool, err error) {
	parent, base := split(e.Name)
	dir, err := c.disk.handles.open(parent)
	if err != nil {
		return false, err
	}
	file, err := c.disk.create(&e.Entry)
	if err != nil {
		return false, err
	}
	same, err := c.cloneAndHash(e, source, file)
	if err == nil && same {
		return true, c.disk.finishFile(&e.Entry, file)
	}
	return false, errors.Join(err, file.close(), dir.remove(base))
}

func (c *copier) cloneAndHash(e *IndexEntry, source int, file outFile) (same bool, err error) {
	if err := clone(file.fd, source, e.Size, c.buf); err != nil {
		return false, err
	}
	var after [1]byte
	if n, err := readAt(file.fd, after[:], e.Size); err != nil || n > 0 { // the source has grown
		return false, err
	}
	return file.hasContent(e, c.buf)
}

// hasContent reports whether a file begins with the content of an entry.
func (f outFile) hasContent(e *IndexEntry, buf []byte) (bool, error) {
	hash := sha256.New()
	for offset := int64(0); offset < e.Size; {
		n, err := readAt(f.fd, buf[:min(int64(len(buf)), e.Size-offset)], offset)
		if err != nil || n == 0 {
			return false, err
		}
		hash.Write(buf[:n])
		offset += int64(n)
	}
	return Digest(hash.Sum(nil)[:len(Digest{})]) == e.Digest, nil
}

// copyBytes is clone where the kernel can't do it. A source that ends early is not an error: the
// digest tells.
func copyBytes(to, from int, buf []byte) error {
	for offset := int64(0); ; {
		n, err := readAt(from, buf, offset)
		if err != nil || n == 0 {
			return err
		}
		if err := (outFile{to}).writeAt(buf[:n], offset); err != nil {
			return err
		}
		offset += int64(n)
	}
}

// readAt reads until the buffer is full or the file ends.
func readAt(fd int, b []byte, offset int64) (n int, err error) {
	for n < len(b) {
		part, err := unix.Pread(fd, b[n:], offset+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if part == 0 {
			break
		}
		n += part
	}
	return n, nil
}
