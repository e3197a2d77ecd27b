package master

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/internal/counting"
	"github.com/rhettg/ftl/ftl/internal/spill"
	"github.com/rhettg/ftl/revision"
)

// upload is an archive that is ready to be uploaded, with all of its manifest that does not depend
// on the bucket.
type upload struct {
	*os.File
	source    source
	extension string
	manifest  catalog.Manifest
	index     *spill.Buffer      // of a seekable archive
	progress  func(ftl.Progress) // nil: nobody listens
}

// source is what is spooled, before anything is read of it.
type source struct {
	path   string // "" for a stream
	stream io.Reader
	info   fs.FileInfo // nil for a stream
	name   string      // that decides on the package and the form
	pkg    revision.Package
}

// sourceOf finds out what is spooled.
func sourceOf(path string, opts SpoolOptions) (source, error) {
	s := source{stream: opts.Stdin, name: opts.Name}
	if path != Stdin {
		absolute, err := filepath.Abs(path) // "." has a name too
		if err != nil {
			return source{}, err
		}
		info, err := os.Stat(absolute)
		if err != nil {
			return source{}, withoutPath(err)
		}
		s = source{path: absolute, info: info, name: cmp.Or(opts.Name, filepath.Base(absolute))}
	}
	pkg, _, err := catalog.SplitName(s.name)
	s.pkg = pkg
	switch {
	case err != nil:
		return s, refused(err)
	case s.info != nil && !s.info.IsDir() && !s.info.Mode().IsRegular():
		return s, refused(errors.New("it is neither a file nor a directory"))
	case !s.isDir() && len(opts.Exclude) > 0:
		return s, refused(errors.New("it is not a directory, so nothing of it can be excluded"))
	}
	return s, nil
}

// isDir reports whether a directory is spooled.
func (s source) isDir() bool { return s.info != nil && s.info.IsDir() }

// mode is that of a revision that is no tree.
func (s source) mode() fs.FileMode {
	if s.info == nil {
		return 0o644
	}
	return s.info.Mode().Perm() &^ 0o022
}

// pack reads what is spooled as a host will, so that the operator sees what is wrong with it, and
// makes an upload of it. A tree becomes a seekable archive, in a temporary file, unless it is
// wanted as it is.
func (m *Master) pack(ctx context.Context, from source, opts SpoolOptions) (*upload, error) {
	_, extension, err := catalog.SplitName(from.name)
	if err != nil {
		return nil, refused(err)
	}
	u := &upload{
		source: from, extension: extension, progress: m.Progress,
		manifest: catalog.Manifest{File: from.name, Mode: from.mode(), By: m.by(ctx), Note: opts.Note, Labels: opts.Labels},
	}
	task := ftl.Begin(m.report, ftl.Event{Package: from.pkg, Step: ftl.Pack})
	err = u.pack(ctx, opts, m.warn)
	task.End("", err)
	return u, err
}

// watch tells how far a step is.
func (u *upload) watch(step ftl.Step, done, total int64) {
	if u.progress != nil {
		u.progress(ftl.Progress{Package: u.source.pkg, Step: step, Done: done, Total: total})
	}
}

func (u *upload) pack(ctx context.Context, opts SpoolOptions, warn func(string, ...any)) (err error) {
	from, found := u.source, new(lint)
	switch {
	case from.isDir():
		err = u.packDir(ctx, from.path, opts.Exclude, found)
	case from.stream != nil:
		err = u.packStream(ctx, from.stream, opts.AsIs, found)
	default:
		err = u.packFile(ctx, from.path, opts.AsIs, found)
	}
	if err == nil {
		err = found.complete(&u.manifest, warn)
	}
	if err != nil && u.File != nil {
		err = errors.Join(err, u.Close())
	}
	return err
}

// packDir packs a directory.
func (u *upload) packDir(ctx context.Context, dir string, exclude []string, found *lint) error {
	ignore, err := readIgnore(dir, exclude)
	if err != nil {
		return err
	}
	opts := archive.PackOptions{Ignore: ignore}
	if u.progress != nil {
		opts.Watch = func(done, total int64) { u.watch(ftl.Pack, done, total) }
	}
	packed, tar := io.Pipe()
	group, ctx := errgroup.WithContext(ctx)
	var packing error
	group.Go(func() error {
		packing = archive.Pack(ctx, tar, dir, opts)
		return tar.CloseWithError(packing)
	})
	err = u.makeSeekable(ctx, packed, archive.Tar, found)
	packed.CloseWithError(err)
	if waited := group.Wait(); err == nil {
		err = waited
	}
	if packing != nil && !errors.Is(packing, err) && !errors.Is(packing, io.ErrClosedPipe) {
		err = packing // rather than what reading its broken end gave
	}
	return refusedArchive(err)
}

// ignoreFile is a file of a directory that says what of it is not packed.
const ignoreFile = ".ftlignore"

