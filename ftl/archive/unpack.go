package archive

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Unpack extracts the archive r into stage, an empty directory of mode 0700 that nobody else writes to. It makes exactly
// what want says, as Scan measured it: it stops before the first entry or byte too many, and an archive that ends with
// fewer is ErrInvalid too. file is how the forms without a tree are kept.
//
// Files are not synced to disk: that is one call for the whole stage, and the caller's. After an error the stage holds a
// part of the tree, and is for the caller to remove.
func Unpack(ctx context.Context, r io.Reader, form Form, file File, stage *os.Root, want Totals) error {
	if !form.Tree() {
		if _, err := topName(file.Name); err != nil {
			return err
		}
	}
	d := newDisk(stage)
	defer d.close()
	sum, err := walk(ctx, r, form, file, want, d, nil)
	if err != nil {
		return err
	}
	if sum != want {
		return invalid("it unpacks to %d entries and %d bytes, not to %d and %d", sum.Entries, sum.Bytes, want.Entries, want.Bytes)
	}
	return nil
}

// disk is the sink that writes. Nothing is ever opened through a symlink: every entry is made by its last component in
// the open handle of its directory, which this run has made itself, and only if that name is free. Mode and time are
// therefore only set on what this run has made.
type disk struct {
	folders folders
	umask   fs.FileMode
	buf     []byte
}

func newDisk(stage *os.Root) *disk {
	return &disk{folders: folders{top: stage}, umask: readUmask(), buf: make([]byte, bufferSize)}
}

func (d *disk) close() { d.folders.close() }

func (d *disk) dir(name string) error { return unpackError(name, d.mkdir(name)) }

func (d *disk) mkdir(name string) error {
	parent, base := split(name)
	f, err := d.folders.open(parent)
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

// create makes a file with its final mode: nobody else can reach it before the stage is whole.
func (d *disk) create(e *Entry) (outFile, error) {
	parent, base := split(e.Name)
	folder, err := d.folders.open(parent)
	if err != nil {
		return outFile{}, err
	}
	f, err := folder.create(base, e.Mode.Perm())
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
	folder, err := d.folders.open(parent)
	if err != nil {
		return err
	}
	return folder.setTime(base, e.ModTime)
}

// copy tells errors of reading, which come as they are to be reported, from those of writing.
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
	f, err := d.folders.open(parent)
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
	from, err := d.folders.open(oldDir)
	if err != nil {
		return unpackError(e.Name, err)
	}
	dir, base := split(e.Name)
	to, err := d.folders.open(dir)
	if err == nil {
		err = to.link(from, oldBase, base)
	}
	return unpackError(e.Name, err)
}

// finish gives the directories their modes and times, the deepest first: writing into a directory changes its time, and
// its mode may forbid entering it.
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
	f, err := d.folders.open(parent)
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
