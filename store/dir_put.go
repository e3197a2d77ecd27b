package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// A body is written under a temporary name and synced. Only then it gets its key: by link(2), which
// refuses to replace, or by rename(2), which replaces. A writer that replaces or deletes holds the
// lock, so that nothing changes between its comparison and its action. link needs no lock: it is an
// atomic "create" also between hosts that share the directory over NFS.

// staleAfter is the age at which the writer of a temporary is not alive any more.
const staleAfter = 24 * time.Hour

// lockPoll is the time between two tries to get the lock.
const lockPoll = 20 * time.Millisecond

func (d *directory) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	root, err := d.root(ctx, "put", key)
	if err != nil {
		return Object{}, err
	}
	defer root.Close()
	meta, err := opts.metadata()
	if err != nil || key == lockKey {
		return Object{}, &Error{Op: "put", Key: key, Err: errors.Join(err, reserved(key))}
	}
	if err := d.refuseEarly(root, key, opts); err != nil {
		return Object{}, err
	}
	w := &dirWrite{ctx: ctx, d: d, root: root, key: key, meta: meta, opts: opts}
	err = w.run(body)
	if errors.Is(err, ErrPrecondition) {
		return Object{}, precondition("put", key)
	}
	if err != nil {
		return Object{}, d.failed("put", key, err)
	}
	return w.object, nil
}

func reserved(key string) error {
	if key == lockKey {
		return errors.New("the key is reserved")
	}
	return nil
}

// refuseEarly avoids writing a body in vain. It does not decide: link and the comparison under the
// lock do.
func (d *directory) refuseEarly(root *os.Root, key string, opts PutOptions) error {
	info, err := root.Lstat(key)
	if opts.IfAbsent && err == nil && info.Mode().IsRegular() {
		return precondition("put", key)
	}
	return nil
}

func (d *directory) Delete(ctx context.Context, key string) error {
	root, err := d.root(ctx, "delete", key)
	if err != nil {
		return err
	}
	defer root.Close()
	if key == lockKey {
		return &Error{Op: "delete", Key: key, Err: reserved(key)}
	}
	err = d.remove(ctx, root, key)
	if errors.Is(d.answer("delete", key, err), fs.ErrNotExist) {
		return nil
	}
	return d.failed("delete", key, err)
}

func (d *directory) remove(ctx context.Context, root *os.Root, key string) error {
	// At first without the lock, so that nothing is written if there is nothing to do.
	if _, err := root.Lstat(key); err != nil {
		return err
	}
	unlock, err := d.lock(ctx, root)
	if err != nil {
		return err
	}
	defer unlock()
	f, info, err := openObject(root, key)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), root.Remove(key)); err != nil {
		return err
	}
	return errors.Join(syncDir(root, path.Dir(key)), removeMeta(root, key, etag(info)))
}

// dirWrite is one Put.
type dirWrite struct {
	ctx    context.Context
	d      *directory
	root   *os.Root
	key    string
	meta   map[string]string
	opts   PutOptions
	object Object // when it is done
}

func (w *dirWrite) run(body io.ReadSeeker) (err error) {
	temp, err := w.writeTemp(body)
	if temp != "" {
		// After link the temporary is a second name; after rename it is gone.
		defer func() {
			if e := w.root.Remove(temp); err == nil && e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = e
			}
		}()
	}
	if err != nil {
		return err
	}
	if err := makeDir(w.root, path.Dir(w.key)); err != nil {
		return err
	}
	// The metadata first: it is for this ETag alone, so nobody can see it yet.
	if err := writeMeta(w.root, w.key, w.object.ETag, w.meta); err != nil {
		return err
	}
	if err := w.publish(temp); err != nil {
		return errors.Join(err, removeMeta(w.root, w.key, w.object.ETag))
	}
	return nil
}

// publish gives the temporary its key, durably.
func (w *dirWrite) publish(temp string) error {
	if w.opts.IfAbsent {
		return w.create(temp)
	}
	return w.replace(temp)
}

