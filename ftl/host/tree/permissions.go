package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/ftl/strictmodes"
)

// CheckOwner refuses to change a tree as anybody else than its one owner, root too: what another
// user leaves behind, the owner could not change any more. It refuses one in which others could put
// a hook too.
//
// What was checked is the tree that it returns.
func (t *Place) CheckOwner() (*directory.Tree, error) {
	if err := t.refuseForeign(t.Files); err != nil {
		return nil, err
	}
	safe, err := directory.OpenSafeTree(t.Dir)
	if err != nil {
		return nil, t.RefuseUnsafe(err)
	}
	if err := ftl.Join(t.refuseForeign(safe), t.RefuseUnsafe(t.checkBelow(safe))); err != nil {
		return nil, ftl.Join(err, safe.Close())
	}
	return safe, nil
}

// Refused returns why the tree must not be changed, nil where it may.
func (t *Place) Refused() error {
	safe, err := t.CheckOwner()
	if err != nil {
		return err
	}
	return safe.Close()
}

// refuseForeign refuses a tree of another user.
func (t *Place) refuseForeign(tree *directory.Tree) error {
	owner, err := tree.Owner()
	if err != nil || owner == os.Geteuid() {
		return err
	}
	name := AccountOf(owner)
	return ftl.Errorf(ftl.Refused, fmt.Sprintf("sudo -u %s -E %s", ftl.Quoted(name), t.Command),
		"%s belongs to %s, not to the user who runs this", t.Dir, name)
}

// AccountOf names a user.
func AccountOf(uid int) string {
	if account, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return account.Username
	}
	return "#" + strconv.Itoa(uid)
}

// checkBelow checks that nobody else could exchange a directory in the package's.
func (t *Place) checkBelow(tree *directory.Tree) error {
	dir, err := tree.OpenDir(t.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, below := range [][]string{{"revs", ".stage"}, {"revs", ".trash"}, {".ftl", "log"}} {
		if err := checkEach(dir, below); err != nil {
			return err
		}
	}
	return nil
}

// checkEach checks directories, each in the one before. One that is not made yet is safe.
func checkEach(dir *directory.Dir, names []string) error {
	below, err := dir.OpenSafeDir(names[0])
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer below.Close()
	if len(names) == 1 {
		return nil
	}
	return checkEach(below, names[1:])
}

// RefuseUnsafe makes a refusal of what is unsafe.
func (t *Place) RefuseUnsafe(err error) error {
	unsafe, ok := errors.AsType[*strictmodes.Error](err)
	switch {
	case ok:
		return ftl.Errorf(ftl.Refused, unsafe.Remedy+" "+ftl.Quoted(unsafe.Path), "%w: they could run anything as %s", unsafe, AccountOf(os.Geteuid()))
	case errors.Is(err, directory.ErrExchanged):
		return ftl.Errorf(ftl.Refused, "find out who does that", "%w", err)
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR):
		return ftl.Errorf(ftl.Refused, "find out who made it, then move it away", "%w: it should be a directory", err)
	}
	return err
}

// OwnerOf returns the user that a file belongs to, and false where that can't be told.
func OwnerOf(info fs.FileInfo) (int, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
