package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/ftl/strictmodes"
)

// The files in the directory of serve.
const (
	grantsName = "access.json"
	keyName    = "cookie.key"
	lockName   = ".lock"
)

// maxFile is how large a file of ours may be.
const maxFile = 8 << 20

// File is the file of grants, in a directory that belongs to whoever runs serve.
type File struct {
	dir  *os.Root
	path string
}

// OpenFile opens the directory of serve, and makes it where it is not there. One that others may
// look into, or that belongs to somebody else, is an error.
func OpenFile(dir string) (*File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkOwner(dir); err != nil {
		return nil, err
	}
	if err := strictmodes.Check(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &File{dir: root, path: dir}, nil
}

// Close gives the directory back.
func (f *File) Close() error { return f.dir.Close() }

// checkOwner refuses a directory that is not ours alone. Also root is refused: what it wrote, the
// user of serve could not read.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Errorf("the owner of %s can't be told", dir)
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case int(stat.Uid) != os.Geteuid():
		return ftl.Errorf(ftl.Refused, fmt.Sprintf("run it as that user: sudo -u '#%d' …", stat.Uid), "%s belongs to user %d, not to %d", dir, stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return ftl.Errorf(ftl.Refused, "chmod 0700 "+ftl.Quoted(dir), "others may look into %s (mode %04o)", dir, info.Mode().Perm())
	}
	return nil
}

// A stamp tells one version of the file from another.
type stamp struct {
	inode    uint64
	size     int64
	modified time.Time
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = stat.Ino
	}
	return s
}

// stamp is that of the file as it is now, zero where there is none.
func (f *File) stamp() (stamp, error) {
	info, err := f.dir.Lstat(grantsName)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, err
	}
	return stampOf(info), nil
}

// contents is what the file has.
type contents struct {
	Format int    `json:"format"`
	Grants []kept `json:"grants"`
}

// read reads the file. One that is not there has no grants.
func (f *File) read() (contents, stamp, error) {
	text, info, err := f.readSecret(grantsName)
	if errors.Is(err, fs.ErrNotExist) {
		return contents{}, stamp{}, nil
	}
	if err != nil {
		return contents{}, stamp{}, err
	}
	var all contents
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&all); err != nil {
		return contents{}, stamp{}, fmt.Errorf("read %s: %w", f.pathOf(grantsName), err)
	}
	if all.Format != 1 {
		return contents{}, stamp{}, fmt.Errorf("read %s: its format is %d; a newer ftl wrote it", f.pathOf(grantsName), all.Format)
	}
	return all, stampOf(info), nil
}

// readSecret reads a file that nobody else may read.
func (f *File) readSecret(name string) ([]byte, fs.FileInfo, error) {
	file, err := f.dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s is no regular file", f.pathOf(name))
	case info.Mode().Perm()&0o077 != 0:
		return nil, nil, ftl.Errorf(ftl.Refused, "chmod 0600 "+ftl.Quoted(f.pathOf(name)), "others may read %s (mode %04o)", f.pathOf(name), info.Mode().Perm())
	case info.Size() > maxFile:
		return nil, nil, fmt.Errorf("%s has %d bytes, which is too much", f.pathOf(name), info.Size())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	return text, info, err
}

func (f *File) pathOf(name string) string { return filepath.Join(f.path, name) }

// Grants returns the grants, the newest first, also those that have ended lately.
func (f *File) Grants() ([]Grant, error) {
	all, _, err := f.read()
	if err != nil {
		return nil, err
	}
	grants := make([]Grant, 0, len(all.Grants))
	for _, k := range all.Grants {
		grants = append(grants, k.Grant)
	}
	slices.SortStableFunc(grants, func(a, b Grant) int { return b.Created.Compare(a.Created.Time) })
	return grants, nil
}

// Add gives somebody a right, and returns what it is used with, which can't be asked for again: a
// token, or the secret of a webhook; "" for a user. A webhook may have two secrets at a time, so
// that one can be replaced; a user has one grant.
func (f *File) Add(ctx context.Context, r Request, now time.Time) (g Grant, secret string, err error) {
	if err := r.Validate(); err != nil {
		return Grant{}, "", err
	}
	err = f.change(ctx, now, func(all *contents) error {
		if err := all.refuse(r, now); err != nil {
			return err
		}
		var k kept
		k, secret = r.grant(now)
		g = k.Grant
		all.Grants = append(all.Grants, k)
		return nil
	})
	return g, secret, err
}

// refuse refuses a grant that would stand beside another one in a way that nobody can mean.
func (all *contents) refuse(r Request, now time.Time) error {
	var same []Grant
	for _, k := range all.Grants {
		if k.Kind == r.Kind && k.Label == r.Label && k.Live(now) {
			same = append(same, k.Grant)
		}
	}
	switch {
	case r.Kind == Webhook && len(same) >= 2:
		return ftl.Errorf(ftl.Refused, "ftl token revoke "+same[0].ID, "the webhook %s has two secrets already", r.Label)
	case r.Kind == User && len(same) > 0:
		return ftl.Errorf(ftl.Refused, "ftl token revoke "+same[0].ID, "the user %s has the role %s already", r.Label, same[0].Role)
	case r.Kind == Token && len(same) > 0:
		return ftl.Errorf(ftl.Refused, "ftl token revoke "+same[0].ID+", or another label", "there is a token %s already", r.Label)
	}
	return nil
}

// Revoke ends a grant by its id, or by its label where that names one alone.
func (f *File) Revoke(ctx context.Context, name string, now time.Time) (g Grant, err error) {
	err = f.change(ctx, now, func(all *contents) error {
		at, err := all.find(name, now)
		if err != nil {
			return err
		}
		all.Grants[at].Revoked, all.Grants[at].Secret = ftl.At(now), ""
		g = all.Grants[at].Grant
		return nil
	})
	return g, err
}

// find returns where a grant is that can be revoked.
func (all *contents) find(name string, now time.Time) (int, error) {
	var found []int
	for i, k := range all.Grants {
		switch {
		case k.ID == name && !k.Revoked.IsZero():
			return 0, ftl.Errorf(ftl.Refused, "", "%s %s was revoked at %s", k.Kind, name, ftl.Clock(k.Revoked.Time))
		case k.ID == name:
			return i, nil
		case k.Label == name && k.Live(now):
			found = append(found, i)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, ftl.Errorf(ftl.NotFound, "which there are: ftl token list", "there is no token %q", name)
	}
	return 0, ftl.Errorf(ftl.Refused, "name it by its id: ftl token list", "%q names %d of them", name, len(found))
}

// lockRetry is how often it is tried to lock the file, which others hold for an instant.
const lockRetry = 20 * time.Millisecond

// change rewrites the file. Several processes may do that at once.
func (f *File) change(ctx context.Context, now time.Time, edit func(*contents) error) (err error) {
	lock := flock.New(f.pathOf(lockName), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return fmt.Errorf("lock %s: %w", f.pathOf(lockName), err)
	}
	defer lock.Close()
	all, _, err := f.read()
	if err != nil {
		return err
	}
	if err := edit(&all); err != nil {
		return err
	}
	all.Format = 1
	all.Grants = slices.DeleteFunc(all.Grants, func(k kept) bool { return k.gone(now) })
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(f.dir, grantsName, append(text, '\n'), 0o600)
}
