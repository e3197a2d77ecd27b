package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl/internal/spill"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Problem is something in the bucket that does not fit the rest. As JSON it is a line of ftl check.
type Problem struct {
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"` // zero where it is about the package as a whole
	Key      string            `json:"key"`      // of the object
	Message  string            `json:"message"`
	Hint     string            `json:"hint"` // what to do
}

// CheckOptions are the choices of Check.
type CheckOptions struct {
	ReadData bool // read every byte of the archives, too
}

// parallelChecks bounds how many manifests are in memory at once.
const parallelChecks = 8

// Check compares all that the bucket says of a package: the marker with the manifests, the
// manifests with their indexes and archives. What does not fit is a problem, and no error: an error
// says that the bucket could not be read. What is being spooled or purged at the moment is no
// problem.
func (c *Catalog) Check(ctx context.Context, pkg revision.Package, opts CheckOptions) ([]Problem, error) {
	k := checker{Catalog: c, pkg: pkg, opts: opts}
	if err := k.readMarker(ctx); err != nil {
		return nil, err
	}
	var err error
	if k.contents, err = c.Contents(ctx, pkg); err != nil {
		return nil, err
	}
	if len(k.contents.Revisions)+len(k.contents.Archives) == 0 && !k.contents.Marked {
		return nil, c.UnknownPackage(ctx, pkg)
	}
	k.checkMarker()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelChecks)
	for _, r := range k.contents.Revisions {
		group.Go(func() error { return k.checkRevision(ctx, r) })
	}
	err = group.Wait()
	slices.SortFunc(k.problems, func(a, b Problem) int {
		return cmp.Or(revision.Compare(a.Revision, b.Revision), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Message, b.Message))
	})
	return k.problems, err
}

// checker collects the problems of a package.
type checker struct {
	*Catalog
	pkg      revision.Package
	opts     CheckOptions
	marker   Marker
	contents Contents

	mu       sync.Mutex
	problems []Problem
}

func (k *checker) add(r revision.Revision, key, hint, format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.problems = append(k.problems, Problem{k.pkg, r, key, fmt.Sprintf(format, args...), hint})
}

// fault makes a problem of an error that is the object's own, and returns any other.
func (k *checker) fault(r revision.Revision, key, hint string, err error) error {
	if _, unread := errors.AsType[*store.Error](err); unread || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, newer := errors.AsType[*NewerError](err); newer {
		hint = "install a newer ftl"
	}
	k.add(r, key, hint, "%v", err)
	return nil
}

func (k *checker) readMarker(ctx context.Context) (err error) {
	if k.marker, err = k.Marker(ctx, k.pkg); err == nil {
		return nil
	}
	key := MarkerKey(k.pkg)
	return k.fault(revision.Revision{}, key, "hosts keep what they have; delete the object "+key+", and bless what they should run: ftl jump --master REVISION", err)
}

// checkMarker checks what the marker says by itself, and that what is blessed is there.
func (k *checker) checkMarker() {
	key := MarkerKey(k.pkg)
	newest, _ := k.marker.Newest()
	if err := newest.Understood(); err != nil {
		k.add(newest.Revision, key, "install a newer ftl", "%v", err)
	}
	for i, entry := range k.marker.Entries {
		if i > 0 && entry.Serial >= k.marker.Entries[i-1].Serial && entry.Serial > 0 {
			k.add(entry.Revision, key, "bless the active revision again: ftl jump --master --again "+newest.Revision.String(),
				"the serial %d of line %d is not below that of the line above", entry.Serial, i+1)
		}
	}
	if active, blessed := k.marker.Active(); blessed && !k.contents.Has(active.Revision) {
		k.add(active.Revision, ManifestKey(active.Revision), "bless one that is there: ftl jump --master "+k.another(active.Revision),
			"%s is blessed, and has no manifest: no host can fetch it", active.Revision)
	}
}

// another returns the newest revision but one, for a hint.
func (k *checker) another(r revision.Revision) string {
	for _, other := range slices.Backward(k.contents.Revisions) {
		if other != r {
			return other.String()
		}
	}
	return "REVISION, after spooling it"
}

// replace returns what to do about a revision that nobody can use.
func (k *checker) replace(r revision.Revision) string {
	remove := "ftl purge --master --force " + r.String()
	if active, _ := k.marker.Active(); active.Revision == r {
		return "spool it again, bless that, then: " + remove
	}
	return remove + "; spool it again if it is needed"
}

// checkRevision checks a manifest with its index, and the archive.
func (k *checker) checkRevision(ctx context.Context, r revision.Revision) error {
	manifest, seekable, err := k.Seekable(ctx, r, spill.Temporary)
	seekable.Close()                    // that it could be read is all that matters
	if errors.Is(err, fs.ErrNotExist) { // purged meanwhile
		return nil
	}
	if err != nil {
		return k.fault(r, ManifestKey(r), k.replace(r), err)
	}
	if blessed := k.marker.Content(r); blessed != (Digest{}) && blessed != manifest.Digest {
		k.add(r, ManifestKey(r), "find out who changed it; to bless what is there now: ftl jump --master --again "+r.String(),
			"it is not the manifest that was blessed")
	}
	object, err := k.Stat(ctx, manifest.Archive)
	if errors.Is(err, fs.ErrNotExist) {
		return k.archiveGone(ctx, manifest)
	}
	if err != nil {
		return err
	}
	want := hex.EncodeToString(manifest.SHA256[:])
	switch noted := object.Metadata["sha256"]; {
	case object.Size != manifest.Size:
		k.add(r, manifest.Archive, k.replace(r), "it has %d bytes, and its manifest says %d", object.Size, manifest.Size)
		return nil
	case noted != "" && noted != want:
		k.add(r, manifest.Archive, k.replace(r), "it was written with another SHA-256 than its manifest says")
		return nil
	case !k.opts.ReadData:
		return nil
	}
	return k.checkData(ctx, manifest, object)
}

// archiveGone is a problem unless the whole revision is gone by now.
func (k *checker) archiveGone(ctx context.Context, manifest Manifest) error {
	_, err := k.Stat(ctx, ManifestKey(manifest.Revision))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		k.add(manifest.Revision, manifest.Archive, k.replace(manifest.Revision), "it is missing, and its manifest is there")
	}
	return err
}

// checkData reads an archive as it was when it was looked at.
func (k *checker) checkData(ctx context.Context, manifest Manifest, object store.Object) error {
	body, _, err := k.Get(ctx, manifest.Archive, store.GetOptions{ETag: object.ETag})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrPrecondition) {
		return nil // purged meanwhile
	}
	if err != nil {
		return err
	}
	defer body.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, body); err != nil {
		return fmt.Errorf("read %s: %w", manifest.Archive, err)
	}
	if [sha256.Size]byte(hash.Sum(nil)) != manifest.SHA256 {
		k.add(manifest.Revision, manifest.Archive, k.replace(manifest.Revision), "its bytes are not those that were spooled")
	}
	return nil
}
