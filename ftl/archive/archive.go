// Package archive reads and writes what FTL deploys: tar archives, compressed or not, and single
// files.
//
// An archive comes out of a bucket, so anybody may have written it. One walker reads it and checks
// every entry before anything is done with it. Scan is that walker with a sink that keeps nothing,
// Unpack is the same walker with a sink that writes. So what Scan accepts on the build box, Unpack
// accepts on ten thousand hosts.
//
// An archive is refused as a whole, with an error that wraps ErrInvalid. It is never repaired, and
// no entry is skipped: half of a deploy is worse than none. What is accepted becomes the tree that
// GNU tar makes of it with --no-same-owner --no-same-permissions under umask 022, without special
// mode bits and extended attributes. Two things differ: the top directory stays writable for its
// owner, who has to rename it, and times outside of 1970 to 2106 are moved to the nearer end of
// that range.
//
// Archives are streams. Neither function seeks, keeps a file's content or needs memory that grows
// with the archive's bytes: it only remembers the directories, and a few bytes for each name.
package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// ErrInvalid is wrapped by every error that is the archive's fault: reading it again, also on
// another host, fails in the same way. Errors of the archive's source, of the disk and of the
// context never wrap it; they keep their own identity.
var ErrInvalid = errors.New("invalid archive")

// invalid makes an error that wraps ErrInvalid and nothing else. It keeps causes as text only: an
// unexpected EOF inside an archive must not look like a broken connection.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Totals is what unpacking an archive makes.
type Totals struct {
	Entries int64 // files, links and directories, also directories that no entry lists; not the top directory itself
	Bytes   int64 // content of regular files; a hard link adds none
}

// Entry is an entry of an archive that has passed all checks. Its fields are as they will be on the
// host.
type Entry struct {
	Name    string      // slash-separated and clean, without a leading "./"; "." is the top directory
	Mode    fs.FileMode // type (regular, directory or symlink) and permission bits, both as they will be on a host
	Size    int64       // bytes of content, of regular files only
	Link    string      // a symlink's target as it is; a hard link's clean name of an earlier file; else empty
	ModTime time.Time   // the zero time leaves the time of unpacking
}

// HardLink reports whether e is another name of the earlier file e.Link. Its mode and time are
// those of that file, and e's own are ignored.
func (e *Entry) HardLink() bool { return e.Mode.IsRegular() && e.Link != "" }

// Packed is an archive as it is stored.
type Packed struct {
	Content io.Reader
	Form    Form
	File    File // for Unpack of a form without a tree
}

// File says how the single file of the forms Gzip, Zstd and Raw is kept, since a compressed file
// has neither a reliable name nor a mode of its own. Unpacking a tar ignores it.
type File struct {
	Name string      // a single path component, as FileName makes it
	Mode fs.FileMode // permission bits, kept under umask 022; 0 means 0644
}
