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
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// SpoolOptions are the choices of Spool.
type SpoolOptions struct {
	Note string // kept in the manifest
	AsIs bool   // upload the file untouched, and not as a seekable archive
}

// Clocks of build boxes are often wrong, and an id is made from one.
const (
	clockWarning = 5 * time.Minute // difference to the bucket's clock
	clockRefusal = 24 * time.Hour
	aheadWarning = time.Minute // by which the newest id may be ahead of us
)

// maxSpoolTries bounds how often another id is tried because somebody else took
// the one before. Each time somebody else succeeded.
const maxSpoolTries = 50

// Spool uploads a file, or a directory as an archive, as a new revision of the
// package that its name says, and returns the revision. The revision exists for
// others once its manifest does, which is written last.
func (m *Master) Spool(ctx context.Context, path string, opts SpoolOptions) (revision.Revision, error) {
	if len(opts.Note) > maxNote {
		return revision.Revision{}, longNote(opts.Note)
	}
	manifest, err := m.spool(ctx, path, opts)
	if err != nil {
		return revision.Revision{}, fmt.Errorf("spool %s: %w", path, err)
	}
	r := manifest.Revision
	m.report(ftl.Event{Package: r.Package(), Revision: r, Step: ftl.Spool, State: ftl.Success})
	return r, nil
}

func (m *Master) spool(ctx context.Context, path string, opts SpoolOptions) (Manifest, error) {
	parcel, err := m.wrap(ctx, path, opts.AsIs)
	if err != nil {
		return Manifest{}, err
	}
	defer parcel.Close()
	parcel.manifest.Note = opts.Note
	if err := store.CheckConditions(ctx, m.Bucket); err != nil {
		return Manifest{}, err
	}
	after, err := m.newest(ctx, parcel.pkg)
	if err != nil {
		return Manifest{}, err
	}
	err = m.upload(ctx, &parcel, after)
	return parcel.manifest, err
}

// longNote refuses a note that would not leave room for others.
func longNote(note string) error {
	return ftl.Errorf(ftl.Refused, "shorten it", "the note is %d bytes long, and %d are the most", len(note), maxNote)
}

// newest returns the time of the newest revision of a package that the bucket
// knows of, finished or not: a new id has to be greater. On the way it compares
// the clocks.
func (m *Master) newest(ctx context.Context, pkg revision.Package) (time.Time, error) {
	marker, err := ReadMarker(ctx, m.Bucket, pkg)
	if err != nil {
		return time.Time{}, err
	}
	contents, err := ReadContents(ctx, m.Bucket, pkg)
	if err != nil {
		return time.Time{}, err
	}
	now := m.now()
	switch skew := now.Sub(contents.Date).Round(time.Second); {
	case skew.Abs() > clockRefusal:
		return time.Time{}, ftl.Errorf(ftl.Refused, "set this machine's clock", "the clock here differs from the bucket's by %v", skew)
	case skew.Abs() > clockWarning:
		m.warn("the clock here differs from the bucket's by %v", skew)
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
	for _, archive := range contents.loose {
		note(archive.revision)
	}
	for _, entry := range marker.Entries {
		note(entry.Revision)
	}
	if newest.Sub(now) > aheadWarning {
		m.warn("the newest revision of %s is dated %s, ahead of the clock here; the new one is named to follow it",
			pkg, newest.Format(time.RFC3339))
	}
	return newest, nil
}

// upload puts the archive and then the manifest under the first id after the
// given time that nobody else has taken.
func (m *Master) upload(ctx context.Context, parcel *parcel, after time.Time) (err error) {
	manifest := &parcel.manifest
	manifest.Op = newOp()
	for range maxSpoolTries {
		manifest.At = m.now()
		at := manifest.At
		if second := after.Add(time.Second); at.Before(second) {
			at = second
		}
		if manifest.Revision, err = revision.New(parcel.pkg, at, manifest.SHA256); err != nil {
			return err
		}
		manifest.Archive = archiveKey(manifest.Revision, parcel.extension)
		taken, err := m.create(ctx, manifest.Archive, parcel, manifest.SHA256, manifest.Op)
		if err != nil {
			return err
		}
		if !taken {
			text := manifest.encode(parcel.index)
			taken, err = m.create(ctx, manifestKey(manifest.Revision), bytes.NewReader(text), sha256.Sum256(text), manifest.Op)
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

// create puts an object where there is none, and reports whether somebody else
// has taken the key. An object with our own op is our own success, whose answer
// was lost.
func (m *Master) create(ctx context.Context, key string, body io.ReadSeeker, sum [sha256.Size]byte, op string) (taken bool, err error) {
	_, err = m.Bucket.Put(ctx, key, body, store.PutOptions{
		SHA256: sum, IfAbsent: true, Metadata: map[string]string{metadataOp: op},
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
	return object.Metadata[metadataOp] != op, nil
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
