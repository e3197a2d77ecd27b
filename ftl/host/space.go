package host

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/master"
)

// What has to be left beside a revision: for the state, the logs and what the
// hooks write.
const (
	spareSpace  = 16 << 20 // bytes
	spareInodes = 16
)

// checkSpace makes sure that there is room for a revision, and for its archive
// where that is kept meanwhile, so that a full disk is told before anything is
// fetched.
func (p *pkg) checkSpace(manifest master.Manifest, withArchive bool) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(p.revs(), &fs); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", p.revs(), err)
	}
	err := tooFullFor(fs, manifest, withArchive)
	if err == nil {
		return nil
	}
	return &ftl.Error{
		Hint: fmt.Sprintf("to make room: ftl clean %s --keep 1; a host keeps FTL_KEEP revisions of each package", p.name),
		Err:  fmt.Errorf("%s: %w", p.revs(), err),
	}
}

// tooFullFor is an error that says what a revision needs and what a file system
// has, if that is less.
func tooFullFor(fs unix.Statfs_t, manifest master.Manifest, withArchive bool) error {
	const mib = 1 << 20
	blockSize, entries := uint64(fs.Bsize), uint64(manifest.Unpacked.Entries)
	// Each entry takes up to a block more than its bytes.
	need := uint64(manifest.Unpacked.Bytes) + entries*blockSize + spareSpace
	if withArchive {
		need += uint64(manifest.Size)
	}
	if free := uint64(fs.Bavail) * blockSize; free < need {
		return fmt.Errorf("too little space: it needs %d MiB, %d MiB are free", (need+mib-1)/mib, free/mib)
	}
	// Some file systems make inodes as they need them, and say that there are none.
	if need, free := entries+spareInodes, uint64(fs.Ffree); fs.Files > 0 && free < need {
		return fmt.Errorf("too few inodes: it needs %d, %d are free", need, free)
	}
	return nil
}
