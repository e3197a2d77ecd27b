package tree

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/revision"
)

// The files in a package's directory are input: whoever owns it may have put anything there. A file
// is opened from the package's directory on, never through a link, and only a regular file of the
// owner's is read, up to a limit. That holds for commands too that only show.
const (
	maxState  = 16 << 20
	MaxRecord = 64 << 10 // of what says who does something
	maxLog    = 8 << 20  // at its end: it is cut long before, unless nothing changes the host for long
	MaxIndex  = 256 << 20
)

// OpenRevision opens the directory of a revision, for its hooks.
func (t *Place) OpenRevision(r revision.Revision) (*directory.Dir, error) {
	dir, err := t.Files.OpenDir(t.RevisionDir(r))
	if errors.Is(err, fs.ErrNotExist) { // which must not pass for a revision that has no hook
		return nil, fmt.Errorf("open %s: the revision is missing", t.RevisionDir(r))
	}
	return dir, err
}
