// Package hooks finds and runs the scripts that a revision brings along.
//
// A hook is an executable file of the revision, looked up under a few fixed
// paths ([Candidates], [Find]) and run in the revision's directory
// ([Script.Run]). It is somebody else's program, run unattended on every host
// of a fleet, and so these rules hold for each run:
//
//   - It never runs twice at the same time. The child is held at a gate until
//     the caller has recorded which [Process] it is; if ftl dies before that,
//     the hook never runs, and if it dies later, the next ftl can tell whether
//     the hook is still at work, wait for it or end it.
//   - It always ends. At a timeout, or when ftl itself is told to stop, the
//     hook's process group gets TERM and, after a grace, KILL.
//   - It may leave a daemon behind. Output goes to a file, never through a
//     pipe to ftl, and no descriptor of ftl's reaches the hook: a daemon
//     neither keeps ftl waiting nor keeps a lock, and can write to its log for
//     as long as it lives.
//   - It can fill neither disk nor memory with output. The log is cut while
//     the hook runs; see [Options].
//
// A hook is at least once: after a crash it may run again, and should bear it.
package hooks

// A Name is what a hook is called, and says when it runs.
type Name string

const (
	PostSync  Name = "post-sync"  // a revision has been unpacked: make it ready
	PreJump   Name = "pre-jump"   // about to become active; may exit with [NotNow]
	UnJump    Name = "un-jump"    // about to stop being active
	PostJump  Name = "post-jump"  // has become active
	PreRemove Name = "pre-remove" // about to be removed from the host
	Check     Name = "check"      // is the active revision healthy?
	Failed    Name = "failed"     // the revision has been given up
)

// NotNow is the exit code by which a pre-jump says that nothing is wrong but
// the jump should be tried again later (EX_TEMPFAIL of sysexits.h).
const NotNow = 75

// Names returns every hook there is.
func Names() []Name {
	return []Name{PostSync, PreJump, UnJump, PostJump, PreRemove, Check, Failed}
}

// Candidates returns the paths, relative to the top of a revision and with
// slashes, where a hook may be. The first that exists is the hook.
func Candidates(name Name) []string {
	switch name {
	case Check, Failed:
		return inFolder(name)
	case PostSync:
		const old = "post-spool" // what post-sync was called at first
		return append(anywhere(name), anywhere(old)...)
	}
	return anywhere(name)
}

func anywhere(name Name) []string { return append(inFolder(name), string(name)+".sh") }

func inFolder(name Name) []string {
	return []string{folder + "/" + string(name), folder + "/" + string(name) + ".sh"}
}

// folder is the directory of a revision that belongs to ftl.
const folder = "ftl"
