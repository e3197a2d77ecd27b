package host

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/rhettg/ftl/ftl"
)

// checkOwner refuses to change a tree as anybody else than its one owner, root
// too: what another user leaves behind, the owner could not change any more.
func (p *pkg) checkOwner() error {
	info, err := os.Stat(p.dir)
	if err != nil {
		return err
	}
	owner, ok := ownerOf(info)
	if !ok || owner == os.Geteuid() {
		return p.checkWriters()
	}
	name := "#" + strconv.Itoa(owner)
	if account, err := user.LookupId(strconv.Itoa(owner)); err == nil {
		name = account.Username
	}
	return ftl.Errorf(ftl.Refused, fmt.Sprintf("sudo -u %s -E %s", name, p.host.Command),
		"%s belongs to %s, not to the user who runs this", p.dir, name)
}

// checkWriters refuses, as root, a tree in which others could put a hook.
func (p *pkg) checkWriters() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, dir := range []string{p.host.Root, p.dir, p.revs(), p.meta()} {
		info, err := os.Stat(dir)
		if err != nil {
			continue // not made yet
		}
		if writableByOthers(info) {
			return ftl.Errorf(ftl.Refused, "chmod go-w "+quoted(dir), "%s can be written by others than root, who could run anything as root", dir)
		}
	}
	return nil
}

func writableByOthers(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	return info.Mode()&0o002 != 0 || info.Mode()&0o020 != 0 && stat.Gid != 0
}

func ownerOf(info fs.FileInfo) (int, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
