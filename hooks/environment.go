package hooks

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Inheritance says which variables of ftl's own environment a hook gets. The
// zero value is all of them but the secrets: credentials of the bucket, keys and
// whatever leads to them. A hook is somebody else's program, and so are the
// daemons that it starts.
type Inheritance struct {
	only  bool     // nothing but names and what every program needs
	names []string // variables that the hook gets, also where they are secret
}

const only = "only:"

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ParseInheritance reads an inheritance. "NAME,NAME" lets secrets through;
// "only:NAME,NAME" gives these, PATH, HOME, LANG, FTL_* and nothing else.
func ParseInheritance(text string) (Inheritance, error) {
	list, isOnly := strings.CutPrefix(text, only)
	in := Inheritance{only: isOnly}
	if list == "" {
		return in, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if !variableName.MatchString(name) {
			return Inheritance{}, fmt.Errorf("%q is not the name of a variable", name)
		}
		in.names = append(in.names, name)
	}
	return in, nil
}

// secrets are the variables that hold a secret or lead to one.
var secrets = names{
	exact: []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_ACCESS_KEY", "AWS_SECRET_KEY", // which the SDK reads as well
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS",
		"FTL_SIGN_KEY",
	},
	prefixes: []string{"FTL_SERVE_", "FTL_NOTIFY"},
}

// ofOneHook are the variables that ftl tells a hook about that hook. Another
// one that is run from within it must not take them for its own. The user's
// FTL_BUCKET, FTL_ROOT and the like are for everyone.
var ofOneHook = names{
	exact: []string{
		"FTL_HOOK", "FTL_PACKAGE", "FTL_REVISION", "FTL_REVISION_DIR", "FTL_CURRENT", "FTL_OLD_REVISION",
		"FTL_NEW_REVISION", "FTL_REASON", "FTL_PACKAGE_DIR", "FTL_SHARED_DIR", "FTL_ATTEMPT", "FTL_RECOVERY",
		"FTL_VERSION", "FTL_FAILED_HOOK", "FTL_EXIT_STATUS",
	},
	prefixes: []string{"FTL_PARAM_"},
}

// everyProgram are the variables that no program can do without.
var everyProgram = names{exact: []string{"PATH", "HOME", "LANG"}, prefixes: []string{"FTL_"}}

// names is a set of variables.
type names struct{ exact, prefixes []string }

func (n names) has(name string) bool {
	return slices.Contains(n.exact, name) ||
		slices.ContainsFunc(n.prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// passes reports whether a hook gets a variable of ftl's own environment.
func (in Inheritance) passes(name string) bool {
	switch {
	case ofOneHook.has(name):
		return false
	case slices.Contains(in.names, name):
		return true
	case secrets.has(name):
		return false
	}
	return !in.only || everyProgram.has(name)
}

// environment returns the environment of a hook: what it inherits, and what is
// added. Of two values of a variable the later one counts. PWD is up to the
// shell at the gate.
func (in Inheritance) environment(added []string) []string {
	path := ""
	env := slices.DeleteFunc(os.Environ(), func(keyValue string) bool {
		name, value, _ := strings.Cut(keyValue, "=")
		if name == "PATH" {
			path = value
		}
		return !in.passes(name)
	})
	env = append(env, "PATH="+withSystemPrograms(path, ownDirectory()))
	return append(env, added...)
}

// ownDirectory is where the running program is, for a hook that calls ftl.
func ownDirectory() string {
	program, err := os.Executable()
	if err != nil {
		return "" // the hook finds another one, or says that there is none
	}
	return filepath.Dir(program)
}

// withSystemPrograms returns a search path with the directories in which the
// programs are that start and stop services, and ftl itself. Cron has a path
// without them.
func withSystemPrograms(path, own string) string {
	if path == "" {
		path = "/usr/local/bin:/usr/bin:/bin"
	}
	dirs := strings.Split(path, ":")
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/sbin", own} {
		if dir != "" && !slices.Contains(dirs, dir) {
			path += ":" + dir
		}
	}
	return path
}
