package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// checkInterval is the time between two tries of a check. It is a variable so
// that a test need not wait.
var checkInterval = time.Second

// shipsCheck reports whether a revision has a check. One that can't be looked
// up counts: it then fails as a check.
func (l *locked) shipsCheck(r revision.Revision) bool { return l.ships(l.State, r, ftl.Check) }

// runCheck runs the check of a revision again and again until it passes, or the
// time for it is over. What is returned then is what the last try said.
func (l *locked) runCheck(ctx context.Context, run hookRun, of revision.Revision) error {
	run.name, run.of, run.quiet = ftl.Check, of, true
	run.extra = []string{"FTL_CHECK_TIMEOUT=" + l.host.checkTimeout().String()}
	l.beginHook(&run)
	err := l.checkUntil(ctx, run, time.Now().Add(l.host.checkTimeout()))
	l.reportHook(ctx, run, err)
	return err
}

func (l *locked) checkUntil(ctx context.Context, run hookRun, deadline time.Time) error {
	for {
		run.timeout = max(time.Until(deadline), time.Millisecond)
		var process hooks.Process
		run.process = &process
		err := l.runHook(ctx, run)
		exit, ran := errors.AsType[*hooks.ExitError](err)
		if err == nil || !ran || interrupted(err) {
			return err
		}
		if !exit.TimedOut && (exit.Signal == syscall.SIGTERM || l.WasInterrupted(process)) {
			return err // somebody does not want to wait
		}
		if exit.TimedOut || time.Until(deadline) < checkInterval {
			return &ftl.Error{
				Kind: ftl.HookFailed, Hint: "its output: " + l.HookLog(run.of, ftl.Check),
				Err: fmt.Errorf("%s did not pass its check within %v: %w", run.of, l.host.checkTimeout(), err),
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("check of %s: %w; the next sync goes on", run.of, context.Cause(ctx))
		case <-time.After(checkInterval):
		}
		run.attempt++
	}
}

// mustReach reports whether the bucket has to answer at the end of a phase: after the jump of a
// sync that has read it. That the bucket is down by itself is no reason to go back, so a sync that
// could not read it does not ask, nor does whoever asks again later whether a revision works.
func (l *locked) mustReach(r rule) bool {
	return l.host.Reach != nil && l.read != nil && r.hook == ftl.Check && !r.back && l.State.Jump.Rounds > 0
}

// reachBucket asks the bucket until it answers, or the time of a check is over. That it denies
// something is an answer.
func (l *locked) reachBucket(ctx context.Context, of revision.Revision) error {
	limited, stop := context.WithTimeout(ctx, l.host.checkTimeout())
	defer stop()
	for {
		err := l.host.Reach(limited)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("check of %s: %w; the next sync goes on", of, context.Cause(ctx))
		case err == nil || errors.Is(err, fs.ErrPermission):
			return nil
		case limited.Err() == nil:
			select {
			case <-limited.Done():
			case <-time.After(checkInterval):
				continue
			}
		}
		l.cutOff = true
		return &ftl.Error{
			Kind: ftl.HookFailed, Hint: "it answered before the jump; not to ask: FTL_CHECK_BUCKET=no",
			Err: fmt.Errorf("the bucket does not answer since %s is active, for %v: %w", of, l.host.checkTimeout(), err),
		}
	}
}

func (h *Host) checkTimeout() time.Duration {
	if h.CheckTimeout == 0 {
		return DefaultCheckTimeout
	}
	return h.CheckTimeout
}
