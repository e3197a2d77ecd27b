package tree

import (
	"fmt"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// Failure is a hook's that kept a revision from being ready or active.
type Failure struct {
	Revision revision.Revision `json:"revision"`
	Hook     ftl.Step          `json:"hook"`
	Count    int               `json:"count"`
	At       time.Time         `json:"at"`
	Next     time.Time         `json:"next"`
	Seen     Mark              `json:"seen"` // the newest entry then: another one is a reason to try at once
	Message  string            `json:"message"`
	// ByHand is set where a jump by hand came to nothing by it.
	ByHand bool `json:"by_hand,omitempty"`
}

// maxDelay is the longest time between two tries of a failing hook. The first
// is a minute, and each one doubles.
const maxDelay = time.Hour

// Fail notes that a hook failed, and when it is due again.
func (s *State) Fail(r revision.Revision, hook ftl.Step, err error, now time.Time) {
	next := Failure{Revision: r, Hook: hook, At: now, Seen: s.Seen, Message: err.Error()}
	if last := s.Failures.Of(r, hook); last != nil {
		next.Count = last.Count
	}
	delay := min(time.Minute<<min(next.Count, 10), maxDelay)
	next.Count++
	next.Next = now.Add(delay)
	s.Succeed(r, hook)
	s.Failures = append(s.Failures, next)
}

// Succeed forgets the failures of a hook.
func (s *State) Succeed(r revision.Revision, hook ftl.Step) {
	s.Failures = slices.DeleteFunc(s.Failures, func(f Failure) bool { return f.Revision == r && f.Hook == hook })
}

// Failures are those that sync tries again later, one of each hook of each revision.
type Failures []Failure

// Of returns the failure of a hook of a revision, nil where there is none.
func (f Failures) Of(r revision.Revision, hook ftl.Step) *Failure {
	for i, failure := range f {
		if failure.Revision == r && failure.Hook == hook {
			return &f[i]
		}
	}
	return nil
}

// ForGood reports whether a revision failed before it became active in a way that says something of
// it.
func (f Failures) ForGood(r revision.Revision) bool {
	return slices.ContainsFunc(f, func(failure Failure) bool {
		return failure.Revision == r && (failure.Hook == ftl.Fetch || failure.Count >= 2)
	})
}

// forgetByHand forgets the jumps by hand that came to nothing: something else was chosen.
func (f *Failures) forgetByHand() {
	*f = slices.DeleteFunc(*f, func(failure Failure) bool { return failure.ByHand })
}

// Waiting returns an error when the hook has failed before and it is too early
// for sync to try it again.
func (s *State) Waiting(r revision.Revision, hook ftl.Step, now time.Time) error {
	f := s.Failures.Of(r, hook)
	// A clock that was set back must not make the wait longer than it ever is.
	if f == nil || f.Seen != s.Seen || !now.Before(f.Next) || f.Next.Sub(now) > maxDelay {
		return nil
	}
	kind := ftl.HookFailed
	if hook == ftl.Fetch {
		kind = ftl.Refused
	}
	hint := "to try at once: ftl jump " + r.String()
	if r != s.Seen.Revision { // a jump would activate what nobody has blessed
		hint = "it is not blessed, so nothing waits for it; what its hooks printed: ftl log --output " + r.Package().String()
	}
	err := ftl.Errorf(kind, hint,
		"%s (%d times, last at %s); the next try is at %s", f.Message, f.Count, ftl.Clock(f.At), ftl.Clock(f.Next))
	err.Waiting = true
	return err
}

// FetchDue returns an error when it is too early for sync to fetch a revision again.
func (s *State) FetchDue(r revision.Revision, now time.Time) error {
	if err := s.Waiting(r, ftl.PostSync, now); err != nil {
		return err
	}
	return s.Waiting(r, ftl.Fetch, now)
}

// Times says how often something was.
func Times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// SayByHand says that a jump by hand came to nothing.
func (f Failure) SayByHand() string {
	return fmt.Sprintf("the jump to %s by hand failed, at %s: %s", f.Revision, ftl.Clock(f.At), f.Message)
}
