package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// UserOf returns a process that has the directory at path, or one below it, as its working or root
// directory, or open; 0 is none. Of processes that this user may not look at, nothing is known:
// they belong to others, who may not write to the tree.
func (t *Place) UserOf(path string) (pid int, err error) {
	dir, err := t.Files.OpenDir(path)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	top, err := dir.Stat()
	if err != nil {
		return 0, err
	}
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir.File().Fd()))
	if err != nil {
		return 0, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		uses, err := usesDir(filepath.Join("/proc", entry.Name()), real, top)
		if uses || err != nil {
			return pid, err
		}
	}
	return 0, nil
}

// usesDir reports whether a process uses a directory. Its path counts, and for the directory itself
// what it is: in a container it has another path.
func usesDir(process, real string, top fs.FileInfo) (bool, error) {
	links := []string{"cwd", "root"}
	open, err := os.ReadDir(filepath.Join(process, "fd"))
	if !isHidden(err) {
		return false, err
	}
	for _, entry := range open {
		links = append(links, "fd/"+entry.Name())
	}
	for i, name := range links {
		link := filepath.Join(process, name)
		target, err := os.Readlink(link)
		if !isHidden(err) {
			return false, err
		}
		below := target == real || strings.HasPrefix(target, real+"/")
		if err != nil || !below && i > 1 {
			continue
		}
		info, err := os.Stat(link)
		if !isHidden(err) {
			return false, err
		}
		if err == nil && info.IsDir() && (below || os.SameFile(info, top)) {
			return true, nil
		}
	}
	return false, nil
}

// isHidden reports whether there is no error, or that of a process that has ended or is another
// user's.
func isHidden(err error) bool {
	return err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ESRCH)
}