// readIgnore reads what is not packed: what the directory itself says, and then what the user says,
// which decides.
func readIgnore(dir string, exclude []string) (*archive.Ignore, error) {
	text, err := os.ReadFile(filepath.Join(dir, ignoreFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := archive.ParseIgnore(string(text)); err != nil {
		return nil, refused(fmt.Errorf("%s: %w", ignoreFile, err))
	}
	lines := append([]string{string(text)}, exclude...)
	ignore, err := archive.ParseIgnore(strings.Join(append(lines, "/"+ignoreFile), "\n"))
	if err != nil {
		return nil, refused(fmt.Errorf("exclude: %w", err))
	}
	return ignore, nil
}

// packFile packs a file.
func (u *upload) packFile(ctx context.Context, path string, asIs bool, found *lint) error {
	file, err := os.Open(path)
	if err != nil {
		return withoutPath(err)
	}
	return u.packOpen(ctx, file, asIs, found)
}

// packStream packs what comes from a stream. It is read twice, so it is copied first.
func (u *upload) packStream(ctx context.Context, stream io.Reader, asIs bool, found *lint) error {
	file, err := tempFile()
	if err != nil {
		return err
	}
	content, copied := io.Pipe()
	go func() { // a read from a terminal ends with the program only
		_, err := io.Copy(copied, stream)
		copied.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { copied.CloseWithError(context.Cause(ctx)) })
	defer stop()
	if _, err := io.Copy(file, content); err != nil {
		return errors.Join(err, file.Close())
	}
	return u.packOpen(ctx, file, asIs, found)
}

// packOpen packs a file that is open, which it keeps or closes.
func (u *upload) packOpen(ctx context.Context, file *os.File, asIs bool, found *lint) error {
	form, err := archive.Detect(u.manifest.File, file)
	if err != nil {
		return errors.Join(refusedArchive(err), file.Close())
	}
	content, err := u.watched(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if form.Tree() && !asIs {
		err := u.makeSeekable(ctx, content, form, found)
		return errors.Join(refusedArchive(err), file.Close())
	}
	u.File, u.manifest.Form = file, form
	hash := sha256.New()
	content = io.TeeReader(content, hash)
	if err := u.scan(ctx, archive.Packed{Content: content, Form: form}, found); err != nil {
		return refusedArchive(err)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	return u.finish(hash.Sum(nil))
}

// scan reads an archive that stays as it is.
func (u *upload) scan(ctx context.Context, packed archive.Packed, found *lint) (err error) {
	if !packed.Form.Tree() {
		u.manifest.Unpacked, err = archive.Scan(ctx, packed, found.visit)
		return err
	}
	index, err := archive.List(ctx, packed, tempFile, found.visit)
	if err != nil {
		return err
	}
	u.manifest.Unpacked = index.Totals
	return errors.Join(found.compare(index), index.Close())
}

// watched reads a file from its start, and tells how far it is.
func (u *upload) watched(file *os.File) (io.Reader, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil || u.progress == nil {
		return file, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var done int64
	return counting.Reader(file, func(n int64) {
		done += n
		u.watch(ftl.Pack, done, info.Size())
	}), nil
}

// makeSeekable writes the archive r anew into a temporary file.
func (u *upload) makeSeekable(ctx context.Context, r io.Reader, form archive.Form, found *lint) (err error) {
	u.manifest.Form = archive.TarZstd
	_, u.extension, _ = strings.Cut(archive.SeekableName(u.manifest.File), ".")
	if u.File, err = tempFile(); err != nil {
		return err
	}
	hash := sha256.New()
	index, err := archive.Rewrite(ctx, io.MultiWriter(u.File, hash), archive.Packed{Content: r, Form: form}, tempFile, found.visit)
	if err != nil {
		return err
	}
	u.manifest.Unpacked = index.Totals
	u.index = spill.New(tempFile)
	buffered := bufio.NewWriter(u.index)
	err = errors.Join(found.compare(index), index.Encode(buffered), buffered.Flush(), index.Close())
	if err == nil {
		err = u.manifest.Pin(u.index.Reader())
	}
	if err != nil {
		return err
	}
	return u.finish(hash.Sum(nil))
}

// manifestObject returns the manifest as an object, which the caller closes, and its digest. The
// top is what stands above the index.
func (u *upload) manifestObject(top []byte) (object *spill.Buffer, sum [sha256.Size]byte, err error) {
	object = spill.New(tempFile)
	hash := sha256.New()
	to := io.MultiWriter(object, hash)
	_, err = to.Write(top)
	if err == nil && u.index != nil {
		_, err = io.Copy(to, u.index.Reader())
	}
	if err != nil {
		return nil, sum, errors.Join(err, object.Close())
	}
	return object, [sha256.Size]byte(hash.Sum(nil)), nil
}

// Close gives back what the upload takes.
func (u *upload) Close() error { return errors.Join(u.File.Close(), u.index.Close()) }

// tempFile makes a file without a name, so that nothing stays behind however the program ends.
func tempFile() (*os.File, error) {
	file, err := spill.Temporary()
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	return file, nil
}

// finish notes the size and the digest of the archive.
func (u *upload) finish(sum []byte) error {
	u.manifest.SHA256 = [sha256.Size]byte(sum)
	info, err := u.Stat()
	if err == nil {
		u.manifest.Size = info.Size()
	}
	return err
}

// Read reads the archive, and tells how far it is.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.File.Read(p)
	if u.progress == nil {
		return n, err
	}
	if at, seekErr := u.File.Seek(0, io.SeekCurrent); seekErr == nil {
		u.watch(ftl.Upload, at, u.manifest.Size)
	}
	return n, err
}

// withoutPath leaves the path out of a system call's error, as Spool names it the way the user did.
func withoutPath(err error) error {
	if failure, ok := err.(*fs.PathError); ok {
		return failure.Err
	}
	return err
}
