package host

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// How a revision becomes ready. The order is what makes a crash at any point
// harmless: a tree is complete and on disk before it gets its name in revs, and
// it counts only once the state says so, after its post-sync.
//
//	stage → verify → unpack → sync to disk → rename into revs → post-sync → sync to disk → ready

// obtainByName is obtain for a revision that may not be in the bucket, or that
// somebody has made ready since it was looked for.
func (p *pkg) obtainByName(ctx context.Context, l *lock, r revision.Revision) error {
	st, err := p.readState()
	if err != nil || st.isReady(r) && p.checkTree(r) == nil {
		return err
	}
	bucket, err := p.host.Open(ctx)
	if err != nil {
		return err
	}
	err = p.obtain(ctx, l, bucket, r)
	if errors.Is(err, fs.ErrNotExist) {
		return ftl.Errorf(ftl.NotFound, "see what there is: ftl list --master "+p.name.String(), "neither this host nor the bucket has %s", r)
	}
	return err
}

// obtain makes r ready, under the sync lock.
func (p *pkg) obtain(ctx context.Context, l *lock, bucket store.Bucket, r revision.Revision) error {
	p.report(ftl.Event{Revision: r, Step: ftl.Fetch, State: ftl.Running})
	manifest, err := p.fetch(ctx, bucket, r)
	if err != nil {
		p.report(ftl.Event{Revision: r, Step: ftl.Fetch, State: ftl.Failure, Message: err.Error()})
		return fmt.Errorf("fetch %s: %w", r, err)
	}
	p.report(ftl.Event{Revision: r, Step: ftl.Fetch, State: ftl.Success})
	return p.makeReady(ctx, l, r, ready{File: !manifest.Form.Tree()})
}

// fetch puts the tree of r into revs, complete and on disk.
func (p *pkg) fetch(ctx context.Context, bucket store.Bucket, r revision.Revision) (manifest master.Manifest, err error) {
	if manifest, err = master.ReadManifest(ctx, bucket, r); err != nil {
		return manifest, err
	}
	if err := p.checkSpace(manifest); err != nil {
		return manifest, err
	}
	stage := filepath.Join(p.stage(), r.ID()+"."+rand.Text())
	if err := os.Mkdir(stage, 0o700); err != nil {
		return manifest, err
	}
	packed := stage + ".part"
	defer func() {
		err = errors.Join(err, p.removeAll(packed))
		if err != nil {
			err = errors.Join(err, p.removeAll(stage))
		}
	}()
	if err := download(ctx, bucket, manifest, packed); err != nil {
		return manifest, err
	}
	if err := unpack(ctx, manifest, packed, stage); err != nil {
		return manifest, err
	}
	return manifest, p.place(r, stage)
}

// download copies the archive to a file, and makes sure that it is the one that
// the manifest names. Wrong bytes are asked for once more, as a proxy on the
// way may have spoiled them.
func download(ctx context.Context, bucket store.Bucket, manifest master.Manifest, path string) error {
	err := downloadOnce(ctx, bucket, manifest, path)
	if errors.Is(err, errDigest) {
		err = downloadOnce(ctx, bucket, manifest, path)
	}
	switch {
	case errors.Is(err, errDigest):
		return ftl.Errorf(ftl.Refused, "spool it again, and find out who changed it", "the archive %s is not the one that was spooled: %w", manifest.Archive, err)
	case errors.Is(err, fs.ErrNotExist):
		return ftl.Errorf(ftl.NotFound, "spool it again", "the bucket has the manifest of %s, but not its archive %s", manifest.Revision, manifest.Archive)
	}
	return err
}

var errDigest = errors.New("wrong content")

func downloadOnce(ctx context.Context, bucket store.Bucket, manifest master.Manifest, path string) error {
	body, object, err := bucket.Get(ctx, manifest.Archive, store.GetOptions{})
	if err != nil {
		return err
	}
	defer body.Close()
	if object.Size != manifest.Size {
		return fmt.Errorf("%w: %d bytes instead of %d", errDigest, object.Size, manifest.Size)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(body, manifest.Size+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if size != manifest.Size {
		return fmt.Errorf("%w: %d bytes instead of %d", errDigest, size, manifest.Size)
	}
	if sum := [sha256.Size]byte(hash.Sum(nil)); sum != manifest.SHA256 {
		return fmt.Errorf("%w: SHA-256 %x instead of %x", errDigest, sum, manifest.SHA256)
	}
	return nil
}

// unpack makes the tree of a verified archive in stage.
func unpack(ctx context.Context, manifest master.Manifest, packed, stage string) error {
	f, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(stage)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Chmod(".", 0o755); err != nil { // the archive may say otherwise
		return err
	}
	file := archive.File{Name: archive.FileName(manifest.File, manifest.Form), Mode: manifest.Mode}
	err = archive.Unpack(ctx, f, manifest.Form, file, root, manifest.Unpacked)
	if errors.Is(err, archive.ErrInvalid) {
		return ftl.Errorf(ftl.Refused, "nothing of it was kept; spool a sound archive", "unpack %s: %w", manifest.Archive, err)
	}
	return err
}

// place gives a staged tree its name in revs. A tree of that name that is not
// ready is what an interrupted run or a failed post-sync has left.
func (p *pkg) place(r revision.Revision, stage string) error {
	if err := durable.SyncTree(stage); err != nil {
		return err
	}
	if err := p.discard(r); err != nil {
		return err
	}
	if err := durable.RenameNew(stage, p.revisionDir(r)); err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(p.revs()), durable.SyncDir(p.stage()))
}

// makeReady runs post-sync in the place where the revision will stay, since
// what it makes may hold its own path.
func (p *pkg) makeReady(ctx context.Context, l *lock, r revision.Revision, how ready) error {
	p.postSync.Lock() // of several revisions that are fetched at once, one at a time
	defer p.postSync.Unlock()
	st, err := p.readState()
	if err != nil {
		return err
	}
	run := hookRun{name: hooks.PostSync, of: r, new: r, reason: reasonSync, attempt: 1}
	if last := st.failure(r, hooks.PostSync); last != nil {
		run.attempt += last.Count
	}
	st.Ready[r] = how // for the hook's sake, in memory only
	if err := p.runHook(ctx, l, st, run); err != nil {
		if interrupted(err) {
			return err
		}
		return errors.Join(err, p.update(ctx, func(st *state) { st.fail(r, hooks.PostSync, err, time.Now()) }))
	}
	// What the hook wrote has to be on disk before the mark is.
	if err := durable.SyncTree(p.revisionDir(r)); err != nil {
		return err
	}
	err = p.update(ctx, func(st *state) {
		how.Since = time.Now()
		st.Ready[r] = how
		st.succeed(r, hooks.PostSync)
	})
	if err == nil {
		p.report(ftl.Event{Revision: r, Step: ftl.Ready, State: ftl.Success})
	}
	return err
}

// update changes the state under its lock. It waits for as long as a hook may
// take, so that what was fetched is not lost to a jump that is going on.
func (p *pkg) update(ctx context.Context, change func(*state)) error {
	return p.withLock(ctx, patience{wait: p.host.hookTimeout() + p.host.lockWait()}, func(*lock) error {
		st, err := p.readState()
		if err != nil {
			return err
		}
		change(st)
		return p.writeState(st)
	})
}
