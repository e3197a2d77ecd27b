package archive

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// openFolders is how many directories are kept open. Archives list a directory's files together, so few are enough.
const openFolders = 16

// folders keeps the directories last used open, most recent first, so that making an entry resolves one component
// instead of its path, in one system call. For one goroutine.
type folders struct {
	top    *os.Root
	recent []*folder
}

// folder is an open directory. All that is done in it is done to one component, and never through a symlink.
type folder struct {
	name string
	fd   int
}

// open returns the directory name, which has to exist with its parents, none of them a symlink. The folder is open until
// two others were asked for, at least.
func (s *folders) open(name string) (*folder, error) {
	for i, f := range s.recent {
		if f.name == name {
			copy(s.recent[1:i+1], s.recent[:i])
			s.recent[0] = f
			return f, nil
		}
	}
	fd, err := s.openNew(name)
	if err != nil {
		return nil, err
	}
	if len(s.recent) == openFolders {
		s.recent[openFolders-1].close()
		s.recent = s.recent[:openFolders-1]
	}
	f := &folder{name, fd}
	s.recent = slices.Insert(s.recent, 0, f)
	return f, nil
}

func (s *folders) openNew(name string) (int, error) {
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

func (s *folders) close() {
	for _, f := range s.recent {
		f.close()
	}
	s.recent = nil
}

func (f *folder) close() { unix.Close(f.fd) }

// openat opens an entry that is no symlink. A fifo does not block it.
func (f *folder) openat(base string, flags int, perm fs.FileMode) (int, error) {
	for {
		fd, err := unix.Openat(f.fd, base, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, uint32(perm))
		if err != unix.EINTR {
			return fd, os.NewSyscallError("openat", err)
		}
	}
}

// create makes a new file, which can be read back too.
func (f *folder) create(base string, perm fs.FileMode) (outFile, error) {
	fd, err := f.openat(base, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, perm)
	return outFile{fd}, err
}

func (f *folder) remove(base string) error {
	return os.NewSyscallError("unlinkat", unix.Unlinkat(f.fd, base, 0))
}

// mkdir makes a new directory of the mode that most have, and in any case one that its owner can use. The umask is the
// process's.
func (f *folder) mkdir(base string, umask fs.FileMode) error {
	if err := unix.Mkdirat(f.fd, base, uint32(permissions)); err != nil {
		return os.NewSyscallError("mkdirat", err)
	}
	if umask&0o700 == 0 {
		return nil
	}
	return os.NewSyscallError("fchmodat", unix.Fchmodat(f.fd, base, 0o700, 0)) // made just now, so no symlink
}

func (f *folder) symlink(target, base string) error {
	return os.NewSyscallError("symlinkat", unix.Symlinkat(target, f.fd, base))
}

// link makes base another name of an entry of from, which is not followed.
func (f *folder) link(from *folder, entry, base string) error {
	return os.NewSyscallError("linkat", unix.Linkat(from.fd, entry, f.fd, base, 0))
}

// chmodDir sets the mode of a directory in f.
func (f *folder) chmodDir(base string, perm fs.FileMode) error {
	fd, err := f.openat(base, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(os.NewSyscallError("fchmod", unix.Fchmod(fd, uint32(perm))), unix.Close(fd))
}

// setTime sets the modification time of the entry base, not of what it points to. The zero time changes nothing.
func (f *folder) setTime(base string, t time.Time) error {
	if t.IsZero() {
		return nil
	}
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	err = unix.UtimesNanoAt(f.fd, base, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	return os.NewSyscallError("utimensat", err)
}

// outFile is a file that is written. The runtime need not know of it: writing to a file never waits.
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

func (f outFile) chmod(perm fs.FileMode) error {
	return os.NewSyscallError("fchmod", unix.Fchmod(f.fd, uint32(perm)))
}

func (f outFile) close() error { return os.NewSyscallError("close", unix.Close(f.fd)) }
