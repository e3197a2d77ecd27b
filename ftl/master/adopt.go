package master

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// An ftl of 2014 kept archives without manifests, and in the place of a marker two objects that
// name the active and the previous revision. The archives' bytes and names are fine as they are.

// Adopt makes revisions of the archives that an ftl of 2014 has spooled, and a marker of what it
// says is active and was active before. Its own objects stay, for hosts that still have it. What is
// adopted already is left alone. An archive that can't be a revision is told, and stops none of the
// others.
func (m *Master) Adopt(ctx context.Context, pkg revision.Package) error {
	marker, err := m.prepare(ctx, pkg)
	if err != nil {
		return during(err, "adopt %s", pkg)
	}
	contents, err := m.Bucket.Contents(ctx, pkg)
	if err != nil {
		return during(err, "adopt %s", pkg)
	}
	if len(contents.Archives)+len(contents.Revisions) == 0 {
		return m.Bucket.UnknownPackage(ctx, pkg)
	}
	var errs []error
	adopted := make(map[revision.Revision]bool)
	for _, object := range contents.Loose() {
		if adopted[object.Revision] {
			m.warn("%s is left alone: the archive of %s is another object", object.Key, object.Revision)
			continue
		}
		err := m.adoptArchive(ctx, object)
		if _, unreachable := errors.AsType[*store.Error](err); unreachable || ctx.Err() != nil {
			return during(err, "adopt %s", object.Key)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("adopt %s: %w", object.Key, err))
		}
		adopted[object.Revision] = err == nil
	}
	errs = append(errs, during(m.adoptMarker(ctx, marker, contents.Date), "adopt %s", pkg))
	m.touchChanged(ctx)
	return ftl.Join(errs...)
}

// adoptArchive writes the manifest of an archive. What this ftl has spooled and not finished is
// none.
func (m *Master) adoptArchive(ctx context.Context, object catalog.Archive) error {
	known, err := m.Bucket.Stat(ctx, object.Key)
	if err != nil || known.Metadata[catalog.MetadataOp] != "" {
		return err
	}
	task, message := m.begin(ftl.Event{Package: object.Revision.Package(), Revision: object.Revision, Step: ftl.Adopt}), ""
	if !m.DryRun {
		message, err = m.writeManifest(ctx, object.Revision, known)
	}
	task.end(message, err)
	return err
}

// writeManifest writes the manifest of an archive that has none, and says if somebody else has.
func (m *Master) writeManifest(ctx context.Context, r revision.Revision, object store.Object) (message string, err error) {
	manifest, err := m.manifestOf(ctx, r, object)
	if err != nil {
		return "", err
	}
	text := manifest.Header()
	taken, err := m.create(ctx, catalog.ManifestKey(r), bytes.NewReader(text), sha256.Sum256(text), manifest.Op)
	if taken {
		message = "by somebody else meanwhile"
	}
	return message, err
}

// manifestOf reads a whole archive, and says what it is made of.
func (m *Master) manifestOf(ctx context.Context, r revision.Revision, object store.Object) (catalog.Manifest, error) {
	extension := strings.TrimPrefix(strings.TrimPrefix(object.Key, r.String()), ".")
	file := strings.TrimSuffix(r.Package().String()+"."+extension, ".")
	if _, _, err := catalog.SplitName(file); err != nil {
		return catalog.Manifest{}, refused(err)
	}
	archived, err := m.download(ctx, object)
	if err != nil {
		return catalog.Manifest{}, err
	}
	u := upload{source: source{pkg: r.Package()}, manifest: catalog.Manifest{
		Revision: r, Archive: object.Key, File: file, Mode: 0o644, Op: newOp(), At: object.Modified, By: m.by(ctx), Note: "adopted",
	}}
	found := new(lint)
	if err := u.packOpen(ctx, archived, true, found); err != nil {
		return catalog.Manifest{}, err
	}
	defer u.Close()
	err = found.complete(&u.manifest, m.warn)
	return u.manifest, err
}

// download copies an object into a temporary file.
func (m *Master) download(ctx context.Context, object store.Object) (*os.File, error) {
	body, _, err := m.Bucket.Get(ctx, object.Key, store.GetOptions{ETag: object.ETag})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	file, err := tempFile()
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(file, body)
	if err == nil && n != object.Size {
		err = fmt.Errorf("it has %d bytes, and %d came", object.Size, n)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// adoptMarker writes a marker where none was written by an ftl that knows serials.
func (m *Master) adoptMarker(ctx context.Context, marker catalog.Marker, date time.Time) error {
	if newest, _ := marker.Newest(); newest.Serial > 0 {
		return nil
	}
	active, previous, err := m.Bucket.Legacy(ctx, marker.Package)
	if err != nil || active == (revision.Revision{}) {
		return err
	}
	task := m.begin(ftl.Event{Package: marker.Package, Revision: active, Step: ftl.Bless, Message: "as it was"})
	if m.DryRun {
		task.end("", nil)
		return nil
	}
	err = m.blessLegacy(ctx, marker, date, active, previous)
	task.end("as it was", err)
	return err
}

func (m *Master) blessLegacy(ctx context.Context, marker catalog.Marker, date time.Time, active, previous revision.Revision) error {
	if err := m.checkClock(date); err != nil {
		return err
	}
	entries, err := m.legacyEntries(ctx, active, previous)
	if err != nil {
		return err
	}
	least, err := m.leastSerial(ctx, marker, date)
	if err != nil {
		return err
	}
	for i := range entries {
		entries[i].Serial = least - int64(i)
	}
	marker.Entries = entries[1:]
	unsigned := *m // nobody has looked at what was blessed before
	unsigned.Signing, unsigned.Bucket = nil, &catalog.Catalog{Bucket: m.Bucket.Bucket}
	return unsigned.writeMarker(ctx, marker, &entries[0])
}

// legacyEntries returns the entries of what was blessed, newest first. The previous one is left out
// where the bucket has it no more.
func (m *Master) legacyEntries(ctx context.Context, names ...revision.Revision) ([]catalog.Entry, error) {
	var entries []catalog.Entry
	for i, r := range names {
		if r == (revision.Revision{}) || i > 0 && r == names[0] {
			continue
		}
		manifest, err := m.Bucket.Manifest(ctx, r)
		switch {
		case errors.Is(err, fs.ErrNotExist) && i == 0:
			key, _ := catalog.LegacyKeys(r.Package())
			return nil, ftl.Errorf(ftl.NotFound, "bless one that is there: ftl jump --master REVISION; see ftl list --master "+r.Package().String(),
				"%s names %s, which the bucket does not have", key, r)
		case errors.Is(err, fs.ErrNotExist):
			m.warn("%s was active before, and is not in the bucket: there is no way back to it", r)
			continue
		case err != nil:
			return nil, err
		}
		entries = append(entries, catalog.Entry{
			Revision: r, Manifest: manifest.Digest, Kind: catalog.KindAdopt, Op: newOp(), At: m.now(), By: m.by(ctx),
		})
	}
	return entries, nil
}
