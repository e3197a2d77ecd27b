package master

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// SpoolOptions are the choices of Spool.
type SpoolOptions struct {
	Note    string // kept in the manifest
	Labels  catalog.Labels
	AsIs    bool      // upload the file untouched, and not as a seekable archive
	Exclude []string  // what of a directory is left out, as archive.ParseIgnore reads it
	Name    string    // in the place of the file's own; required for Stdin
	Stdin   io.Reader // what is read where the path is Stdin
}

// Stdin is the path that stands for SpoolOptions.Stdin.
const Stdin = "-"

// aheadWarning is by how much the newest id may be ahead of the clock here without a word.
const aheadWarning = time.Minute

// maxSpoolTries bounds how often another id is tried because somebody else took the one before.
// Each time somebody else succeeded.
const maxSpoolTries = 50

// Spool uploads a file, or a directory as an archive, as a new revision of the package that its
// name says, and returns the revision. The revision exists for others once its manifest does, which
// is written last.
func (m *Master) Spool(ctx context.Context, path string, opts SpoolOptions) (revision.Revision, error) {
	if len(opts.Note) > catalog.MaxNote {
		return revision.Revision{}, longNote(opts.Note)
	}
	r, err := m.spool(ctx, path, opts)
	if err != nil {
		return revision.Revision{}, fmt.Errorf("spool %s: %w", path, err)
	}
	return r, nil
}

func (m *Master) spool(ctx context.Context, path string, opts SpoolOptions) (r revision.Revision, err error) {
	from, err := sourceOf(path, opts)
	if err != nil {
		return r, err
	}
	task := ftl.Begin(m.report, ftl.Event{Package: from.pkg, Step: ftl.Spool})
	defer func() {
		task.Name(r)
		task.End("", err)
	}()
	u, err := m.pack(ctx, from, opts)
	if err != nil {
		return r, err
	}
	defer u.Close()
	if err := m.Bucket.CheckConditions(ctx); err != nil {
		return r, err
	}
	if r, err = m.send(ctx, u); err != nil {
		return r, err
	}
	m.touch(ctx)
	return r, nil
}

// send uploads an archive and its manifest under a name that is greater than all that the bucket
// knows of the package.
func (m *Master) send(ctx context.Context, u *upload) (r revision.Revision, err error) {
	after, err := m.newest(ctx, u.source.pkg)
	if err != nil {
		return r, err
	}
	task := ftl.Begin(m.report, ftl.Event{Package: u.source.pkg, Step: ftl.Upload})
	err = m.upload(ctx, u, after)
	task.Name(u.manifest.Revision)
	task.End("", err)
	return u.manifest.Revision, err
}

// longNote refuses a note that would not leave room for others.
func longNote(note string) error {
	return ftl.Errorf(ftl.Refused, "shorten it", "the note is %d bytes long, and %d are the most", len(note), catalog.MaxNote)
}

// newest returns the time of the newest revision of a package that the bucket knows of, finished or
// not: a new id has to be greater. On the way it compares the clocks.
func (m *Master) newest(ctx context.Context, pkg revision.Package) (time.Time, error) {
	marker, err := m.Bucket.Marker(ctx, pkg)
	if err != nil {
		return time.Time{}, err
	}
	contents, err := m.Bucket.Contents(ctx, pkg)
	if err != nil {
		return time.Time{}, err
	}
	if err := m.checkClock(contents.Date); err != nil {
		return time.Time{}, err
	}

	var newest time.Time
	note := func(r revision.Revision) {
		if at, ok := r.Time(); ok && at.After(newest) {
			newest = at
		}
	}
	for _, r := range contents.Revisions {
		note(r)
	}
	for _, object := range contents.Archives {
		note(object.Revision)
	}
	for _, entry := range marker.Entries {
		note(entry.Revision)
	}
	if newest.Sub(m.now()) > aheadWarning {
		m.warn("the newest revision of %s is dated %s, ahead of the clock here; the new one is named to follow it",
			pkg, newest.Format(time.RFC3339))
	}
	return newest, nil
}

// upload puts the archive and then the manifest under the first id after the given time that nobody
// else has taken.
func (m *Master) upload(ctx context.Context, u *upload, after time.Time) (err error) {
	manifest := &u.manifest
	manifest.Op = newOp()
	for range maxSpoolTries {
		manifest.At = m.now()
		at := manifest.At
		if second := after.Add(time.Second); at.Before(second) {
			at = second
		}
		if manifest.Revision, err = revision.New(u.source.pkg, at, manifest.SHA256); err != nil {
			return err
		}
		manifest.Archive = catalog.ArchiveKey(manifest.Revision, u.extension)
		taken, err := m.create(ctx, manifest.Archive, u, manifest.SHA256, manifest.Op)
		if err != nil {
			return err
		}
		if !taken {
			taken, err := m.createManifest(ctx, u)
			if err != nil || !taken {
				return err
			}
			// Somebody took the id with another extension; the archive is ours.
			if err := m.Bucket.Delete(ctx, manifest.Archive); err != nil {
				return err
			}
		}
		after, _ = manifest.Revision.Time()
	}
	return ftl.Errorf(ftl.Refused, "run it again", "others took %d names in a row", maxSpoolTries)
}

// createManifest is create for the manifest of an upload.
func (m *Master) createManifest(ctx context.Context, u *upload) (taken bool, err error) {
	top, err := m.signed(u.manifest.Revision, u.manifest.Header())
	if err != nil {
		return false, errors.Join(err, m.Bucket.Delete(ctx, u.manifest.Archive))
	}
	object, sum, err := u.manifestObject(top)
	if err != nil {
		return false, err
	}
	defer object.Close()
	return m.create(ctx, catalog.ManifestKey(u.manifest.Revision), object.Reader(), sum, u.manifest.Op)
}

// create puts an object where there is none, and reports whether somebody else has taken the key.
// An object with our own op is our own success, whose answer was lost.
func (m *Master) create(ctx context.Context, key string, body io.ReadSeeker, sum [sha256.Size]byte, op string) (taken bool, err error) {
	_, err = m.Bucket.Put(ctx, key, body, store.PutOptions{
		SHA256: sum, IfAbsent: true, Metadata: map[string]string{catalog.MetadataOp: op},
	})
	if !errors.Is(err, store.ErrPrecondition) {
		return false, err
	}
	object, err := m.Bucket.Stat(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // theirs, and gone again
	}
	if err != nil {
		return false, err
	}
	return object.Metadata[catalog.MetadataOp] != op, nil
}

// put writes a small object.
func (m *Master) put(ctx context.Context, key string, text []byte, opts store.PutOptions) error {
	opts.SHA256 = sha256.Sum256(text)
	_, err := m.Bucket.Put(ctx, key, bytes.NewReader(text), opts)
	return err
}

// refusedArchive makes a refusal of an error that is the archive's own fault.
func refusedArchive(err error) error {
	if errors.Is(err, archive.ErrInvalid) {
		return refused(err)
	}
	return err
}

// refused makes a refusal of what is wrong with a file or an object.
func refused(err error) error { return &ftl.Error{Kind: ftl.Refused, Err: err} }
