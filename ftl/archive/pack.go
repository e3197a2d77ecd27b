package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// PackOptions are the choices of Pack. The zero value packs everything.
type PackOptions struct {
	Ignore *Ignore                 // what to leave out
	Watch  func(done, total int64) // is told often how many bytes of files are packed; nil: nobody is
}

// Pack writes the directory dir as a tar that Scan accepts. The same tree makes the same bytes:
// entries are in lexical order, without owners, with times in whole seconds. The top directory is
// not an entry, and everything called .git is left out. Symlinks stay links, hard links become
// files of their own.
//
// Sockets, fifos and devices are refused, as is a file that changes its size meanwhile. An empty
// directory, and a name that Scan would refuse, is ErrInvalid. After an error, what was written to
// w is of no use.
func Pack(ctx context.Context, w io.Writer, dir string, opts PackOptions) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	buffered := bufio.NewWriterSize(w, bufferSize) // for the headers
	p := &packer{root: root, opts: opts, handles: handles{top: root}, tar: tar.NewWriter(buffered), buf: make([]byte, bufferSize)}
	defer p.handles.close()
	if opts.Watch != nil {
		if err := p.measure(ctx); err != nil {
			return err
		}
	}
	if err := p.pack(ctx); err != nil {
		return err
	}
	return buffered.Flush()
}

// packer writes one directory.
type packer struct {
	root    *os.Root
	opts    PackOptions
	handles handles // of files, so that opening one doesn't resolve its whole path
	tar     *tar.Writer
	entries int64
	done    int64 // bytes of files that are packed
	total   int64 // bytes of all files, where somebody wants to know
	buf     []byte
}

// walk calls visit for everything that is to be packed.
func (p *packer) walk(ctx context.Context, visit func(name string, d fs.DirEntry) error) error {
	return fs.WalkDir(p.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err == nil:
			err = context.Cause(ctx)
		case name != ".":
			err = packError(name, err)
		}
		if err != nil || name == "." {
			return err
		}
		if d.Name() == ".git" || p.opts.Ignore.Match(name, d.IsDir()) {
			return leaveOut(d)
		}
		return visit(name, d)
	})
}

// measure counts the bytes that there are to pack. A file that is gone meanwhile is met again when
// it is packed.
func (p *packer) measure(ctx context.Context) error {
	return p.walk(ctx, func(_ string, d fs.DirEntry) error {
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			p.total += info.Size()
		}
		return nil
	})
}

func (p *packer) pack(ctx context.Context) error {
	err := p.walk(ctx, func(name string, d fs.DirEntry) error { return p.entry(ctx, name, d) })
	if err != nil {
		return err
	}
	if p.entries == 0 {
		return invalid("the directory is empty")
	}
	return p.tar.Close()
}

func leaveOut(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (p *packer) entry(ctx context.Context, name string, d fs.DirEntry) error {
	if _, err := cleanName(name); err != nil {
		return err
	}
	p.entries++
	switch d.Type() {
	case 0:
		return packError(name, p.file(ctx, name))
	case fs.ModeDir, fs.ModeSymlink:
		return packError(name, p.other(name, d))
	}
	return invalid("%q: it is %s; only files, directories and symlinks can be deployed", name, specialName(d.Type()))
}

// other writes an entry without content.
func (p *packer) other(name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := newHeader(name, info)
	if info.IsDir() {
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return p.tar.WriteHeader(h)
	}
	h.Typeflag = tar.TypeSymlink
	if h.Linkname, err = p.root.Readlink(name); err != nil {
		return err
	}
	return p.tar.WriteHeader(h)
}

// file writes a regular file. The directory said that it is one, but only the open file can tell:
// something else may be there by now, and a fifo must not block.
func (p *packer) file(ctx context.Context, name string) error {
	parent, base := split(name)
	dir, err := p.handles.open(parent)
	if err != nil {
		return err
	}
	fd, err := dir.openat(base, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errChanged
	}
	h := newHeader(name, info)
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	return p.content(ctx, f, info.Size())
}

var errChanged = errors.New("it changed while it was read")

// content copies exactly size bytes. A file that does not end there is errChanged.
func (p *packer) content(ctx context.Context, f *os.File, size int64) error {
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, err := f.Read(p.buf)
		if size -= int64(n); size < 0 {
			return errChanged
		}
		if _, err := p.tar.Write(p.buf[:n]); err != nil {
			return err
		}
		if p.done += int64(n); n > 0 && p.opts.Watch != nil {
			p.opts.Watch(p.done, p.total)
		}
		switch {
		case err == io.EOF && size == 0:
			return nil
		case err == io.EOF:
			return errChanged
		case err != nil:
			return err
		}
	}
}

func newHeader(name string, info fs.FileInfo) *tar.Header {
	return &tar.Header{Name: name, Mode: tarMode(info.Mode()), ModTime: clamp(info.ModTime().Truncate(time.Second))}
}

// tarMode keeps the special bits of a file, which Scan tells of and no host has. A directory's mean
// something on the machine that packs it only.
func tarMode(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	if mode.IsRegular() && mode&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if mode.IsRegular() && mode&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	return bits
}

func specialName(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeNamedPipe != 0:
		return "a fifo"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "of an unknown type"
}

func packError(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("pack %q: %w", name, err)
}
