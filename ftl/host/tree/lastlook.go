package tree

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// When a sync last looked at the bucket is the time of a file, so that a sync
// with nothing to do writes nothing that has to reach the disk.

func (t Logs) lastLookPath() string { return filepath.Join(t.Meta(), "synced") }

// NoteLook is best effort: what it keeps is only shown.
func (t Logs) NoteLook() {
	now := time.Now()
	if err := t.Files.Chtimes(t.lastLookPath(), now); errors.Is(err, fs.ErrNotExist) {
		t.Files.ReplaceFile(t.lastLookPath(), nil, 0o644)
	}
}

// LastLook returns the zero time where no sync has looked yet.
func (t Logs) LastLook() time.Time {
	info, err := t.Files.Lstat(t.lastLookPath())
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
