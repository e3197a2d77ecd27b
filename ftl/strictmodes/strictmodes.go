// Package strictmodes tells whether somebody else could exchange a file, as the option StrictModes
// of sshd does.
//
// Modes are half of the answer and owners are the other half: whoever owns a directory may change
// its mode, and whoever may write to a directory may exchange what is in it. A path is safe if the
// file and every directory from / to it belong to root or to the user who runs this, and nobody
// else may write to them. A sticky directory of root's, such as /tmp, is safe as a parent, since
// others can't rename what is in it.
package strictmodes

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// Error says which file or directory is unsafe, and how to mend it.
type Error struct {
	Path   string
	Reason string // what follows the path in a sentence, such as "belongs to app (mode 0755)"
	Remedy string // a command, without the path
}

func (e *Error) Error() string { return e.Path + " " + e.Reason }

// maxLinks bounds how many symbolic links a path may lead through, as the kernel does.
const maxLinks = 40

// parts returns the names in a path, ".." among them, as it may lead out of what a link points to.
func parts(path string) []string {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	return names
}

// CheckInfo checks one file by what Stat or Lstat said of it. The path is for the message. A sticky
// directory of root's is safe as a parent only. A symbolic link has no mode of its own. That a
// group may write is safe where the group is root's, or the private one of a user other than root.
func CheckInfo(path string, info fs.FileInfo, parent bool) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("the owner of %s can't be told", path)
	}
	owner := int(stat.Uid)
	if owner != 0 && owner != os.Geteuid() {
		return &Error{path, "belongs to others (" + whose(info) + ")", sudo(info) + "chown root"}
	}
	if info.Mode()&fs.ModeSymlink != 0 || parent && isSticky(info) {
		return nil
	}
	perm := info.Mode().Perm()
	if perm&0o002 != 0 || perm&0o020 != 0 && stat.Gid != 0 && !isPrivate(stat.Gid) {
		return &Error{path, "can be written to by others (" + whose(info) + ")", sudo(info) + "chmod go-w"}
	}
	return nil
}

// isSticky reports whether a directory is like /tmp: others can't rename in it what is not theirs.
func isSticky(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == 0 && info.Mode()&fs.ModeSticky != 0
}

// whose names the owner, the group and the mode of a file.
func whose(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Mode().String()
	}
	owner, group := "user "+strconv.Itoa(int(stat.Uid)), "group "+strconv.Itoa(int(stat.Gid))
	if account, err := user.LookupId(strconv.Itoa(int(stat.Uid))); err == nil {
		owner = account.Username
	}
	if known, err := user.LookupGroupId(strconv.Itoa(int(stat.Gid))); err == nil {
		group = known.Name
	}
	return fmt.Sprintf("%s:%s, mode %04o", owner, group, stat.Mode&0o7777)
}

// sudo comes before a command that only another user, or root, may give.
func sudo(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() == 0 || ok && int(stat.Uid) == os.Geteuid() {
		return ""
	}
	return "sudo "
}

// isPrivate reports whether a group is that which a user has for himself, as many systems make one
// for each. Root has none: what is root's has to be nobody else's.
func isPrivate(gid uint32) bool {
	if os.Geteuid() == 0 || int(gid) != os.Getegid() {
		return false
	}
	account, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil || account.Gid != strconv.Itoa(int(gid)) {
		return false
	}
	group, err := user.LookupGroupId(account.Gid)
	return err == nil && group.Name == account.Username
}
