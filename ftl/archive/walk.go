package archive

import (
	"archive/tar"
	"context"
	"io"
	"io/fs"
	"time"
)

// sink gets the entries that a walker accepts. Names are clean, the directory of every entry was
// passed to dir before, and no name comes twice.
type sink interface {
	dir(name string) error                  // also for directories that no entry lists
	file(e *Entry, content io.Reader) error // reads content to its end; returns its errors as they are
	symlink(e *Entry) error                 // never follows it
	link(e *Entry) error                    // e.Link was passed to file or link before
	finish(dirs []directory) error          // once, after all entries; parents come before their children
}

// directory is a directory that was made, with what the archive says about it.
type directory struct {
	name    string
	mode    fs.FileMode // permission bits
	modTime time.Time   // zero when no entry lists it
}

// walker reads an archive from beginning to end and checks it.
type walker struct {
	stream   *stream
	tar      *tar.Reader
	sink     sink
	visit    Visit
	most     Totals
	sum      Totals
	seen     seen
	dirs     []directory // in the order of making; the first is the top directory
	dirNames int         // bytes of their names
	parent   string      // directory of the last entry: known to exist
	headers  int64
	headerAt int64       // where in the tar the header of the last entry begins
	apart    bool        // entries are checked one by one only, and all go to visit and then to the sink
	special  fs.FileMode // bits of its mode that are dropped
	body     body
}

// walk passes the whole archive to a sink, and every entry of a tar to visit before. It refuses
// what exceeds most.
func walk(ctx context.Context, p Packed, most Totals, to sink, visit Visit) (Totals, error) {
	s, err := newStream(ctx, p.Content, p.Form)
	if err != nil {
		return Totals{}, err
	}
	defer s.close()
	w := newWalker(s, to, most, visit)
	if p.Form.Tree() {
		err = w.tree()
	} else {
		err = w.single(p.File)
	}
	return w.sum, err
}

func newWalker(s *stream, to sink, most Totals, visit Visit) *walker {
	w := &walker{stream: s, sink: to, visit: visit, seen: newSeen(0)}
	w.most = Totals{Entries: min(most.Entries, maxEntries), Bytes: min(most.Bytes, maxBytes)}
	w.body = body{w: w}
	return w
}

// tree reads a tar.
func (w *walker) tree() error {
	w.tar = tar.NewReader(w.stream)
	w.body.r = w.tar
	w.begin()
	for {
		end := roundUp(w.stream.offset)
		w.headerAt = end
		h, err := w.next(end)
		if err == io.EOF {
			return w.end(end)
		}
		if err != nil {
			return err
		}
		if err := w.header(h); err != nil {
			return err
		}
	}
}

// begin records the top directory.
func (w *walker) begin() {
	w.dirs = append(w.dirs, directory{name: ".", mode: permissions})
	w.seen.add(".", 0)
	w.parent = "."
}

// next reads the header that begins at offset from. ErrInsecurePath, which depends on the program's
// settings, is left to cleanName, which is stricter.
func (w *walker) next(from int64) (*tar.Header, error) {
	w.stream.limit = from + maxHeader
	h, err := w.tar.Next()
	w.stream.limit = 0
	if err == nil || err == tar.ErrInsecurePath {
		return h, nil
	}
	if err == io.EOF {
		return nil, err
	}
	return nil, w.stream.fault(err)
}

