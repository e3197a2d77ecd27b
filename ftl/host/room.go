package host

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// checkSpace makes sure that there is room for a revision, and for its archive
// where that is kept meanwhile, so that a full disk is told before anything is
// fetched. What is in the stage of it already has its room, and so has what becomes a part of it.
func (p *pkg) checkSpace(manifest catalog.Manifest, at *staging, becoming ...string) error {
	bytes := manifest.Unpacked.Bytes
	if !manifest.InParts() {
		bytes += manifest.Size
	}
	err := p.CheckRoom(uint64(bytes), uint64(manifest.Unpacked.Entries), append(becoming, at.tree.Path, at.part.Path)...)
	if _, full := errors.AsType[*tree.NoRoom](err); full {
		return &ftl.Error{Hint: p.roomHint(), Err: err}
	}
	return err
}

// roomHint says how to make room. To clean is offered only where that removes something.
func (p *pkg) roomHint() string {
	const keep = 1
	cur, linksErr := p.Links()
	local, err := p.Local()
	if linksErr == nil && err == nil && slices.ContainsFunc(local[:max(0, len(local)-keep)], func(r revision.Revision) bool { return !cur.Has(r) }) {
		return fmt.Sprintf("to make room: ftl clean %s --keep %d; a host keeps FTL_KEEP revisions of each package", p.Name, keep)
	}
	return "there is nothing of " + p.Name.String() + " to clean; what fills the disk: du -xh " + quoted(tree.MountOf(p.Dir)) + " | sort -h | tail"
}
