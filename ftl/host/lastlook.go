package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// When a sync last looked at the bucket is the time of a file, so that a sync
// with nothing to do writes nothing that has to reach the disk.

func (p *pkg) lastLookPath() string { return filepath.Join(p.meta(), "synced") }

// noteLook is best effort: what it keeps is only shown.
func (p *pkg) noteLook() {
	now := time.Now()
	if err := os.Chtimes(p.lastLookPath(), now, now); errors.Is(err, fs.ErrNotExist) {
		os.WriteFile(p.lastLookPath(), nil, 0o644)
	}
}

// lastLook returns the zero time where no sync has looked yet.
func (p *pkg) lastLook() time.Time {
	info, err := os.Lstat(p.lastLookPath())
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
