// Package access says who may do what with ftl serve.
//
// A right is a grant: a token, of which only the SHA-256 is kept; the secret of a webhook, which
// has to be kept as it is; or a user that a proxy names. Each has a role and the packages that it
// may act on. All are in one file of a directory that belongs to serve alone, and not in the
// bucket: whoever can write there could make tokens.
//
// The file is read again as soon as it changes, so a token that is revoked is good for nothing from
// then on, nor are the sessions that were begun with it. What can't be read gives no right to
// anybody.
package access

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/rhettg/ftl/revision"
)

// Role says what somebody may do. Each includes the ones below it; the zero value may do nothing.
type Role int

// The roles. View sees every package. Stop may halt a rollout. Deploy may bless, go back, resume,
// advance, finish and release. Admin may do so with every package, and sees the list of grants.
const (
	View Role = iota + 1
	Stop
	Deploy
	Admin
)

var roleNames = []string{"none", "view", "stop", "deploy", "admin"}

// Roles returns the roles that a grant may have, the least one first.
func Roles() []Role { return []Role{View, Stop, Deploy, Admin} }

// ParseRole returns the role with this name.
func ParseRole(name string) (Role, error) {
	if i := slices.Index(roleNames, name); i > 0 {
		return Role(i), nil
	}
	return 0, fmt.Errorf("%q is none of the roles view, stop, deploy and admin", name)
}

func (r Role) String() string {
	if r < 0 || int(r) >= len(roleNames) {
		return "none"
	}
	return roleNames[r]
}

// MarshalText is String.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRole, but takes the zero value too.
func (r *Role) UnmarshalText(text []byte) (err error) {
	if *r = 0; string(text) != "none" {
		*r, err = ParseRole(string(text))
	}
	return err
}

// Who is whoever a request is of. The zero value is nobody in particular, who may do nothing.
type Who struct {
	Name     string // the label of a token, or what the proxy says; "" for nobody in particular
	Kind     Kind
	ID       string // of the grant; "" for a user without one
	Role     Role
	Packages []string // patterns of the packages to act on
}

// MaySee reports whether somebody may look at the fleet.
func (w Who) MaySee() bool { return w.Role >= View }

// May reports whether somebody may do with a package what needs a role. To see needs no package.
func (w Who) May(role Role, pkg revision.Package) bool {
	switch {
	case w.Role < role || role < View:
		return false
	case w.Role >= Admin || role == View:
		return true
	}
	return slices.ContainsFunc(w.Packages, func(pattern string) bool {
		matched, err := path.Match(pattern, pkg.String())
		return err == nil && matched
	})
}

// By is who, as the marker says it.
func (w Who) By() string { return "serve:" + w.Name }

// checkPackages refuses patterns that name no package.
func checkPackages(role Role, patterns []string) error {
	if len(patterns) == 0 && (role == Stop || role == Deploy) {
		return fmt.Errorf("the role %s acts on packages, and none are named", role)
	}
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("%q is no pattern for names of packages", pattern)
		}
	}
	return nil
}

// ErrUnknown says that a secret is not one of ours, whatever the reason.
var ErrUnknown = errors.New("unknown, expired or revoked")
