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

// Pack writes the directory dir as a tar that Scan accepts. The same tree makes the same bytes: entries in lexical
// order, without owners, times in whole seconds as tar writes them. The top directory is no entry, and everything called
// .git is left out. Symlinks stay links, hard links become files of their own.
//
// Sockets, fifos and devices are refused, as is a file that changes its size meanwhile. An empty directory, and a name
// that Scan would refuse, is ErrInvalid. After an error, what was written to w is of no use.
func Pack(ctx context.Context, w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	buffered := bufio.NewWriterSize(w, bufferSize) // for the headers
	p := &packer{root: root, folders: folders{top: root}, tar: tar.NewWriter(buffered), buf: make([]byte, bufferSize)}
	defer p.folders.close()
	if err := p.pack(ctx); err != nil {
		return err
	}
	return buffered.Flush()
}

// packer writes one directory.
type packer struct {
	root    *os.Root
	folders folders // of files, so that opening one doesn't resolve its whole path
	tar     *tar.Writer
	entries int64
	buf     []byte
}

func (p *packer) pack(ctx context.Context) error {
	err := fs.WalkDir(p.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err == nil:
			err = ctx.Err()
		case name != ".":
			err = packError(name, err)
		}
		if err != nil || name == "." {
			return err
		}
		if d.Name() == ".git" {
			return leaveOut(d)
		}
		return p.entry(ctx, name, d)
	})
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

// file writes a regular file. What it is was told by the directory; that is asked again of the open file, and a fifo
// that took its place meanwhile must not block.
func (p *packer) file(ctx context.Context, name string) error {
	dir, base := split(name)
	folder, err := p.folders.open(dir)
	if err != nil {
		return err
	}
	fd, err := folder.openat(base, unix.O_RDONLY, 0)
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

// content copies exactly size bytes, and wants the file to end there.
func (p *packer) content(ctx context.Context, f *os.File, size int64) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Read(p.buf)
		if size -= int64(n); size < 0 {
			return errChanged
		}
		if _, err := p.tar.Write(p.buf[:n]); err != nil {
			return err
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
	return &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: clamp(info.ModTime().Truncate(time.Second))}
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
