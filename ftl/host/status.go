package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Condition is how a package on this host stands to what is blessed.
type Condition string

// The conditions of a package. Only the first one is converged.
const (
	OK           Condition = "ok"           // it runs what is blessed, or nothing else is
	Behind       Condition = "behind"       // another revision is blessed
	Pending      Condition = "pending"      // something has to come first, and will
	Held         Condition = "held"         // a person wants it to stay
	Rejected     Condition = "rejected"     // what is blessed did not work here
	Failed       Condition = "failed"       // something went wrong
	Inconsistent Condition = "inconsistent" // no revision works
)

// Status is what there is to say of a package on this host.
type Status struct {
	Package           revision.Package
	Current, Previous revision.Revision // zero where there is none
	Active            revision.Revision // the master's; without a bucket, what the last sync saw
	Condition         Condition
	Since             time.Time // of the condition; zero where that is not known
	LastSync          time.Time // when one last looked at the bucket; zero where none has
	Hold              *Hold
	Decisions         []Decision // in their order
}

// Decision is one of those that say whether a host follows the master.
type Decision struct {
	About     string    // a word
	Condition Condition // of the package by this decision; OK where it holds nothing back
	Since     time.Time
	Message   string // in words
	Output    string // the last lines of the hook that it is about
	Hint      string // what to do
	Err       error  // that it is about, for its kind
}

// First returns the first decision that holds the package back, and false where
// none does. That the bucket can't be read comes last: what is known without it
// says more.
func (s Status) First() (Decision, bool) {
	var bucket *Decision
	for i, d := range s.Decisions {
		if d.Condition == OK {
			continue
		}
		if d.About != aboutBucket {
			return d, true
		}
		bucket = &s.Decisions[i]
	}
	if bucket != nil {
		return *bucket, true
	}
	return Decision{}, false
}

// Status looks at packages, and at the bucket if there is one; no packages are
// all of them. It takes no lock and changes nothing. A bucket that can't be read
// is a decision of each package, and no error.
func (h *Host) Status(ctx context.Context, packages []revision.Package) ([]Status, error) {
	if len(packages) == 0 {
		var err error
		if packages, err = h.Packages(); err != nil {
			return nil, err
		}
	}
	open := h.Open
	if open != nil {
		once := sync.OnceValues(func() (store.Bucket, error) { return h.Open(ctx) })
		open = func(context.Context) (store.Bucket, error) { return once() }
	}
	all := make([]Status, len(packages))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelPackages)
	for i, name := range packages {
		group.Go(func() error {
			facts, err := h.open(name).facts(ctx, open)
			if err != nil {
				return err
			}
			all[i] = facts.status()
			return nil
		})
	}
	return all, group.Wait()
}

// facts are all that the explanation of a package's condition depends on.
type facts struct {
	name revision.Package
	now  time.Time

	broken  error // why its directory can't be made sense of
	state   state
	links   links
	flipped time.Time // when current came to point where it does
	here    bool      // the master's active revision has a tree

	asked     bool  // there is a bucket
	bucketErr error // it could not be read
	marker    master.Marker
	manifest  error // why the master's active revision can't be fetched

	delay    time.Duration
	lastLook time.Time
	log      []logLine
	deferred string // what the pre-jump that said "not now" has printed
	syncing  string // who holds the sync lock, "" where nobody does
	changing string // who holds the other one
	outlived string // the hook that outlived its ftl
}

// facts gathers them. An error is that of a package that is not here.
func (p *pkg) facts(ctx context.Context, open func(context.Context) (store.Bucket, error)) (facts, error) {
	f := facts{name: p.name, now: time.Now(), delay: p.host.Delay, lastLook: p.lastLook(), asked: open != nil}
	if err := p.mustExist(); err != nil {
		return f, err
	}
	st, err := p.readState()
	if err == nil && st.Removed {
		return f, p.removedError()
	}
	if err == nil {
		f.state = *st
	}
	var linked error
	f.links, linked = p.links()
	f.broken = cmp.Or(err, linked)
	if info, err := os.Lstat(p.currentLink()); err == nil {
		f.flipped = info.ModTime()
	}
	if f.log, err = p.readLog(); err != nil { // not its owner: the rest is told all the same
		f.log = nil
	}
	f.syncing, _ = p.atWork(syncLock)
	f.changing, _ = p.atWork(changeLock)
	f.outlived = p.outlivedHook()
	if f.asked {
		f.bucketErr = p.askBucket(ctx, open, &f)
	}
	if target := f.target().Revision; target != (revision.Revision{}) {
		f.here = p.checkTree(target) == nil
		f.deferred = hooks.TailLog(p.hookLog(target, hooks.PreJump), 0)
	}
	return f, nil
}

// askBucket reads the marker, and whether what it names can be fetched, where
// that is not ready here.
func (p *pkg) askBucket(ctx context.Context, open func(context.Context) (store.Bucket, error), f *facts) error {
	bucket, err := open(ctx)
	if err != nil {
		return err
	}
	if f.marker, err = master.ReadMarker(ctx, bucket, p.name); err != nil {
		return err
	}
	active, blessed := f.marker.Active()
	if !blessed || f.state.isReady(active.Revision) {
		return nil
	}
	_, err = master.ReadManifest(ctx, bucket, active.Revision)
	if _, unread := errors.AsType[*store.Error](err); unread {
		return err
	}
	f.manifest = err
	if errors.Is(err, fs.ErrNotExist) {
		f.manifest = fmt.Errorf("%s is blessed, and not in the bucket", active.Revision)
	}
	return nil
}

// outlivedHook names a hook that still runs though its ftl has died.
func (p *pkg) outlivedHook() string {
	for _, name := range []lockName{syncLock, changeLock} {
		held, ok := p.readHolder(name)
		if !ok || held.Hook == nil {
			continue
		}
		if alive, err := held.Process.Alive(); err != nil || alive {
			continue
		}
		if alive, err := held.Hook.Process.Alive(); err == nil && alive {
			return fmt.Sprintf("%s of %s (pid %d)", held.Hook.Name, held.Hook.Revision, held.Hook.Process.PID)
		}
	}
	return ""
}

// newest returns the entry that the host should follow, as far as is known, and
// whether somebody has put an older marker back.
func (f facts) newest() (newest mark, older bool) {
	active, blessed := f.marker.Active()
	if !f.asked || f.bucketErr != nil || !blessed || f.state.Seen.after(markOf(active)) {
		return f.state.Seen, blessed && f.state.Seen.after(markOf(active))
	}
	return markOf(active), false
}

func (f facts) target() mark {
	newest, _ := f.newest()
	return newest
}

// status draws the conclusion.
func (f facts) status() Status {
	s := Status{
		Package: f.name, Current: f.links.current, Previous: f.links.previous, Active: f.target().Revision,
		Condition: OK, Since: f.flipped, LastSync: f.lastLook, Hold: f.state.Hold, Decisions: explain(f),
	}
	if first, held := s.First(); held {
		s.Condition, s.Since = first.Condition, first.Since
	}
	return s
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
