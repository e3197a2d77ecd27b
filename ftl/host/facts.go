package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// facts are all that the explanation of a package's condition depends on.
type facts struct {
	name revision.Package
	now  time.Time

	broken  error // why its directory can't be made sense of
	refusal refusal
	state   tree.State
	links   tree.Links
	flipped time.Time // when current came to point where it does
	here    bool      // the master's active revision has a tree

	asked       bool  // there is a bucket
	bucketErr   error // it could not be read
	distrust    error // why what is in it does not count
	trusts      bool  // signatures are required
	trustEnded  bool  // somebody has said that they are not, any more
	trustAge    time.Duration
	verified    bool // the active revision is what somebody has signed who is trusted
	marker      catalog.Marker
	spooled     catalog.Manifest // of the master's active revision, as far as it is known
	unfetchable error            // why the master's active revision can't be fetched
	// listed is set where the marker names nothing that can be fetched, so that the bucket was
	// asked what there is.
	listed    bool
	revisions []revision.Revision // that there are then, oldest first
	nearest   revision.Package    // the package of the bucket whose name is most like ours, where there is none of ours

	delay    time.Duration
	lastLook time.Time
	log      []tree.LogLine
	logOwner string // who may read it, "" where this user may
	syncing  string // who holds the sync lock, "" where nobody does
	changing string // who holds the other one
	outlived string // the hook that outlived its ftl

	leftovers []tree.Leftover
	count     *rollout.Count   // the votes for the newest entry; nil where it has no waves, or is done with
	decision  rollout.Decision // what they let this host do
	reported  reported         // what the fleet was last told of this host
	unnamed   error            // why it has no name there
}

// known reports whether the bucket has told what is blessed.
func (f facts) known() bool { return f.asked && f.bucketErr == nil && f.distrust == nil }

// empty reports whether the bucket has no revision of the package.
func (f facts) empty() bool { return f.listed && len(f.revisions) == 0 }

// facts gathers them. An error is that of a package that is not here.
func (p *pkg) facts(ctx context.Context, open func(context.Context) (*catalog.Catalog, error)) (facts, error) {
	f := facts{
		name: p.Name, now: time.Now(),
		delay: p.host.Delay, lastLook: p.LastLook(), asked: open != nil,
	}
	if err := p.mustExist(); err != nil {
		return f, err
	}
	st, err := p.ReadState()
	if err == nil && st.Removed {
		return f, p.removedError()
	}
	if err == nil {
		f.state = *st
	}
	var linked error
	f.links, linked = p.Links()
	f.links = f.state.Jump.Shown(f.links) // as list has them
	f.broken = cmp.Or(err, linked, p.CheckCurrent(), p.checkAlone())
	f.refusal = p.refusal()
	if info, err := p.Files.Lstat(p.CurrentLink()); err == nil {
		f.flipped = info.ModTime()
	}
	if f.log, err = p.ReadLog(); errors.Is(err, fs.ErrPermission) { // the rest is told all the same
		f.logOwner = p.LogOwner()
	}
	f.syncing, _ = p.AtWork(tree.SyncLock)
	f.changing, _ = p.AtWork(tree.ChangeLock)
	f.outlived = p.OutlivedHook()
	f.leftovers = p.ReadLeftovers().Trees
	f.trusts, f.trustEnded, f.trustAge = p.host.Trust.List != nil, p.host.Trust.Ended, p.host.Trust.Age
	f.verified = f.state.IsVerified(f.links.Current, p.host.trusting())
	f.reported, f.unnamed = p.host.recall().Report, p.host.unnamed
	if f.asked {
		err := p.askBucket(ctx, open, &f)
		if _, distrusted := errors.AsType[*catalog.TrustError](err); distrusted {
			f.distrust, err = err, nil
		}
		f.bucketErr = err
	}
	if newest, _ := f.newest(); newest != (tree.Mark{}) {
		f.here = p.CheckTree(newest.Revision) == nil
		if kept, ok := p.keptManifest(newest.Revision); ok {
			f.spooled = kept
		}
	}
	return f, nil
}

