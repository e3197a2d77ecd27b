package archive

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// openHandles is how many directories are kept open. Archives list the files of a directory one
// after the other, so a few are enough.
const openHandles = 16

// handles keeps the directories that were used last open, most recent first. So making an entry is
// one system call that resolves one component, not a path. It is for one goroutine.
type handles struct {
	top    *os.Root
	recent []*handle
}

// handle is an open directory. Its methods take a single component, and never follow a symlink.
type handle struct {
	name string
	fd   int
}

// open returns the directory name. It and its parents have to exist, and none of them may be a
// symlink. The handle stays open at least until two others were asked for.
func (s *handles) open(name string) (*handle, error) {
	for i, h := range s.recent {
		if h.name == name {
			copy(s.recent[1:i+1], s.recent[:i])
			s.recent[0] = h
			return h, nil
		}
	}
	fd, err := s.openNew(name)
	if err != nil {
		return nil, err
	}
	if len(s.recent) == openHandles {
		s.recent[openHandles-1].close()
		s.recent = s.recent[:openHandles-1]
	}
	h := &handle{name, fd}
	s.recent = slices.Insert(s.recent, 0, h)
	return h, nil
}

func (s *handles) openNew(name string) (int, error) {
	if name == "." {
		top, err := s.top.Open(".")
		if err != nil {
			return -1, err
		}
		defer top.Close()
		return unix.FcntlInt(top.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	}
	top, err := s.open(".")
	if err != nil {
		return -1, err
	}
	if fd, err := openBelow(top.fd, name); !errors.Is(err, errors.ErrUnsupported) {
		return fd, err
	}
	dir, base := split(name)
	parent, err := s.open(dir)
	if err != nil {
		return -1, err
	}
	return parent.openat(base, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

func (s *handles) close() {
	for _, h := range s.recent {
		h.close()
	}
	s.recent = nil
}

func (h *handle) close() { unix.Close(h.fd) }

// openat opens an entry that is not a symlink. A fifo does not block it.
func (h *handle) openat(base string, flags int, perm fs.FileMode) (int, error) {
	for {
		fd, err := unix.Openat(h.fd, base, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, uint32(perm))
		if err != unix.EINTR {
			return fd, os.NewSyscallError("openat", err)
		}
	}
}

// create makes a new file, which can be read back too.
func (h *handle) create(base string, perm fs.FileMode) (outFile, error) {
	fd, err := h.openat(base, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, perm)
	return outFile{fd}, err
}

func (h *handle) remove(base string) error {
	return os.NewSyscallError("unlinkat", unix.Unlinkat(h.fd, base, 0))
}

// mkdir makes a new directory with the mode that most have. Its owner can use it whatever the
// process's umask is.
func (h *handle) mkdir(base string, umask fs.FileMode) error {
	if err := unix.Mkdirat(h.fd, base, uint32(permissions)); err != nil {
		return os.NewSyscallError("mkdirat", err)
	}
	if umask&0o700 == 0 {
		return nil
	}
	return os.NewSyscallError("fchmodat", unix.Fchmodat(h.fd, base, 0o700, 0)) // made just now, so no symlink
}

func (h *handle) symlink(target, base string) error {
	return os.NewSyscallError("symlinkat", unix.Symlinkat(target, h.fd, base))
}

// link makes base another name of an entry of from, which is not followed.
func (h *handle) link(from *handle, entry, base string) error {
	return os.NewSyscallError("linkat", unix.Linkat(from.fd, entry, h.fd, base, 0))
}

// chmodDir sets the mode of a directory in h.
func (h *handle) chmodDir(base string, perm fs.FileMode) error {
	fd, err := h.openat(base, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(os.NewSyscallError("fchmod", unix.Fchmod(fd, uint32(perm))), unix.Close(fd))
}

// setTime sets the modification time of the entry base, not of what it points to. The zero time
// changes nothing.
func (h *handle) setTime(base string, t time.Time) error {
	if t.IsZero() {
		return nil
	}
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	err = unix.UtimesNanoAt(h.fd, base, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	return os.NewSyscallError("utimensat", err)
}

// outFile is a file that is written. It is a bare descriptor, as Go's poller is of no use for
// regular files.
type outFile struct{ fd int }

func (f outFile) writeAt(b []byte, offset int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(f.fd, b, offset)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("pwrite", err)
		}
		b, offset = b[n:], offset+int64(n)
	}
	return nil
}

func (f outFile) truncate(size int64) error {
	return os.NewSyscallError("ftruncate", unix.Ftruncate(f.fd, size))
}

func (f outFile) chmod(perm fs.FileMode) error {
	return os.NewSyscallError("fchmod", unix.Fchmod(f.fd, uint32(perm)))
}

func (f outFile) close() error { return os.NewSyscallError("close", unix.Close(f.fd)) }
