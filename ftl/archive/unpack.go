package archive

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Unpack extracts an archive into stage, an empty directory of mode 0700 that nobody else writes
// to. It makes exactly what want says, which Scan has measured: it stops before the first entry or
// byte too many, and an archive with fewer is ErrInvalid too.
//
// It does not sync files to disk: the caller does so with one call for the whole stage. After an
// error the stage holds a part of the tree, and the caller removes it.
func Unpack(ctx context.Context, p Packed, stage *os.Root, want Totals) error {
	if !p.Form.Tree() {
		if _, err := topName(p.File.Name); err != nil {
			return err
		}
	}
	d := newDisk(stage)
	defer d.close()
	sum, err := walk(ctx, p, want, d, nil)
	if err != nil {
		return err
	}
	if sum != want {
		return invalid("it unpacks to %d entries and %d bytes, not to %d and %d", sum.Entries, sum.Bytes, want.Entries, want.Bytes)
	}
	return nil
}

// disk is the sink that writes. It never opens anything through a symlink: it makes every entry by
// its last component, in the handle of a directory that this run has made, and only if that name is
// free. So it sets mode and time only on what this run has made.
type disk struct {
	handles handles
	umask   fs.FileMode
	buf     []byte
}

func newDisk(stage *os.Root) *disk {
	return &disk{handles: handles{top: stage}, umask: readUmask(), buf: make([]byte, bufferSize)}
}

func (d *disk) close() { d.handles.close() }

func (d *disk) dir(name string) error { return unpackError(name, d.mkdir(name)) }

func (d *disk) mkdir(name string) error {
	parent, base := split(name)
	f, err := d.handles.open(parent)
	if err == nil {
		err = f.mkdir(base, d.umask)
	}
	return err
}

func (d *disk) file(e *Entry, content io.Reader) error {
	f, err := d.create(e)
	if err != nil {
		return unpackError(e.Name, err)
	}
	if err := d.copy(e.Name, f, content); err != nil {
		f.close()
		return err
	}
	return unpackError(e.Name, d.finishFile(e, f))
}

// create makes a file with its final mode. Nobody else can reach it before the stage is complete.
func (d *disk) create(e *Entry) (outFile, error) {
	parent, base := split(e.Name)
	dir, err := d.handles.open(parent)
	if err != nil {
		return outFile{}, err
	}
	f, err := dir.create(base, e.Mode.Perm())
	if err != nil {
		return outFile{}, err
	}
	if e.Mode.Perm()&d.umask != 0 {
		if err := f.chmod(e.Mode.Perm()); err != nil {
			f.close()
			return outFile{}, err
		}
	}
	return f, nil
}

func (d *disk) finishFile(e *Entry, f outFile) error {
	if err := f.close(); err != nil {
		return err
	}
	parent, base := split(e.Name)
	dir, err := d.handles.open(parent)
	if err != nil {
		return err
	}
	return dir.setTime(base, e.ModTime)
}

// copy returns errors of reading as they are, and adds the name to those of writing.
func (d *disk) copy(name string, f outFile, content io.Reader) error {
	offset := int64(0)
	for {
		n, err := content.Read(d.buf)
		if n > 0 {
			if err := f.writeAt(d.buf[:n], offset); err != nil {
				return unpackError(name, err)
			}
			offset += int64(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (d *disk) symlink(e *Entry) error {
	parent, base := split(e.Name)
	f, err := d.handles.open(parent)
	if err == nil {
		err = f.symlink(e.Link, base)
	}
	if err == nil {
		err = f.setTime(base, e.ModTime)
	}
	return unpackError(e.Name, err)
}

func (d *disk) link(e *Entry) error {
	oldDir, oldBase := split(e.Link)
	from, err := d.handles.open(oldDir)
	if err != nil {
		return unpackError(e.Name, err)
	}
	dir, base := split(e.Name)
	to, err := d.handles.open(dir)
	if err == nil {
		err = to.link(from, oldBase, base)
	}
	return unpackError(e.Name, err)
}

// finish sets the modes and times of the directories, the deepest first: writing into a directory
// changes its time, and its mode may forbid entering it.
func (d *disk) finish(dirs []directory) error {
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := d.finishDir(&dirs[i]); err != nil {
			return unpackError(dirs[i].name, err)
		}
	}
	return nil
}

func (d *disk) finishDir(dir *directory) error {
	parent, base := split(dir.name)
	if base == "." {
		dir.mode |= 0o700 // the owner moves, changes and removes the revision
	}
	f, err := d.handles.open(parent)
	if err != nil {
		return err
	}
	if dir.mode != permissions || d.umask&permissions != 0 || base == "." {
		if err := f.chmodDir(base, dir.mode); err != nil {
			return err
		}
	}
	return f.setTime(base, dir.modTime)
}

func unpackError(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("unpack %q: %w", name, err)
}
