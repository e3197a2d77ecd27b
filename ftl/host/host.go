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
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
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
	Delay        time.Duration // how old a blessing has to be before sync acts on it

	// DryRun makes every method only tell what it would do, as steps that are
	// planned: it changes nothing, and takes no lock.
	DryRun bool

	// Open returns the bucket. It is called only where the bucket is needed,
	// and is nil where there is none.
	Open func(context.Context) (store.Bucket, error)

	Report     func(ftl.Event)                  // nil: nobody listens
	Warn       func(format string, args ...any) // nil: nobody listens
	Progress   func(Progress)                   // called often, by several goroutines at once; nil: nobody listens
	HookOutput io.Writer                        // gets the annotated lines of the hooks; nil: only the log does
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
	entries, err := os.ReadDir(h.Root)
	if err != nil {
		return nil, rootError(h.Root, err)
	}
	var packages []revision.Package
	for _, entry := range entries {
		pkg, err := revision.ParsePackage(entry.Name())
		if err != nil {
			continue
		}
		if info, err := os.Stat(filepath.Join(h.Root, entry.Name())); err != nil || !info.IsDir() { // a link to one counts
			continue
		}
		if !h.open(pkg).isRemoved() {
			packages = append(packages, pkg)
		}
	}
	return packages, nil
}

// Listed is a revision as a list shows it.
type Listed struct {
	Revision         revision.Revision
	Active, Previous bool
}

// Revisions returns the ready revisions of a package, oldest first. It takes no
// lock and changes nothing.
func (h *Host) Revisions(pkg revision.Package) ([]Listed, error) {
	p := h.open(pkg)
	if err := p.mustExist(); err != nil {
		return nil, err
	}
	st, err := p.readState()
	if err != nil {
		return nil, err
	}
	if st.Removed {
		return nil, p.removedError()
	}
	links, err := p.links()
	if err != nil {
		return nil, err
	}
	var listed []Listed
	for _, r := range st.readyRevisions() {
		listed = append(listed, Listed{r, r == links.current, r == links.previous})
	}
	return listed, nil
}

// mustExist makes an error of a package that the host is not subscribed to.
func (p *pkg) mustExist() error {
	info, err := os.Stat(p.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, rootErr := os.Stat(p.host.Root); rootErr != nil {
			return rootError(p.host.Root, rootErr)
		}
		return ftl.Errorf(ftl.NotFound, "to subscribe: mkdir "+quoted(p.dir), "this host is not subscribed to %s", p.name)
	case err != nil:
		return err
	case !info.IsDir():
		return ftl.Errorf(ftl.NotFound, "move it out of the way, then: mkdir "+quoted(p.dir), "%s is not a directory", p.dir)
	}
	return nil
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
func quoted(path string) string {
	if !strings.ContainsAny(path, " \t\n'\"$`\\*?[]{}()<>|&;#~!") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

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
