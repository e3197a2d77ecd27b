package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Names in a directory bucket that are not objects. A key can't name the hidden ones, and reserved
// refuses lockKey.
const (
	lockKey = "_ftl/lock" // flock: who replaces or deletes
	metaDir = ".meta"     // metadata, see dir_meta.go
	tempDir = ".tmp"      // bodies that are being written, see dir_put.go
)

// directory is a bucket in a directory that several hosts may share. Every object is a regular
// file. Names that are not keys, symbolic links and special files are ignored. Reading needs no
// write permission and writes nothing.
//
// Each operation opens the directory anew. So a directory that does not exist, perhaps because its
// file system is not mounted, is an error and never an empty bucket.
type directory struct {
	path string
}

func (d *directory) Stat(ctx context.Context, key string) (Object, error) {
	f, o, err := d.open(ctx, "stat", key)
	if err != nil {
		return Object{}, err
	}
	return o, d.failed("stat", key, f.Close())
}

func (d *directory) Get(ctx context.Context, key string, opts GetOptions) (io.ReadCloser, Object, error) {
	if err := opts.check(); err != nil {
		return nil, Object{}, &Error{Op: "get", Key: key, Err: err}
	}
	f, o, err := d.open(ctx, "get", key)
	if err != nil {
		return nil, Object{}, err
	}
	if opts.ETag != "" && opts.ETag != o.ETag {
		return nil, Object{}, errors.Join(precondition("get", key), f.Close())
	}
	if opts.Unless != "" && opts.Unless == o.ETag {
		return nil, o, errors.Join(unchanged("get", key), f.Close())
	}
	length := opts.length(o.Size)
	return &section{ctx, d, key, f, io.NewSectionReader(f, opts.Offset, length), length}, o, nil
}

// section reads a part of a file, and tells its end from a file cut short.
type section struct {
	ctx  context.Context
	d    *directory
	key  string
	f    *os.File
	r    io.Reader
	left int64
}

func (s *section) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, &Error{Op: "get", Key: s.key, Err: err}
	}
	n, err := s.r.Read(p)
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		err = s.d.failed("get", s.key, err)
	}
	return n, err
}

func (s *section) Close() error {
	err := s.f.Close()
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return s.d.failed("get", s.key, err)
}

// open opens an object and returns what is known of it.
func (d *directory) open(ctx context.Context, op, key string) (*os.File, Object, error) {
	root, err := d.root(ctx, op, key)
	if err != nil {
		return nil, Object{}, err
	}
	defer root.Close()
	if key == lockKey {
		return nil, Object{}, absent(op, key)
	}
	for {
		f, info, err := openObject(root, key)
		if err != nil {
			return nil, Object{}, d.answer(op, key, err)
		}
		o := object(key, info)
		o.Date = time.Now()
		if o.Metadata, err = readMeta(root, key, o.ETag); err != nil {
			return nil, Object{}, errors.Join(d.failed(op, key, err), f.Close())
		}
		if o.Metadata != nil || !replaced(root, key, info) {
			return f, o, nil
		}
		// Replaced between the two, and its metadata with it: read the new one.
		if err := f.Close(); err != nil {
			return nil, Object{}, d.failed(op, key, err)
		}
	}
}

// replaced reports whether another object has the key by now.
func replaced(root *os.Root, key string, was fs.FileInfo) bool {
	info, err := root.Lstat(key)
	return err == nil && etag(info) != etag(was)
}

// openObject opens a regular file. It does not follow a link, nor wait for the other end of a pipe.
// Anything else is not an object.
func openObject(root *os.Root, key string) (*os.File, fs.FileInfo, error) {
	before, err := root.Lstat(key)
	if err != nil {
		return nil, nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, nil, fs.ErrNotExist
	}
	f, err := root.OpenFile(key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	// The open file is the one that will be read. Over NFS, opening it also updates its attributes.
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// object returns what is known of an object by its file.
func object(key string, info fs.FileInfo) Object {
	return Object{Key: key, Size: info.Size(), ETag: etag(info), Modified: info.ModTime()}
}

// etag changes whenever the file is replaced, since every Put makes a new file with its own time.
// It also changes with time and size, when somebody changes the file in place.
func etag(info fs.FileInfo) string {
	var inode uint64
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = sys.Ino
	}
	return fmt.Sprintf("%x-%x-%x", inode, info.ModTime().UnixNano(), info.Size())
}

// root opens the directory, and refuses what can't be a key.
func (d *directory) root(ctx context.Context, op, key string) (*os.Root, error) {
	err := context.Cause(ctx)
	if err == nil && op != "list" {
		err = checkKey(key)
	}
	if err != nil {
		return nil, &Error{Op: op, Key: key, Err: err}
	}
	root, err := os.OpenRoot(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Op: op, Key: key, Err: fmt.Errorf("no directory %s", d.path),
			Hint: "is its file system mounted? A new bucket needs: mkdir " + d.path}
	}
	if err != nil && isNoDirectory(d.path, err) {
		return nil, &Error{Op: op, Key: key, Err: fmt.Errorf("%s is not a directory", d.path),
			Hint: "a bucket is a directory, such as file:///srv/bucket"}
	}
	if err != nil {
		return nil, d.failed(op, key, err)
	}
	return root, nil
}

// isNoDirectory reports whether opening failed since the path, or one above it,
// is of a file. [os.OpenRoot] has no error of its own for that.
func isNoDirectory(path string, err error) bool {
	info, statErr := os.Stat(path)
	return errors.Is(err, syscall.ENOTDIR) || statErr == nil && !info.IsDir()
}

// answer is failed, except that a missing object is absent.
func (d *directory) answer(op, key string, err error) error {
	// Below a file there is nothing, as S3 would say.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return absent(op, key)
	}
	return d.failed(op, key, err)
}

// failed returns an *Error for the error of a system call, and nil for nil. The error never
// satisfies fs.ErrNotExist: something is missing, but it is not the object.
func (d *directory) failed(op, key string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Key: key, Err: cause(err)}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Err = errors.New(err.Error())
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "see who may use it: ls -ld " + d.path
	case errors.Is(err, ErrNoConditions):
		e.Hint = conditionsHint
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Hint = "make room in " + d.path
	}
	return e
}

// cause leaves out the call and the path, as Error names the key.
func cause(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
