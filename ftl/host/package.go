package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/revision"
)

// pkg is one package's directory on the host.
type pkg struct {
	host *Host
	name revision.Package
	dir  string

	postSync  sync.Mutex // held while a post-sync runs
	stoodBack bool       // sync has left the work to another one
}

func (h *Host) open(name revision.Package) *pkg {
	return &pkg{host: h, name: name, dir: filepath.Join(h.Root, name.String())}
}

// Where things are. What begins with a dot in revs can't be a revision's id.
func (p *pkg) revs() string   { return filepath.Join(p.dir, "revs") }
func (p *pkg) stage() string  { return filepath.Join(p.dir, "revs", ".stage") }
func (p *pkg) trash() string  { return filepath.Join(p.dir, "revs", ".trash") }
func (p *pkg) meta() string   { return filepath.Join(p.dir, ".ftl") }
func (p *pkg) logs() string   { return filepath.Join(p.dir, ".ftl", "log") }
func (p *pkg) shared() string { return filepath.Join(p.dir, "shared") }

func (p *pkg) revisionDir(r revision.Revision) string { return filepath.Join(p.revs(), r.ID()) }

func (p *pkg) currentLink() string  { return filepath.Join(p.dir, "current") }
func (p *pkg) previousLink() string { return filepath.Join(p.dir, "previous") }

// prepare makes the directories that a changing command needs.
func (p *pkg) prepare() error {
	for _, dir := range []struct {
		path string
		perm fs.FileMode
	}{
		{p.revs(), 0o755}, {p.stage(), 0o700}, {p.trash(), 0o700}, {p.meta(), 0o755}, {p.logs(), 0o700},
	} {
		if err := os.Mkdir(dir.path, dir.perm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// links are the targets of current and previous, zero where there is no link.
type links struct{ current, previous revision.Revision }

func (l links) has(r revision.Revision) bool { return r == l.current || r == l.previous }

func (p *pkg) links() (links, error) {
	current, err := p.readLink(p.currentLink())
	if err != nil {
		return links{}, err
	}
	previous, err := p.readLink(p.previousLink())
	return links{current, previous}, err
}

// readLink returns the revision that a link points to. Absence is no error, but
// a link to anywhere else than into revs is.
func (p *pkg) readLink(path string) (revision.Revision, error) {
	target, err := os.Readlink(path)
	if errors.Is(err, fs.ErrNotExist) {
		return revision.Revision{}, nil
	}
	if err != nil {
		return revision.Revision{}, fmt.Errorf("%s should be a symbolic link: %w", path, err)
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(p.dir, target)
	}
	id, inside := strings.CutPrefix(filepath.Clean(target), p.revs()+"/")
	r, err := p.name.Revision(id)
	if !inside || err != nil {
		return revision.Revision{}, fmt.Errorf("%s points to %s, which is not a revision of %s", path, target, p.name)
	}
	return r, nil
}

// flip makes the links point to these revisions, previous first, so that there
// is no moment without a way back. To do it twice does no harm.
func (p *pkg) flip(to links) error {
	for _, link := range []struct {
		path string
		to   revision.Revision
	}{
		{p.previousLink(), to.previous}, {p.currentLink(), to.current},
	} {
		if err := p.pointLink(link.path, link.to); err != nil {
			return err
		}
	}
	return durable.SyncDir(p.dir)
}

// pointLink makes a link point to r, or be absent where r is zero.
func (p *pkg) pointLink(path string, r revision.Revision) error {
	if r == (revision.Revision{}) {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return os.Remove(path)
	}
	return p.withReserve(func() error { return durable.ReplaceLink(filepath.Join("revs", r.ID()), path) })
}

// checkTree makes sure that a revision has a directory.
func (p *pkg) checkTree(r revision.Revision) error {
	info, err := os.Stat(p.revisionDir(r))
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", p.revisionDir(r))
	}
	return err
}

// local returns the revisions that have a directory, ready or not, oldest first.
func (p *pkg) local() ([]revision.Revision, error) {
	entries, err := os.ReadDir(p.revs())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var local []revision.Revision
	for _, entry := range entries {
		if r, err := p.name.Revision(entry.Name()); err == nil && entry.IsDir() {
			local = append(local, r)
		}
	}
	sortRevisions(local)
	return local, nil
}
