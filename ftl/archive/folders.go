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
// instead of its path.
type folders struct {
	stage  *os.Root
	recent []*folder
}

// folder is an open directory of the stage.
type folder struct {
	name string
	root *os.Root // makes entries, by their last component
	file *os.File // the same directory, for calls that os.Root lacks
	fd   int
}

// open returns the directory name, which has to exist with its parents. The folder is open until two others were asked
// for, at least.
func (s *folders) open(name string) (*folder, error) {
	for i, f := range s.recent {
		if f.name == name {
			copy(s.recent[1:i+1], s.recent[:i])
			s.recent[0] = f
			return f, nil
		}
	}
	f, err := s.openNew(name)
	if err != nil {
		return nil, err
	}
	if len(s.recent) == openFolders {
		s.recent[openFolders-1].close()
		s.recent = s.recent[:openFolders-1]
	}
	s.recent = slices.Insert(s.recent, 0, f)
	return f, nil
}

func (s *folders) openNew(name string) (*folder, error) {
	if name == "." {
		root, err := s.stage.OpenRoot(".")
		return newFolder(name, root, err)
	}
	dir, base := split(name)
	parent, err := s.open(dir)
	if err != nil {
		return nil, err
	}
	root, err := parent.root.OpenRoot(base)
	if errors.Is(err, fs.ErrPermission) { // made under a umask that takes the owner's own bits away
		if err = parent.root.Chmod(base, 0o700); err == nil {
			root, err = parent.root.OpenRoot(base)
		}
	}
	return newFolder(name, root, err)
}

func newFolder(name string, root *os.Root, err error) (*folder, error) {
	if err != nil {
		return nil, err
	}
	file, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &folder{name: name, root: root, file: file, fd: int(file.Fd())}, nil
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

func (f *folder) close() {
	f.root.Close()
	f.file.Close()
}

func (s *folders) close() {
	for _, f := range s.recent {
		f.close()
	}
	s.recent = nil
}
