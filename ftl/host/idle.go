package host

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// A sync with nothing to do is one request. The bucket has an object that changes with every
// command of an operator or a build box, after all that the command changes. A sync reads it before
// anything else. Where it is as it was before the last sync that read everything without an error,
// there is nothing new; and where nothing on the host is waiting for time to pass either, all is
// done. A person who syncs by hand wants to know, so that sync reads everything.

// longestRest is after what time everything is read anyway: a command may have failed to change the
// epoch.
const longestRest = time.Hour

// rest is whether a sync may end with reading the epoch.
type rest struct {
	memory memory
	epoch  catalog.Epoch
	began  time.Time
	idle   bool
}

// readEpoch reads the epoch for a sync of all packages, and whether there is nothing to do. A
// bucket that can't be read is no answer: what comes next says it better.
func (h *Host) readEpoch(ctx context.Context, packages []*pkg, open func() (*catalog.Catalog, error)) rest {
	now := time.Now()
	r := rest{memory: h.recall(), began: now}
	r.memory.noteSync(now)
	settings := h.settingsSum(packages)
	since := now.Sub(r.memory.Looked)
	known := r.memory.Epoch
	if settings != r.memory.Settings || since < 0 || since >= longestRest {
		known = ""
	}
	r.memory.Settings, r.memory.Epoch = settings, known
	bucket, err := open()
	if err != nil {
		return r
	}
	epoch, changed, err := bucket.Epoch(ctx, known)
	if err != nil {
		return r
	}
	r.epoch = epoch
	r.idle = !changed && known != "" && allAtRest(packages, now) && !h.reportDue(r.memory, packages, now)
	return r
}

// settingsSum is a digest of what a sync depends on beside the bucket and the trees.
func (h *Host) settingsSum(packages []*pkg) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %d %v %v %v\n", h.Version, h.Keep, h.Delay, h.Node, h.Membership)
	if h.Trust.List != nil || h.Trust.Ended {
		fmt.Fprintf(hash, "trust %q %v %v %v\n", h.Trust.Sum, h.Trust.Ended, h.Trust.Age, h.Trust.Prefetch)
	}
	for _, p := range packages {
		fmt.Fprintln(hash, p.Name)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:16])
}

func allAtRest(packages []*pkg, now time.Time) bool {
	for _, p := range packages {
		if !p.atRest(now) {
			return false
		}
	}
	return true
}

// atRest reports whether a sync would find nothing in the way, and nothing to do.
func (p *pkg) atRest(now time.Time) bool {
	defer p.Close()
	if p.mustExist() != nil || p.checkAlone() != nil || p.Refused() != nil || p.CheckCurrent() != nil {
		return false // which a sync says
	}
	st, err := p.ReadState()
	return err == nil && st.AtRest(now) // what could not be deleted is tried again once an hour
}

// looked notes the epoch that was read before all packages were read without an error and without
// finding anything to do: what was done may leave more to do.
func (r *rest) looked(packages []*pkg, err error) {
	r.memory.Epoch = ""
	for _, p := range packages {
		if err != nil || p.stoodBack || !p.ChangedAt().Before(r.began) {
			return
		}
	}
	r.memory.Epoch, r.memory.Looked = r.epoch.ETag, time.Now()
}

// open returns the packages to sync.
func (h *Host) openAll(names []revision.Package) []*pkg {
	packages := make([]*pkg, len(names))
	for i, name := range names {
		packages[i] = h.open(name)
	}
	return packages
}

func closeAll(packages []*pkg) {
	for _, p := range packages {
		p.Close()
	}
}

// passIdle is what a sync does for a package that has nothing to do.
func (p *pkg) passIdle(ctx context.Context, opts SyncOptions) {
	defer p.Close()
	p.NoteLook()
	if opts.Done != nil {
		ended := time.Now().Add(time.Millisecond - 1).Truncate(time.Millisecond)
		opts.Done(p.result(ctx, Result{Package: p.Name, Ended: ended}))
	}
}