func (w *walker) header(h *tar.Header) error {
	// Headers are counted besides the things they make: a directory may be listed again without
	// making anything.
	if w.headers++; w.headers > 2*maxEntries {
		return invalid("it has more than %d entries", maxEntries)
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		return checkGlobal(h)
	}
	e, err := newEntry(h)
	if err == nil {
		err = checkDialect(h, w.stream.block)
	}
	if err != nil {
		return err
	}
	w.special = h.FileInfo().Mode() & (fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	if w.apart {
		return w.pass(&e)
	}
	if e.Mode.IsDir() {
		return w.directory(&e)
	}
	return w.leaf(&e)
}

// pass takes any entry, without asking what others there are.
func (w *walker) pass(e *Entry) error {
	if e.Size > w.most.Bytes-w.sum.Bytes {
		return invalid("%q: it unpacks to more than %d bytes", e.Name, w.most.Bytes)
	}
	w.sum.Bytes += e.Size
	if err := w.show(e); err != nil || !e.Mode.IsRegular() || e.HardLink() {
		return err
	}
	return w.sink.file(e, &w.body)
}

// directory takes an entry that is a directory. A directory may be listed twice, or after what is
// in it; the last entry counts.
func (w *walker) directory(e *Entry) error {
	k, found := w.seen.find(e.Name)
	if found && k < 0 {
		return invalid("%q: it is in the archive twice", e.Name)
	}
	if !found {
		if err := w.parents(e.Name); err != nil {
			return err
		}
	}
	if err := w.show(e); err != nil {
		return err
	}
	if !found {
		if err := w.makeDir(e.Name); err != nil {
			return err
		}
		k = kind(len(w.dirs) - 1)
	}
	w.dirs[k].mode, w.dirs[k].modTime = e.Mode.Perm(), e.ModTime
	return nil
}

// leaf takes an entry that is not a directory: a file or a link.
func (w *walker) leaf(e *Entry) error {
	if err := w.parents(e.Name); err != nil {
		return err
	}
	if _, found := w.seen.find(e.Name); found {
		return invalid("%q: it is in the archive twice", e.Name)
	}
	if err := w.checkLink(e); err != nil {
		return err
	}
	if err := w.count(e.Name, e.Size); err != nil {
		return err
	}
	if err := w.show(e); err != nil {
		return err
	}
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		w.seen.add(e.Name, aSymlink)
		return w.sink.symlink(e)
	case e.HardLink():
		w.seen.add(e.Name, aFile)
		return w.sink.link(e)
	}
	w.seen.add(e.Name, aFile)
	return w.sink.file(e, &w.body)
}

// parents makes sure that the directory of name exists. Every part of it has to be a directory of
// this archive: a symlink is refused even if it stays inside.
func (w *walker) parents(name string) error {
	dir, _ := split(name)
	if dir == w.parent {
		return nil
	}
	for i := 0; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		k, found := w.seen.find(dir[:i])
		switch {
		case !found:
			if err := w.makeDir(dir[:i]); err != nil {
				return err
			}
		case k == aSymlink:
			return invalid("%q: %q is a symlink in this archive", name, dir[:i])
		case k < 0:
			return invalid("%q: %q is a file in this archive", name, dir[:i])
		}
	}
	w.parent = dir
	return nil
}

// makeDir makes a directory, with the attributes of one that no entry lists.
func (w *walker) makeDir(name string) error {
	if err := w.count(name, 0); err != nil {
		return err
	}
	if w.dirNames += len(name); w.dirNames > maxDirNames {
		return invalid("its directories' names are longer than %d bytes together", maxDirNames)
	}
	w.seen.add(name, kind(len(w.dirs)))
	w.dirs = append(w.dirs, directory{name: name, mode: permissions})
	return w.sink.dir(name)
}

// checkLink refuses hard links to anything but an earlier file.
func (w *walker) checkLink(e *Entry) error {
	if !e.HardLink() {
		return nil
	}
	if k, found := w.seen.find(e.Link); !found || k != aFile {
		return invalid("%q: hard link to %q, which is no earlier file of this archive", e.Name, e.Link)
	}
	return nil
}

// count adds an entry to the sum, before any of it is written.
func (w *walker) count(name string, size int64) error {
	if w.sum.Entries >= w.most.Entries {
		return invalid("%q: it unpacks to more than %d entries", name, w.most.Entries)
	}
	if size > w.most.Bytes-w.sum.Bytes {
		return invalid("%q: it unpacks to more than %d bytes", name, w.most.Bytes)
	}
	w.sum.Entries++
	w.sum.Bytes += size
	return nil
}

func (w *walker) show(e *Entry) (err error) {
	if w.visit == nil {
		return nil
	}
	w.body.beginning = w.body.beginning[:0]
	w.body.head, err = w.visit(Visited{*e, w.special})
	return err
}

// single reads an archive that is one file.
func (w *walker) single(f File) error {
	mode := f.Mode & permissions
	if f.Mode == 0 {
		mode = 0o644
	}
	w.body.r = w.stream
	w.body.left = w.most.Bytes
	if w.most.Entries < 1 {
		return invalid("it unpacks to more than 0 entries")
	}
	if err := w.sink.file(&Entry{Name: f.Name, Mode: mode}, &w.body); err != nil {
		return err
	}
	if w.stream.offset == 0 {
		return invalid("it is empty")
	}
	w.sum = Totals{Entries: 1, Bytes: w.stream.offset}
	return w.sink.finish([]directory{{name: ".", mode: permissions}})
}

func roundUp(n int64) int64 { return (n + blockSize - 1) &^ (blockSize - 1) }
