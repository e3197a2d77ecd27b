package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// A subscription is a directory in Root, or a link to one that lies elsewhere,
// on another disk for instance.

// subscriptions returns the directories in Root, sorted: those that are named
// like a package, and those that are not.
func (h *Host) subscriptions() (packages []revision.Package, misnamed []string, err error) {
	entries, err := os.ReadDir(h.Root)
	if err != nil {
		return nil, nil, rootError(h.Root, err)
	}
	for _, entry := range entries {
		if info, err := h.statDir(entry); err != nil || !info.IsDir() {
			continue
		}
		name, err := revision.ParsePackage(entry.Name())
		if err == nil {
			packages = append(packages, name)
		} else if !strings.HasPrefix(entry.Name(), ".") && entry.Name() != "lost+found" { // of a disk's own root
			misnamed = append(misnamed, entry.Name())
		}
	}
	return packages, misnamed, nil
}

// statDir follows a link.
func (h *Host) statDir(entry fs.DirEntry) (fs.FileInfo, error) {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.Info()
	}
	return os.Stat(filepath.Join(h.Root, entry.Name()))
}

// sayMisnamed tells of directories that are passed over, since a person may take
// them for subscriptions.
func (h *Host) sayMisnamed(names []string) {
	for _, name := range names {
		_, err := revision.ParsePackage(name)
		h.warn("%s is passed over: %v", quoted(filepath.Join(h.Root, name)), err)
	}
}

// checkAlone refuses a package whose directory is a link to that of another
// package: the two would take turns in one state, and each would remove the
// revisions of the other.
func (p *pkg) checkAlone() error {
	if info, err := os.Lstat(p.Dir); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return err
	}
	mine, err := os.Stat(p.Dir)
	if err != nil {
		return err
	}
	others, _, err := p.host.subscriptions()
	if err != nil {
		return err
	}
	for _, other := range others {
		if other == p.Name {
			continue
		}
		if theirs, err := os.Stat(filepath.Join(p.host.Root, other.String())); err == nil && os.SameFile(mine, theirs) {
			return ftl.Errorf(ftl.Refused, "give it one of its own: rm "+quoted(p.Dir)+" && mkdir "+quoted(p.Dir),
				"%s is a link to the directory of another package, %s", p.Dir, other)
		}
	}
	return nil
}
