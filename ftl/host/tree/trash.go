package tree

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/rhettg/ftl/revision"
)

// DiscardLimit is how long an interrupted command deletes what it leaves: a tree can be large, and
// the next sync goes on with that.
const DiscardLimit = time.Second

// GoneName is the name of a directory while it is deleted: it begins with a dot, so it is that of
// no package and of no revision.
func GoneName(name string) string { return "." + name + goneInfix + rand.Text() }

const goneInfix = ".removed."

// IsGone reports whether GoneName has made a name, of one that is valid.
func IsGone(name string, valid func(string) bool) bool {
	was, text, found := strings.Cut(strings.TrimPrefix(name, "."), goneInfix)
	return found && valid(was) && name[0] == '.' && len(text) == len(rand.Text()) && strings.Trim(text, base32) == ""
}

// IsPackage reports whether a name is that of a package.
func IsPackage(name string) bool {
	_, err := revision.ParsePackage(name)
	return err == nil
}

// base32 is the alphabet of rand.Text.
const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
