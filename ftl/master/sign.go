package master

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// SignOptions are the choices of Sign.
type SignOptions struct {
	// File is a local file or directory that the revision has to have been spooled of; "" is none.
	File string
	// Confirm is asked before it is signed. An error of it is the command's. Nil: nobody is asked.
	Confirm func(ctx context.Context, manifest catalog.Manifest) error
}

// Sign signs a revision that is in the bucket, once all of its archive was compared with its
// manifest.
func (m *Master) Sign(ctx context.Context, r revision.Revision, opts SignOptions) error {
	task := m.begin(ftl.Event{Package: r.Package(), Revision: r, Step: ftl.Sign})
	err := m.sign(ctx, r, opts)
	task.end("", err)
	return during(err, "sign %s", r)
}

func (m *Master) sign(ctx context.Context, r revision.Revision, opts SignOptions) error {
	if err := m.Bucket.CheckConditions(ctx); err != nil {
		return err
	}
	// The object is looked at first: if it is replaced meanwhile, what was read is not what is
	// written in its place.
	before, err := m.Bucket.Stat(ctx, catalog.ManifestKey(r))
	if errors.Is(err, fs.ErrNotExist) {
		return ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master "+r.Package().String(), "the bucket has no revision %s", r)
	}
	if err != nil {
		return err
	}
	manifest, text, err := m.Bucket.WholeManifest(ctx, r)
	if err != nil {
		return err
	}
	if err := m.checkContent(ctx, manifest, opts.File); err != nil {
		return err
	}
	if opts.Confirm != nil {
		if err := opts.Confirm(ctx, manifest); err != nil {
			return err
		}
	}
	if m.DryRun {
		return nil
	}
	signed, err := m.signed(r, text)
	if err != nil {
		return err
	}
	err = m.put(ctx, catalog.ManifestKey(r), signed, store.PutOptions{
		IfMatch: before.ETag, Metadata: map[string]string{catalog.MetadataOp: manifest.Op},
	})
	if errors.Is(err, store.ErrPrecondition) {
		return ftl.Errorf(ftl.Refused, "look at it, then sign it again: ftl verify "+r.String(), "somebody has written the manifest of %s at the same time", r)
	}
	if err != nil {
		return err
	}
	m.touch(ctx)
	return nil
}

// signed returns a manifest with our signature, which hosts have to take.
func (m *Master) signed(r revision.Revision, text []byte) ([]byte, error) {
	if m.Signing == nil {
		return text, nil
	}
	text, err := m.Signing.Manifest(r.Package(), text)
	if err == nil && m.Bucket.Trust != nil {
		err = m.Bucket.Trust.CheckManifest(r, text)
	}
	return text, err
}

// checkContent makes sure that the bucket has what a manifest says, and that it is what a local
// file has.
func (m *Master) checkContent(ctx context.Context, manifest catalog.Manifest, local string) error {
	unverified := catalog.Catalog{Bucket: m.Bucket.Bucket}
	_, seekable, err := unverified.Seekable(ctx, manifest.Revision, tempFile) // which checks the index
	seekable.Close()
	if err != nil {
		return err
	}
	body, _, err := m.Bucket.Get(ctx, manifest.Archive, store.GetOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		return ftl.Errorf(ftl.NotFound, "spool it again", "the bucket has no archive %s", manifest.Archive)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, body)
	if err != nil {
		return fmt.Errorf("read %s: %w", manifest.Archive, err)
	}
	if size != manifest.Size || [sha256.Size]byte(hash.Sum(nil)) != manifest.SHA256 {
		return ftl.Errorf(ftl.Refused, "find out who changed it, and spool it again", "the archive of %s is not the one that its manifest names", manifest.Revision)
	}
	if local == "" {
		return nil
	}
	same, err := m.isSame(ctx, manifest, local)
	if err != nil {
		return fmt.Errorf("compare with %s: %w", local, err)
	}
	if !same {
		return ftl.Errorf(ftl.Refused, "", "%s is not what %s was spooled of", local, manifest.Revision)
	}
	return nil
}

