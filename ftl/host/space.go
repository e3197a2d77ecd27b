package host

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/master"
)

// spareSpace is what has to be left beside a revision, in bytes: for the state,
// the logs and what the hooks write.
const spareSpace = 16 << 20

// checkSpace makes sure that there is room for a revision, and for its archive
// where that is kept meanwhile, so that a full disk is told before anything is
// fetched.
func (p *pkg) checkSpace(manifest master.Manifest, withArchive bool) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(p.revs(), &fs); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", p.revs(), err)
	}
	blockSize := uint64(fs.Bsize)
	// Each entry takes up to a block more than its bytes.
	need := uint64(manifest.Unpacked.Bytes) + uint64(manifest.Unpacked.Entries)*blockSize + spareSpace
	if withArchive {
		need += uint64(manifest.Size)
	}
	if free := uint64(fs.Bavail) * blockSize; free < need {
		return fmt.Errorf("too little space in %s: it needs %d MiB, %d MiB are free", p.revs(), need>>20, free>>20)
	}
	if entries := uint64(manifest.Unpacked.Entries); fs.Files > 0 && uint64(fs.Ffree) < entries {
		return fmt.Errorf("too few inodes in %s: it needs %d, %d are free", p.revs(), entries, fs.Ffree)
	}
	return nil
}
