package catalog

import (
	"fmt"
	"strings"

	"github.com/rhettg/ftl/store"
)

// Role is what somebody does with a bucket.
type Role string

// The roles, each of which needs other rights.
const (
	RoleHost     Role = "host"      // follows blessings, and tells how it is
	RoleBuildBox Role = "build-box" // spools
	RoleOperator Role = "operator"  // blesses, and removes
)

// Roles are all of them.
func Roles() []Role { return []Role{RoleHost, RoleBuildBox, RoleOperator} }

// ParseRole returns the role that is called so.
func ParseRole(name string) (Role, error) {
	var names []string
	for _, role := range Roles() {
		if string(role) == name {
			return role, nil
		}
		names = append(names, string(role))
	}
	return "", fmt.Errorf("%q is no role: %s", name, strings.Join(names, ", "))
}

// Policy returns the least that a role needs. A host is called node in keys: a name, a variable of
// policies, or * for any.
//
// It may list the whole bucket, whatever the prefix: only to whoever may do that without a
// condition S3 says of an object that it is absent, and anything else is never taken for that. A
// Deny is a pattern of what exists beside the rest, as no pattern says "all but".
func (r Role) Policy(place store.Place, node string) store.Policy {
	all := place.Resources("*")
	list := store.Allow([]string{place.Resource()}, store.ListObjects)
	switch r {
	case RoleHost:
		return store.NewPolicy(list,
			store.Allow(all, store.GetObject),
			store.Allow(place.Resources(reportPrefix+node, allVotes+"*/"+node, allSlots+"*"), store.PutObject),
			store.Deny(place.Resources(reportPrefix+"*"), store.GetObject))
	case RoleBuildBox:
		statements := []store.Statement{list, store.Allow(all, store.GetObject, store.AbortUpload)}
		statements = append(statements, place.AllowCreate("*")...)
		if place.Amazon() {
			statements = append(statements, store.Allow(place.Resources(EpochKey, store.ConditionsKey), store.PutObject))
		}
		// Below ours there are the epoch and the probe of conditions, and directories.
		return store.NewPolicy(append(statements, store.Deny(place.Resources("*"+markerSuffix, ours+"*/*"), store.PutObject))...)
	}
	return store.NewPolicy(list, store.Allow(all, store.GetObject, store.PutObject, store.DeleteObject, store.AbortUpload))
}

// Probes are keys to which the same statements of a policy apply as to what a host or an operator
// writes. They are of a package that no package can be called, so whatever is there means nothing.
type Probes struct{ Vote, Slot, Marker string }

// ProbesOf returns the probes of a host.
func ProbesOf(node Node) Probes {
	const nobody = "_"
	return Probes{Vote: allVotes + nobody + "/0/out/0/" + node.String(), Slot: allSlots + nobody + "/1", Marker: nobody + markerSuffix}
}