// askBucket reads the marker, and whether what it names can be fetched, where that is not ready
// here.
func (p *pkg) askBucket(ctx context.Context, open func(context.Context) (*catalog.Catalog, error), f *facts) error {
	bucket, err := open(ctx)
	if err != nil {
		return err
	}
	if bucket, err = p.trusted(bucket); err != nil {
		return err
	}
	marker, err := bucket.Marker(ctx, p.Name)
	if err != nil {
		return err
	}
	if err := p.judge(marker); err != nil {
		return err
	}
	f.marker = marker
	active, blessed := f.marker.Active()
	if !blessed {
		return p.listBucket(ctx, bucket, f)
	}
	if err := p.explainRollout(ctx, bucket, f); err != nil {
		return err
	}
	if f.state.IsReady(active.Revision) {
		return nil
	}
	manifest, err := bucket.Manifest(ctx, active.Revision)
	f.spooled = manifest
	if _, unread := errors.AsType[*store.Error](err); unread {
		return err
	}
	switch {
	case err == nil:
		if err := p.checkSpace(manifest, p.shownStaging(active.Revision)); !errors.Is(err, fs.ErrNotExist) { // no sync has made revs yet
			f.unfetchable = err
		}
	case errors.Is(err, fs.ErrNotExist):
		err = p.listBucket(ctx, bucket, f)
		f.unfetchable = notInBucket(p.Name, active.Revision, f.revisions)
		return err
	default:
		f.unfetchable = err
	}
	return nil
}

// notInBucket is the error of a blessed revision that the bucket does not have, beside those that
// it has.
func notInBucket(name revision.Package, blessed revision.Revision, there []revision.Revision) error {
	hint := otherBucket
	if len(there) > 0 {
		hint = fmt.Sprintf("bless one that is there: ftl jump --master %s; all of them: ftl list --master %s", there[len(there)-1], name)
	}
	return ftl.Errorf(ftl.NotFound, hint, "the master's active revision %s is not in the bucket; this host keeps what it has", blessed)
}

// listBucket reads what revisions there are, and where there is none, whether the name is misspelt.
func (p *pkg) listBucket(ctx context.Context, bucket *catalog.Catalog, f *facts) error {
	contents, err := bucket.Contents(ctx, p.Name)
	if err != nil {
		return err
	}
	f.listed, f.revisions = true, contents.Revisions
	if !f.empty() || f.state.Seen != (tree.Mark{}) {
		return nil
	}
	if packages, err := bucket.Packages(ctx); err == nil { // which is only for a suggestion
		f.nearest, _ = revision.Nearest(p.Name, packages)
	}
	return nil
}

// refusal is why sync leaves a tree alone.
type refusal struct {
	err error
	// readerOnly is set where it is only the user who asks that sync refuses, and not whoever owns
	// the tree.
	readerOnly bool
	// readerIsRoot is set where root asks. Others are not expected to sync what is not theirs.
	readerIsRoot bool
}

// refusal says whether a sync by this user would refuse the tree.
func (p *pkg) refusal() refusal {
	if err := p.checkMount(); err != nil {
		return refusal{err: err}
	}
	asSync := *p.host // whose command is in the hint
	asSync.Command = "ftl sync " + p.Name.String()
	sync := asSync.open(p.Name)
	defer sync.Close()
	err := sync.Refused()
	owner, unknown := p.Files.Owner()
	return refusal{err: err, readerOnly: unknown == nil && owner != os.Geteuid(), readerIsRoot: os.Geteuid() == 0}
}

// checkMount is an error where the package lies on a file system that is read-only.
func (p *pkg) checkMount() error {
	if !tree.IsReadOnly(p.Dir) {
		return nil
	}
	return ftl.Errorf(ftl.Refused, "mount -o remount,rw "+quoted(tree.MountOf(p.Dir))+"; if the kernel did it: dmesg | tail", "%s is on a read-only file system", p.Dir)
}

// hintOf returns the hint of an error, if it has one.
func hintOf(err error) string {
	if failure, ok := errors.AsType[*ftl.Error](err); ok {
		return failure.Hint
	}
	if failure, ok := errors.AsType[*store.Error](err); ok {
		return failure.Hint
	}
	return ""
}
