package archive

import (
	"archive/tar"
	"io/fs"
	"strings"
	"time"
)

// permissions are the bits that umask 022 leaves.
const permissions fs.FileMode = 0o755

// newEntry checks a header by itself: name, type, size and link. The walker checks whether it fits
// those before it.
func newEntry(h *tar.Header) (Entry, error) {
	name, err := cleanName(h.Name)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Name: name, Mode: fs.FileMode(h.Mode) & permissions, Size: h.Size, ModTime: clamp(h.ModTime)}
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir:
		e.Mode |= fs.ModeDir
	case tar.TypeSymlink:
		e.Mode = fs.ModeSymlink | 0o777
		e.Link, err = h.Linkname, checkTarget(h.Name, h.Linkname)
	case tar.TypeLink:
		e.Link, err = cleanName(h.Linkname)
	default:
		return Entry{}, invalid("%q: it is %s; only files, directories, symlinks and hard links can be deployed",
			h.Name, typeName(h.Typeflag))
	}
	if err == nil {
		err = consistent(h, &e)
	}
	return e, err
}

// consistent refuses a header whose parts contradict each other, since readers of tar understand it
// in different ways.
func consistent(h *tar.Header, e *Entry) error {
	slash := strings.HasSuffix(h.Name, "/") || strings.HasSuffix(h.Name, "/.")
	switch {
	case h.Size < 0:
		return invalid("%q: its size is negative", h.Name)
	case h.Size > 0 && h.Typeflag != tar.TypeReg:
		return invalid("%q: only a file can have a size", h.Name)
	case !e.Mode.IsDir() && (slash || e.Name == "."):
		return invalid("%q: the name is a directory's, the entry is none", h.Name)
	case e.HardLink() && e.Link == ".":
		return invalid("%q: hard link to the top directory", h.Name)
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return invalid("%q: it is a sparse file: make the archive without --sparse", h.Name)
		}
	}
	return nil
}

// checkTarget checks only that a symlink's target is a path. Links that are absolute or leave the
// tree are stored, and never followed.
func checkTarget(name, target string) error {
	switch {
	case target == "":
		return invalid("%q: the symlink has no target", name)
	case len(target) > maxPath:
		return invalid("%q: the symlink's target is longer than %d bytes", name, maxPath)
	case hasControl(target):
		return invalid("%q: the symlink's target has a control character", name)
	}
	return nil
}

// checkEntry checks an entry that an index lists. newEntry made it when it was spooled, if the
// index is honest.
func checkEntry(e *Entry) error {
	name, err := cleanName(e.Name)
	switch {
	case err != nil:
		return err
	case name != e.Name || name == "." && !e.Mode.IsDir():
		return invalid("%q: not the name of an entry", e.Name)
	case e.Mode&fs.ModeSymlink != 0:
		return checkTarget(e.Name, e.Link)
	case e.HardLink():
		target, err := cleanName(e.Link)
		if err == nil && (target != e.Link || target == ".") {
			err = invalid("%q: hard link to %q", e.Name, e.Link)
		}
		return err
	}
	return nil
}

// checkGlobal refuses a PAX global header that changes the entries after it for tools that honour
// it. This package does not, as most. The one that git archive writes is only a comment.
func checkGlobal(h *tar.Header) error {
	for key := range h.PAXRecords {
		switch {
		case key == "path", key == "linkpath", key == "size", key == "mtime", strings.HasPrefix(key, "GNU.sparse."):
			return invalid("a PAX global header sets %s for all entries", key)
		}
	}
	return nil
}

func clamp(t time.Time) time.Time {
	switch {
	case t.Before(minTime):
		return minTime
	case t.After(maxTime):
		return maxTime
	}
	return t
}

// typeName says in words what a refused entry is.
func typeName(flag byte) string {
	switch flag {
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a fifo"
	case tar.TypeGNUSparse:
		return "a sparse file"
	}
	return "of the unknown type " + string(rune(flag))
}