// isSame reports whether a local file or directory would be spooled as what a manifest names.
func (m *Master) isSame(ctx context.Context, manifest catalog.Manifest, local string) (bool, error) {
	quiet := Master{Bucket: m.Bucket, By: m.By}
	opts := SpoolOptions{Name: manifest.File, AsIs: manifest.Form != archive.TarZstd && manifest.Form.Tree()}
	from, err := sourceOf(local, opts)
	if err != nil {
		return false, err
	}
	packed, err := quiet.pack(ctx, from, opts)
	if err == nil {
		defer packed.Close()
		if packed.manifest.SHA256 == manifest.SHA256 {
			return true, nil
		}
	}
	if from.isDir() || err != nil {
		return false, err
	}
	file, err := os.Open(local)
	if err != nil {
		return false, withoutPath(err)
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return [sha256.Size]byte(hash.Sum(nil)) == manifest.SHA256, err
}

// Renew signs what a package's marker says again, so that it neither expires nor grows old: a host
// that is done with the entry is done with its renewal. It lasts as long as the entry before did,
// or as long as lasts says where that is not 0.
func (m *Master) Renew(ctx context.Context, pkg revision.Package, lasts time.Duration) error {
	task := m.begin(ftl.Event{Package: pkg, Step: ftl.Renew})
	r, err := m.renew(ctx, pkg, lasts)
	if err == nil && m.DryRun {
		task.event.Revision = r
	} else if err == nil {
		task.begun.Name(r)
	}
	task.end("", err)
	return during(err, "renew %s", pkg)
}

func (m *Master) renew(ctx context.Context, pkg revision.Package, lasts time.Duration) (revision.Revision, error) {
	none := revision.Revision{}
	marker, err := m.prepare(ctx, pkg)
	if err != nil {
		return none, err
	}
	newest, ok := marker.Active()
	if !ok {
		return none, ftl.Errorf(ftl.NotFound, "to bless one: ftl jump --master REVISION", "nothing that is blessed of %s can be renewed", pkg)
	}
	if err := newest.Understood(); err != nil {
		return none, err
	}
	if newest.Rollout != nil {
		count, err := m.count(ctx, marker)
		if err != nil {
			return none, err
		}
		if count.Settled.IsZero() {
			return none, ftl.Errorf(ftl.Refused, "end it first: ftl rollout show "+pkg.String(), "the rollout of %s is not over", newest.Revision)
		}
	}
	entry := catalog.Entry{
		Revision: newest.Revision, Manifest: newest.Manifest, Kind: catalog.KindRenew, Params: newest.Params, Note: newest.Note,
		Base: newest.Base, BaseManifest: newest.BaseManifest, Renews: newest.Serial,
	}
	if newest.Renews > 0 {
		entry.Renews = newest.Renews
	}
	if lasts == 0 && !newest.Expires.IsZero() {
		lasts = newest.Expires.Sub(newest.At)
	}
	if entry.Serial, err = m.leastSerial(ctx, marker, marker.Date); err != nil || m.DryRun {
		return newest.Revision, err
	}
	entry.Op, entry.At, entry.By = newOp(), m.now(), m.by(ctx)
	entry.Expires = m.expiry(lasts)
	if err := m.writeMarker(ctx, marker, &entry); err != nil {
		return none, err
	}
	m.touch(ctx)
	return newest.Revision, nil
}

// expiry returns when something expires that lasts so long; zero is never.
func (m *Master) expiry(lasts time.Duration) time.Time {
	if lasts == 0 {
		return time.Time{}
	}
	return m.now().Add(lasts).Truncate(time.Second)
}

// checkSigning refuses to write what no host would follow.
func (m *Master) checkSigning(entry catalog.Entry) error {
	switch {
	case m.Signing == nil && m.Bucket.Trust != nil:
		return ftl.Errorf(ftl.Refused, "set FTL_SIGN_KEY to a key that may bless "+entry.Revision.Package().String(), "hosts require signatures, and there is no key to sign with")
	case m.Signing == nil && !entry.Expires.IsZero():
		return ftl.Errorf(ftl.Refused, "set FTL_SIGN_KEY, or do without an expiry", "only a signed blessing can expire")
	}
	return nil
}
