package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/revision"
)

// Subscribe makes a package's directory, so that the next sync fetches it, if the bucket has such a
// package: a name that is misspelt would be followed for ever without a word. Open is required.
// Where the host is subscribed already, there is nothing to do.
func (h *Host) Subscribe(ctx context.Context, name revision.Package) error {
	p := h.open(name)
	defer p.Close()
	subscribed, err := p.isSubscribed()
	if err != nil {
		return err
	}
	task := ftl.Begin(p.tellCaller, ftl.Event{Step: ftl.Subscribe})
	if subscribed {
		task.End("already; nothing to do", nil)
		return nil
	}
	err = p.subscribe(ctx)
	task.End("ftl sync "+name.String()+" fetches it", err)
	return err
}

func (p *pkg) subscribe(ctx context.Context) error {
	if err := p.host.checkRootOwner(); err != nil {
		return err
	}
	if err := p.checkSpelling(ctx); err != nil {
		return err
	}
	root := directory.OpenTree(p.host.Root)
	defer root.Close()
	if err := root.Mkdir(p.Dir, 0o755); err != nil {
		return err
	}
	return root.SyncDir(p.host.Root)
}

func (p *pkg) isSubscribed() (bool, error) {
	if _, err := os.Stat(p.host.Root); err != nil {
		return false, rootError(p.host.Root, err)
	}
	if _, err := os.Lstat(p.Dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err := p.mustExist(); err != nil {
		return false, err
	}
	if p.IsRemoved() {
		return false, p.removedError()
	}
	return true, nil
}

// checkSpelling is an error where the bucket has no such package.
func (p *pkg) checkSpelling(ctx context.Context) error {
	bucket, err := p.host.Open(ctx)
	if err != nil {
		return err
	}
	contents, err := bucket.Contents(ctx, p.Name)
	if err != nil || len(contents.Revisions) > 0 {
		return err
	}
	hint := "what there is: ftl list --master; to subscribe all the same: mkdir " + quoted(p.Dir)
	if packages, err := bucket.Packages(ctx); err == nil {
		if nearest, found := revision.Nearest(p.Name, packages); found {
			hint = fmt.Sprintf("did you mean %s? To subscribe all the same: mkdir %s", nearest, quoted(p.Dir))
		}
	}
	return ftl.Errorf(ftl.NotFound, hint, "the bucket has no package %s", p.Name)
}

// sayUnknown tells a person who syncs by hand that the bucket has no such package, as its name may
// be misspelt. A package that is on its way makes no noise in cron's mail.
func (p *pkg) sayUnknown(ctx context.Context, bucket *catalog.Catalog) {
	if bucket == nil { // it was retired, which look has told
		return
	}
	if p.read == nil || len(p.read.contents.Revisions) > 0 || len(p.read.marker.Entries) > 0 {
		return
	}
	if packages, err := bucket.Packages(ctx); err == nil { // which is only for a suggestion
		if nearest, found := revision.Nearest(p.Name, packages); found {
			p.host.warn("the bucket has no package %s; it has %s", p.Name, nearest)
			return
		}
	}
	p.host.warn("the bucket has no package %s yet", p.Name)
}

// checkRootOwner refuses to make a package as anybody else than whoever owns Root, root too: who
// syncs the others could not sync this one.
func (h *Host) checkRootOwner() error {
	info, err := os.Stat(h.Root)
	if err != nil {
		return err
	}
	owner, known := tree.OwnerOf(info)
	if !known || owner == os.Geteuid() {
		return nil
	}
	name := "#" + strconv.Itoa(owner)
	if account, err := user.LookupId(strconv.Itoa(owner)); err == nil {
		name = account.Username
	}
	return ftl.Errorf(ftl.Refused, fmt.Sprintf("sudo -u %s -E %s", quoted(name), h.Command),
		"%s belongs to %s, not to the user who runs this", h.Root, name)
}