func (w *dirWrite) create(temp string) error {
	err := w.root.Link(temp, w.key)
	switch {
	case errors.Is(err, fs.ErrExist):
		return ErrPrecondition
	case errors.Is(err, syscall.EPERM), errors.Is(err, errors.ErrUnsupported):
		return &summary{"the file system has no hard links: " + ErrNoConditions.Error(), ErrNoConditions}
	case err != nil:
		return err
	}
	return syncDir(w.root, path.Dir(w.key))
}

func (w *dirWrite) replace(temp string) error {
	unlock, err := w.d.lock(w.ctx, w.root)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := currentETag(w.root, w.key)
	if err != nil {
		return err
	}
	if w.opts.IfMatch != "" && w.opts.IfMatch != old {
		return ErrPrecondition
	}
	if err := w.root.Rename(temp, w.key); err != nil {
		return err
	}
	if err := syncDir(w.root, path.Dir(w.key)); err != nil {
		return err
	}
	if old == "" {
		return nil
	}
	return removeMeta(w.root, w.key, old)
}

// currentETag returns "" where there is no object.
func currentETag(root *os.Root, key string) (string, error) {
	f, info, err := openObject(root, key)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return etag(info), f.Close()
}

// writeTemp writes the body to a synced file and returns its name, also with an error when there is
// something to remove.
func (w *dirWrite) writeTemp(body io.ReadSeeker) (name string, err error) {
	if err := makeDir(w.root, tempDir); err != nil {
		return "", err
	}
	removeStale(w.root)
	name = path.Join(tempDir, rand.Text())
	f, err := w.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := w.copyBody(f, body); err != nil {
		return name, err
	}
	// A clock of nanoseconds instead of the kernel's ticks: two Puts in one tick could otherwise
	// get the same inode and time, and so the same ETag.
	now := time.Now()
	if err := errors.Join(w.root.Chtimes(name, now, now), f.Sync()); err != nil {
		return name, err
	}
	info, err := f.Stat()
	if err != nil {
		return name, err
	}
	w.object = object(w.key, info)
	w.object.Metadata, w.object.Date = w.meta, now
	return name, nil
}

// copyBody refuses a body of another digest than the caller's.
func (w *dirWrite) copyBody(f io.Writer, body io.ReadSeeker) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	digest := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, digest), &untilDone{w.ctx, body}); err != nil {
		return err
	}
	if [sha256.Size]byte(digest.Sum(nil)) != w.opts.SHA256 {
		return errDigest
	}
	return nil
}

var errDigest = errors.New("the bytes have another SHA-256 than was announced")

// untilDone ends a long copy when its context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := context.Cause(u.ctx); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// removeStale removes what a writer that died left behind. An error does not concern the Put that
// happens to do it, so it reports none.
func removeStale(root *os.Root) {
	entries, err := readDir(root, tempDir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = root.Remove(path.Join(tempDir, entry.Name()))
		}
	}
}

// lock waits for the lock of the bucket, across processes and hosts.
func (d *directory) lock(ctx context.Context, root *os.Root) (unlock func(), err error) {
	if err := makeDir(root, path.Dir(lockKey)); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(d.path, filepath.FromSlash(lockKey)), flock.SetPermissions(0o644))
	if _, err := l.TryLockContext(ctx, lockPoll); err != nil {
		return nil, err
	}
	return func() { _ = l.Close() }, nil // the kernel gives up the lock also where that fails
}

// makeDir makes a directory and those above it, with the permissions of the bucket's own, so that
// those who share the bucket share them too.
func makeDir(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if info, err := root.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := path.Dir(dir)
	if err := makeDir(root, parent); err != nil {
		return err
	}
	top, err := root.Stat(".")
	if err != nil {
		return err
	}
	err = root.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mode := top.Mode() & (fs.ModePerm | fs.ModeSetgid)
	return errors.Join(root.Chmod(dir, mode), syncDir(root, parent))
}

// syncDir makes the names in a directory durable.
func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
