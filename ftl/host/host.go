// Package host is one machine's point of view: the tree under FTL_ROOT.
//
// Each directory there is a package that the host is subscribed to:
//
//	my_site/
//	  current  -> revs/2026112145296Wq   the active revision
//	  previous -> revs/2026112045100Ab   where jump-back returns to
//	  revs/2026112145296Wq/              a complete tree
//	  revs/.stage/ revs/.trash/          revisions on their way in and out
//	  .lock                              see lock.go
//	  .ftl/                              state.json, locks and logs: see state.go
//
// Whatever a crash leaves, "current" is a link to a complete revision, and the
// next command that changes the host takes up what was interrupted. Two rules
// make that so. A revision counts only once the state says that it is ready,
// which is written when its files and those of its post-sync hook are on disk.
// And a jump writes each phase into the state before it begins with it.
//
// A command decides with a pure function (plan.go), then acts.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// Host changes the tree under Root. Root is required; a zero duration is the
// default of the same name.
type Host struct {
	Root    string
	Node    string // this host's name, for hooks
	Version string // of ftl, for hooks
	Command string // what the user started, for whoever waits for the lock
	User    string // who started it, for the log and for holds

	Keep         int // how many of the newest revisions to fetch and keep; 0 is only what is blessed
	HookTimeout  time.Duration
	CheckTimeout time.Duration // of all tries of a check
	LockWait     time.Duration
	HookEnv      hooks.Inheritance // what hooks get of ftl's own environment
	Delay        time.Duration     // how old a blessing has to be before sync acts on it
	Membership   Membership        // of the fleet
	Trust        Trust             // whose signatures count

	// DryRun makes every method only tell what it would do, as steps that are
	// planned: it changes nothing, and takes no lock.
	DryRun bool

	// Open returns the bucket. It is called only where the bucket is needed,
	// and is nil where there is none.
	Open func(context.Context) (*catalog.Catalog, error)

	// Identify tells what the credentials call this host, which then is its name in the keys of the
	// bucket. Nil: Membership has the name.
	Identify func(context.Context) (string, error)

	// Reach asks whether the bucket answers, by a connection of its own, for a package could cut a
	// host off from its own fix. A sync that has read the bucket asks after a jump, and that there
	// is no answer is a failed check. Nil: nobody asks.
	Reach func(context.Context) error

	Report     func(ftl.Event)                  // nil: nobody listens
	Warn       func(format string, args ...any) // nil: nobody listens
	Progress   func(ftl.Progress)               // called often, by several goroutines at once; nil: nobody listens
	HookOutput io.Writer                        // gets the annotated lines of the hooks; nil: only the log does

	unnamed error // why Identify does not tell
}

// The defaults of a Host.
const (
	DefaultKeep         = 5
	DefaultHookTimeout  = 10 * time.Minute
	DefaultCheckTimeout = time.Minute
	DefaultLockWait     = 30 * time.Second
)

// Packages returns the packages that the host is subscribed to, sorted: the
// directories in Root whose name is a package's. Anything else there is left
// alone.
func (h *Host) Packages() ([]revision.Package, error) {
	packages, _, err := h.packages()
	return packages, err
}

// packages returns also the directories that are not named like one.
func (h *Host) packages() (packages []revision.Package, misnamed []string, err error) {
	packages, misnamed, err = h.subscriptions()
	packages = slices.DeleteFunc(packages, func(name revision.Package) bool {
		p := h.open(name)
		defer p.Close()
		return p.IsRemoved()
	})
	return packages, misnamed, err
}

// Revisions returns the ready revisions of a package, oldest first. It takes no
// lock and changes nothing.
func (h *Host) Revisions(pkg revision.Package) ([]catalog.Listed, error) {
	p := h.open(pkg)
	defer p.Close()
	if err := p.mustExist(); err != nil {
		return nil, err
	}
	st, err := p.ReadState()
	if err != nil {
		return nil, err
	}
	if st.Removed {
		return nil, p.removedError()
	}
	links, err := p.shown(st)
	if err != nil {
		return nil, err
	}
	var listed []catalog.Listed
	for _, r := range st.ReadyRevisions() {
		one := catalog.NewListed(r, r == links.Current, r == links.Previous)
		if _, rejected := st.Rejected[r]; rejected && !one.Active {
			one.State = catalog.ListedRejected
		}
		listed = append(listed, one)
	}
	return listed, nil
}

// mustExist makes an error of a package that the host is not subscribed to.
func (p *pkg) mustExist() error {
	info, err := os.Stat(p.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, rootErr := os.Stat(p.host.Root); rootErr != nil {
			return rootError(p.host.Root, rootErr)
		}
		return ftl.Errorf(ftl.NotFound, p.subscribeHint(), "this host is not subscribed to %s", p.Name)
	case err != nil:
		return err
	case !info.IsDir():
		return ftl.Errorf(ftl.NotFound, "move it out of the way, then: mkdir "+quoted(p.Dir), "%s is not a directory", p.Dir)
	}
	return p.RefuseUnsafe(p.Files.Err())
}

// subscribeHint says what helps where there is no such package on the host: the name of one that is
// like it, as it is likely to be a typo.
func (p *pkg) subscribeHint() string {
	packages, err := p.host.Packages()
	if nearest, found := revision.Nearest(p.Name, packages); err == nil && found {
		return fmt.Sprintf("did you mean %s? What there is: ftl list", nearest)
	}
	if p.host.Open != nil && !strings.Contains(p.host.Command, "--root") { // it tells a typo, and takes the usual root
		return "what there is: ftl list; to subscribe: ftl subscribe " + p.Name.String()
	}
	return "what there is: ftl list; to subscribe: mkdir " + quoted(p.Dir)
}

func rootError(root string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ftl.Errorf(ftl.NotFound, "to begin: mkdir -p "+quoted(root), "there is no directory %s, which FTL_ROOT names", root)
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return ftl.Errorf(ftl.NotFound, "set FTL_ROOT to a directory", "%s, which FTL_ROOT names, is not a directory", root)
	}
	return err
}

// quoted makes one word of a path, for a hint that is typed into a shell.
func quoted(path string) string { return ftl.Quoted(path) }

func (h *Host) report(event ftl.Event) {
	if h.Report != nil {
		h.Report(event)
	}
}

func (h *Host) warn(format string, args ...any) {
	if h.Warn != nil {
		h.Warn(format, args...)
	}
}
