package host

import (
	"context"
	"errors"
	"fmt"
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

func (h *Host) checkTimeout() time.Duration {
	if h.CheckTimeout == 0 {
		return DefaultCheckTimeout
	}
	return h.CheckTimeout
}
