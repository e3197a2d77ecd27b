package main

import (
	"encoding/binary"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// call is a system call that changes something.
type call struct {
	name string
	path string // what is changed, or of a rename the new name
	from string // of a rename the old name
}

func (c call) String() string {
	if c.from != "" {
		return c.name + " " + c.from + " " + c.path
	}
	return c.name + " " + c.path
}

// decode tells the calls that change something from the rest: a file, a name, or
// whether a hook runs. It knows those that the program makes, as Go makes them.
func decode(thread int, info callInfo) (call, bool) {
	a := info.args
	named := func(name string, dir, path int) (call, bool) {
		return call{name: name, path: at(thread, a[dir], text(thread, a[path]))}, true
	}
	open := func(name string, fd uint64) (call, bool) {
		path := opened(thread, fd)
		// A pipe is the gate that a hook waits at. The rest is the Go runtime's.
		return call{name: name, path: path}, onFile(path) || strings.HasPrefix(path, "pipe:")
	}
	renamed := func(name string) (call, bool) {
		return call{name: name, path: at(thread, a[2], text(thread, a[3])), from: at(thread, a[0], text(thread, a[1]))}, true
	}
	switch info.number {
	case unix.SYS_OPENAT:
		if a[2]&(unix.O_CREAT|unix.O_TRUNC) == 0 {
			return call{}, false
		}
		return named("openat", 0, 1)
	case unix.SYS_MKDIRAT:
		return named("mkdirat", 0, 1)
	case unix.SYS_UNLINKAT:
		return named("unlinkat", 0, 1)
	case unix.SYS_FCHMODAT:
		return named("fchmodat", 0, 1)
	case unix.SYS_UTIMENSAT:
		return named("utimensat", 0, 1)
	case unix.SYS_SYMLINKAT:
		return named("symlinkat", 1, 2)
	case unix.SYS_LINKAT:
		return renamed("linkat")
	case unix.SYS_RENAMEAT:
		return renamed("renameat")
	case unix.SYS_RENAMEAT2:
		return renamed("renameat2")
	case unix.SYS_WRITE:
		return open("write", a[0])
	case unix.SYS_PWRITE64:
		return open("pwrite64", a[0])
	case unix.SYS_FTRUNCATE:
		return open("ftruncate", a[0])
	case unix.SYS_FCHMOD:
		return open("fchmod", a[0])
	case unix.SYS_FSYNC:
		return open("fsync", a[0])
	case unix.SYS_FDATASYNC:
		return open("fdatasync", a[0])
	case unix.SYS_SYNCFS:
		return open("syncfs", a[0])
	case unix.SYS_COPY_FILE_RANGE:
		return open("copy_file_range", a[2])
	case unix.SYS_IOCTL:
		return call{name: "ioctl", path: opened(thread, a[0])}, a[1] == unix.FICLONE
	case unix.SYS_CLONE:
		return call{name: "clone"}, a[0]&unix.CLONE_THREAD == 0
	case unix.SYS_CLONE3:
		var flags [8]byte // the first of struct clone_args
		read(thread, a[0], flags[:])
		return call{name: "clone3"}, binary.NativeEndian.Uint64(flags[:])&unix.CLONE_THREAD == 0
	}
	return call{}, false
}

// onFile reports whether what a descriptor is of has a name. What is printed
// goes to a file without one.
func onFile(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.HasSuffix(path, " (deleted)") && path != os.DevNull
}
