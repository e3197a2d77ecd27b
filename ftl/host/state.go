package host

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// state is what a host knows of a package beyond its tree. It is a file that is
// replaced as a whole, durably, by whoever holds the package's lock, and that
// anybody may read.
type state struct {
	Format int `json:"format"`
	// Ready are the revisions that can be jumped to.
	Ready map[revision.Revision]ready `json:"ready"`
	// Seen is the newest marker entry that was read, Acted the newest one that
	// is done with: flipped to, or already current, or overruled by hand.
	Seen  mark `json:"seen"`
	Acted mark `json:"acted"`
	// Deferred is the entry whose jump was last put off by its pre-jump.
	Deferred mark `json:"deferred,omitzero"`
	// Looked is set once a sync has read the master, also where nothing was
	// blessed there.
	Looked bool `json:"looked"`
	// Jump is the jump in flight, also one whose post-jump failed.
	Jump *flight `json:"jump,omitempty"`
	// Failures are those of hooks that sync tries again later.
	Failures []failure `json:"failures,omitempty"`
	// Rejected are the revisions that were activated, did not work, and were
	// left again. Sync takes none of them until it is blessed anew.
	Rejected map[revision.Revision]rejection `json:"rejected,omitempty"`
	// Inconsistent says why neither the new nor the old revision works, "" while
	// one does.
	Inconsistent string `json:"inconsistent,omitempty"`
	// Hold keeps sync from changing what is active; nil is no hold.
	Hold *Hold `json:"hold,omitempty"`
	// Removed is set when the package was removed from the host and only its
	// shared directory was kept.
	Removed bool `json:"removed,omitempty"`
}

const stateFormat = 1

type ready struct {
	Since time.Time `json:"since"`
	// File is set where the revision is one file, which has no hooks.
	File bool `json:"file,omitempty"`
}

// rejection says why a revision was left again.
type rejection struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Output string    `json:"output,omitempty"` // the last lines of the hook
}

// mark names a marker's entry.
type mark struct {
	Serial   int64             `json:"serial"`
	Revision revision.Revision `json:"revision"`
}

func markOf(entry master.Entry) mark { return mark{entry.Serial, entry.Revision} }

// after reports whether m is a newer entry than old. Entries of older buckets
// all have the serial 0: there another revision is a newer entry.
func (m mark) after(old mark) bool {
	if m.Serial != old.Serial || m == (mark{}) {
		return m.Serial > old.Serial
	}
	return m.Serial == 0 && m.Revision != old.Revision
}

// overruled is the serial of Acted where a person has chosen a revision before
// any sync has looked at the master: what is newest there is then done with.
const overruled = -1

// overrule makes what a person has chosen stand until the master changes.
func (s *state) overrule() {
	s.Acted = s.Seen
	if !s.Looked {
		s.Acted.Serial = overruled
	}
}

// look notes the master's newest entry, which is zero where nothing is blessed.
func (s *state) look(newest mark) {
	s.Looked = true
	if newest.after(s.Seen) {
		s.Seen = newest
	}
	if s.Acted.Serial == overruled {
		s.Acted = s.Seen
	}
}

// phase is how far a jump is. It is written before the phase begins.
type phase string

const (
	phasePreJump  phase = "pre-jump"
	phaseUnJump   phase = "un-jump"
	phaseSwap     phase = "swap"
	phasePostJump phase = "post-jump"
	phaseCheck    phase = "check"

	// The way back, when a revision that ships a check turned out not to work.
	phaseRevertUnJump   phase = "revert-un-jump"
	phaseRevertSwap     phase = "revert-swap"
	phaseRevertPostJump phase = "revert-post-jump"
	phaseRevertCheck    phase = "revert-check"
)

// known reports whether this ftl has the phase.
func (p phase) known() bool {
	switch p {
	case phasePreJump, phaseUnJump, phaseSwap, phasePostJump, phaseCheck,
		phaseRevertUnJump, phaseRevertSwap, phaseRevertPostJump, phaseRevertCheck:
		return true
	}
	return false
}

