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
func (p *pkg) shipsCheck(st *state, r revision.Revision) bool { return p.ships(st, r, hooks.Check) }

// runCheck runs the check of a revision again and again until it passes, or the
// time for it is over. What is returned then is what the last try said.
func (p *pkg) runCheck(ctx context.Context, l *lock, st *state, run hookRun, of revision.Revision) error {
	run.name, run.of, run.quiet = hooks.Check, of, true
	p.beginHook(&run)
	err := p.checkUntil(ctx, l, st, run, time.Now().Add(p.host.checkTimeout()))
	p.reportHook(ctx, l, st, run, err)
	return err
}

func (p *pkg) checkUntil(ctx context.Context, l *lock, st *state, run hookRun, deadline time.Time) error {
	for {
		run.timeout = max(time.Until(deadline), time.Millisecond)
		err := p.runHook(ctx, l, st, run)
		exit, ran := errors.AsType[*hooks.ExitError](err)
		if err == nil || !ran || interrupted(err) {
			return err
		}
		if ended := exit.Signal == syscall.SIGTERM || exit.Code == 128+int(syscall.SIGTERM); ended && !exit.TimedOut {
			return err // by --interrupt, or somebody else who does not want to wait
		}
		if exit.TimedOut || time.Until(deadline) < checkInterval {
			return &ftl.Error{
				Kind: ftl.HookFailed, Hint: "its output: " + p.hookLog(run.of, hooks.Check),
				Err: fmt.Errorf("%s did not pass its check within %v: %w", run.of, p.host.checkTimeout(), err),
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("check of %s: %w; the next sync goes on", run.of, ctx.Err())
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
