package archive

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// likeness is what new files and directories are like where a tree is made, beyond what the index
// says of them. What differs from it is not kept: nobody could tell what else it does.
type likeness struct {
	dev       uint64
	uid, gid  uint32
	special   uint32 // bits of a directory's mode, which it has from the one above
	file, dir labels
}

// labels are the extended attributes, which include the access control lists, and the flags.
type labels struct {
	attributes string
	flags      int
}

const (
	specialBits = 0o7000

	// Flags that the file system sets by itself, and that say nothing: DIRTY, COMPRBLK, INDEX,
	// HUGE_FILE, EXTENT, EA_INODE and INLINE_DATA.
	ownFlags = 0x100 | 0x200 | 0x1000 | 0x40000 | 0x80000 | 0x200000 | 0x10000000
)

// newLikeness looks at a file and a directory that it makes. It is an error where the kernel does
// not tell what a tree that is recycled has to be asked for.
func newLikeness(fresh *os.Root) (l likeness, err error) {
	top := handles{top: fresh}
	defer top.close()
	here, err := top.open(".")
	if err != nil {
		return l, err
	}
	made, err := here.create("file", permissions)
	if err == nil {
		err = made.close()
	}
	if err == nil {
		err = here.mkdir("dir", 0)
	}
	if err != nil {
		return l, err
	}
	var dir, file unix.Stat_t
	if dir, l.dir, err = describe(here, "dir", unix.O_DIRECTORY); err != nil {
		return l, err
	}
	if file, l.file, err = describe(here, "file", unix.O_NOATIME); err != nil {
		return l, err
	}
	l.dev, l.uid, l.gid, l.special = file.Dev, file.Uid, file.Gid, dir.Mode&specialBits
	if dir.Uid != l.uid || dir.Gid != l.gid {
		err = errors.New("files and directories get different owners")
	}
	return l, err
}

// describe opens an entry as Recycle does, and also makes sure that it can be asked for writers.
func describe(in *handle, base string, flags int) (stat unix.Stat_t, l labels, err error) {
	fd, err := in.openHere(base, flags)
	if err != nil {
		return stat, l, err
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &stat); err != nil {
		return stat, l, os.NewSyscallError("fstat", err)
	}
	if flags&unix.O_DIRECTORY == 0 {
		if err := askForWriters(fd); err != nil {
			return stat, l, err
		}
	}
	l, err = readLabels(fd)
	return stat, l, err
}

// openHere opens an entry that is no link, and on which nothing is mounted.
func (h *handle) openHere(base string, flags int) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	for {
		fd, err := unix.Openat2(h.fd, base, &how)
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, os.NewSyscallError("openat2", err)
		}
	}
}

// askForWriters returns an error where a process has the file open for writing, or a writable
// mapping of it: the kernel gives nobody a lease to read then. The lease ends with the descriptor.
func askForWriters(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
	return os.NewSyscallError("fcntl", err)
}

func readLabels(fd int) (l labels, err error) {
	if l.attributes, err = readAttributes(fd); err != nil {
		return l, err
	}
	l.flags, err = unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) { // it has none
		l.flags, err = 0, nil
	}
	l.flags &^= ownFlags
	return l, os.NewSyscallError("ioctl", err)
}

// readAttributes returns the names and values of the extended attributes. Most files have none.
func readAttributes(fd int) (string, error) {
	var names [4096]byte
	n, err := unix.Flistxattr(fd, names[:])
	if errors.Is(err, unix.EOPNOTSUPP) {
		return "", nil
	}
	if err != nil {
		return "", os.NewSyscallError("flistxattr", err)
	}
	if n == 0 {
		return "", nil
	}
	var all strings.Builder
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		var value [4096]byte
		n, err := unix.Fgetxattr(fd, name, value[:])
		if err != nil {
			return "", os.NewSyscallError("fgetxattr", err)
		}
		all.WriteString(name)
		all.WriteByte(0)
		all.Write(value[:n])
		all.WriteByte(0)
	}
	return all.String(), nil
}

// isDir reports whether a directory is like a new one, but for its permissions.
func (l *likeness) isDir(fd int, stat *unix.Stat_t) bool {
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR || !l.isOurs(stat) || stat.Mode&specialBits != l.special {
		return false
	}
	labels, err := readLabels(fd)
	return err == nil && labels == l.dir
}

// isFile reports whether a file is like a new one that nobody writes to, but for its permissions.
func (l *likeness) isFile(fd int, stat *unix.Stat_t) bool {
	if stat.Mode&unix.S_IFMT != unix.S_IFREG || !l.isOurs(stat) || stat.Nlink != 1 || askForWriters(fd) != nil {
		return false
	}
	labels, err := readLabels(fd)
	return err == nil && labels == l.file
}

func (l *likeness) isOurs(stat *unix.Stat_t) bool {
	return stat.Dev == l.dev && stat.Uid == l.uid && stat.Gid == l.gid
}