// flight is a jump that is not over.
type flight struct {
	To       revision.Revision `json:"to"`
	From     revision.Revision `json:"from"` // zero at the first jump
	Previous revision.Revision `json:"previous"`
	Phase    phase             `json:"phase"`
	Reason   reason            `json:"reason"`
	Mark     mark              `json:"mark"` // of the entry that asked for it; zero for a manual jump
	Started  time.Time         `json:"started"`
	// Tries is how often the hook of this phase was started, Rounds how often
	// post-jump was, whatever came after it.
	Tries  int `json:"tries"`
	Rounds int `json:"rounds,omitempty"`
	// Failed says why post-jump or the check failed, "" while neither has.
	Failed string `json:"failed,omitempty"`
	// Output are the last lines of the hook that failed.
	Output string `json:"output,omitempty"`
}

// flipped reports whether the jump has flipped the links and is not on its way
// back: what is left of it is superseded by a newer one.
func (f *flight) flipped() bool { return f.Phase == phasePostJump || f.Phase == phaseCheck }

// failed reports whether the jump is done but for its post-jump, which failed.
func (f *flight) failed() bool { return f != nil && f.Failed != "" }

// reason is why a hook runs, as it is told.
type reason string

const (
	reasonSync     reason = "sync"
	reasonJump     reason = "jump"
	reasonJumpBack reason = "jump-back"
	reasonRevert   reason = "revert"
	reasonRemove   reason = "remove"
)

// failure is a hook's that kept a revision from being ready or active.
type failure struct {
	Revision revision.Revision `json:"revision"`
	Hook     hooks.Name        `json:"hook"`
	Count    int               `json:"count"`
	At       time.Time         `json:"at"`
	Next     time.Time         `json:"next"`
	Seen     mark              `json:"seen"` // the newest entry then: another one is a reason to try at once
	Message  string            `json:"message"`
	Output   string            `json:"output,omitempty"` // its last lines
}

// outputOf returns the last lines of the hook that an error is about.
func outputOf(err error) string {
	if exit, ok := errors.AsType[*hooks.ExitError](err); ok {
		return exit.Tail
	}
	return ""
}

// wrongContent stands in a failure in the place of a hook, where what the bucket
// has of a revision is not what was spooled.
const wrongContent hooks.Name = "fetch"

// maxDelay is the longest time between two tries of a failing hook. The first
// is a minute, and each one doubles.
const maxDelay = time.Hour

// fail notes that a hook failed, and when it is due again.
func (s *state) fail(r revision.Revision, hook hooks.Name, err error, now time.Time) {
	next := failure{Revision: r, Hook: hook, At: now, Seen: s.Seen, Message: err.Error(), Output: outputOf(err)}
	if last := s.failure(r, hook); last != nil {
		next.Count = last.Count
	}
	delay := min(time.Minute<<min(next.Count, 10), maxDelay)
	next.Count++
	next.Next = now.Add(delay)
	s.succeed(r, hook)
	s.Failures = append(s.Failures, next)
}

// succeed forgets the failures of a hook.
func (s *state) succeed(r revision.Revision, hook hooks.Name) {
	s.Failures = slices.DeleteFunc(s.Failures, func(f failure) bool { return f.Revision == r && f.Hook == hook })
}

func (s *state) failure(r revision.Revision, hook hooks.Name) *failure {
	for i, f := range s.Failures {
		if f.Revision == r && f.Hook == hook {
			return &s.Failures[i]
		}
	}
	return nil
}

// waiting returns an error when the hook has failed before and it is too early
// for sync to try it again.
func (s *state) waiting(r revision.Revision, hook hooks.Name, now time.Time) error {
	f := s.failure(r, hook)
	// A clock that was set back must not make the wait longer than it ever is.
	if f == nil || f.Seen != s.Seen || !now.Before(f.Next) || f.Next.Sub(now) > maxDelay {
		return nil
	}
	kind := ftl.HookFailed
	if hook == wrongContent {
		kind = ftl.Refused
	}
	err := ftl.Errorf(kind, "to try at once: ftl jump "+r.String(),
		"%s (%d times, last at %s); the next try is at %s", f.Message, f.Count, f.At.Local().Format(time.TimeOnly), f.Next.Local().Format(time.TimeOnly))
	err.Waiting = true
	return err
}

func (s *state) isReady(r revision.Revision) bool {
	_, ok := s.Ready[r]
	return ok
}

// readyRevisions returns the ready revisions, oldest first.
func (s *state) readyRevisions() []revision.Revision {
	return slices.SortedFunc(maps.Keys(s.Ready), revision.Compare)
}

func sortRevisions(revisions []revision.Revision) { slices.SortFunc(revisions, revision.Compare) }
