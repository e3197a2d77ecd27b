package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// hookRun says which hook to run, and what to tell it.
type hookRun struct {
	name     hooks.Name
	of       revision.Revision // that brings the script
	old, new revision.Revision // that a jump leaves and goes to; zero outside of one
	reason   reason
	attempt  int // from 1
	recovery bool
	timeout  time.Duration // 0 is the host's
	quiet    bool          // report nothing, and don't run the failed hook
	extra    []string      // of the environment

	began  time.Time // set when it is about to run
	logged int64     // how long its log was then
}

// runHook runs one hook of a revision, under a lock that is held. A revision
// without this hook is no error. A hook that fails is ftl.HookFailed; one that
// was ended because ctx is done wraps ctx's error.
func (p *pkg) runHook(ctx context.Context, l *lock, st *state, run hookRun) error {
	if st.Ready[run.of].File {
		return nil
	}
	script, err := hooks.Find(p.revisionDir(run.of), run.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &ftl.Error{Kind: ftl.HookFailed, Err: err}
	}
	err = p.withReserve(func() error { return os.Mkdir(p.shared(), 0o755) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	environment, err := p.hookEnvironment(run)
	if err != nil {
		return err
	}

	if !run.quiet {
		p.beginHook(&run)
	}
	options := hooks.Options{
		Revision: run.of.String(),
		Env:      environment,
		Log:      p.hookLog(run.of, run.name),
		Output:   p.hookOutput(run),
		Timeout:  cmp.Or(run.timeout, p.host.hookTimeout()),
		Started:  func(process hooks.Process) error { return l.enterHook(process, run.name, run.of) },
	}
	// An error of the disk means that the hook did not run.
	err = p.withReserve(func() error { return script.Run(ctx, options) })
	if left := l.leaveHook(); err == nil {
		err = left
	}
	if err != nil {
		err = p.hookError(run, err)
	}
	if !run.quiet {
		p.reportHook(ctx, l, st, run, err)
	}
	return err
}

// beginHook tells that a hook is about to run.
func (p *pkg) beginHook(run *hookRun) {
	run.began = time.Now()
	if info, err := os.Lstat(p.hookLog(run.of, run.name)); err == nil {
		run.logged = info.Size()
	}
	p.report(ftl.Event{Revision: run.of, Step: ftl.Step(run.name), State: ftl.Running})
}

// reportHook tells how a hook ended, and runs the failed hook where it failed.
func (p *pkg) reportHook(ctx context.Context, l *lock, st *state, run hookRun, err error) {
	event := ftl.Event{Revision: run.of, Step: ftl.Step(run.name), State: ftl.Success}
	if err != nil {
		event.State, event.Message = ftl.Failure, err.Error()
	}
	p.reportAs(event, details{
		from: run.old, reason: run.reason, took: time.Since(run.began),
		output: hooks.TailLog(p.hookLog(run.of, run.name), run.logged),
	})
	if err != nil && !interrupted(err) && !notNow(err) {
		p.runFailed(ctx, l, st, run, err)
	}
}

// runFailed runs the failed hook of a revision, for whoever wants to be told.
// It is best effort, and never hides what it is about.
func (p *pkg) runFailed(ctx context.Context, l *lock, st *state, failed hookRun, cause error) {
	status := 1
	if exit, ok := errors.AsType[*hooks.ExitError](cause); ok {
		status = exit.Code
	}
	run := failed
	run.name, run.quiet, run.timeout = hooks.Failed, true, 0
	run.extra = []string{"FTL_FAILED_HOOK=" + string(failed.name), fmt.Sprintf("FTL_EXIT_STATUS=%d", status)}
	if err := p.runHook(ctx, l, st, run); err != nil {
		p.host.warn("%s: %v", p.name, err)
	}
}

func (p *pkg) hookError(run hookRun, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if notNow(err) {
		return ftl.Errorf(ftl.HookFailed, "try again later; sync does", "%s of %s says not now: %w", run.name, run.of, err)
	}
	if diskFailed(err) {
		return err
	}
	return &ftl.Error{Kind: ftl.HookFailed, Hint: "its output: " + p.hookLog(run.of, run.name), Err: err}
}

// interrupted reports whether an error is due to the end of the context, and
// not to what was going on.
func interrupted(err error) bool { return errors.Is(err, context.Canceled) }

// hookFailed reports whether an error is that of a hook, or what came of it.
func hookFailed(err error) bool {
	failure, ok := errors.AsType[*ftl.Error](err)
	return ok && (failure.Kind == ftl.HookFailed || failure.Kind == ftl.RolledBack || failure.Kind == ftl.Inconsistent)
}

// diskFailed reports whether a hook could not be run because the disk is full,
// broken or read-only. That is nothing to hold against the revision: no delay is
// kept before the next try.
func diskFailed(err error) bool {
	return isFull(err) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EROFS)
}

// notNow reports whether a pre-jump asked to be tried again later.
func notNow(err error) bool {
	exit, ok := errors.AsType[*hooks.ExitError](err)
	return ok && exit.Hook == hooks.PreJump && exit.Code == hooks.NotNow && !exit.TimedOut
}

// hookEnvironment is what a hook is told, on top of what ftl itself was.
func (p *pkg) hookEnvironment(run hookRun) ([]string, error) {
	root, err := filepath.Abs(p.host.Root)
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(p.revisionDir(run.of))
	if err != nil {
		return nil, err
	}
	recovery := ""
	if run.recovery {
		recovery = "1"
	}
	dir := filepath.Join(root, p.name.String())
	return append([]string{
		"FTL_HOOK=" + string(run.name),
		"FTL_PACKAGE=" + p.name.String(),
		"FTL_REVISION=" + run.of.String(),
		"FTL_REVISION_DIR=" + real,
		"FTL_CURRENT=" + filepath.Join(dir, "current"),
		"FTL_OLD_REVISION=" + run.old.String(),
		"FTL_NEW_REVISION=" + run.new.String(),
		"FTL_REASON=" + string(run.reason),
		"FTL_PACKAGE_DIR=" + dir,
		"FTL_SHARED_DIR=" + filepath.Join(dir, "shared"),
		"FTL_ROOT=" + root,
		"FTL_NODE=" + p.host.Node,
		fmt.Sprintf("FTL_ATTEMPT=%d", run.attempt),
		"FTL_RECOVERY=" + recovery,
		"FTL_VERSION=" + p.host.Version,
	}, run.extra...), nil
}

func (p *pkg) hookLog(r revision.Revision, name hooks.Name) string {
	return filepath.Join(p.logs(), r.ID()+"."+string(name)+".log")
}

func (h *Host) hookTimeout() time.Duration {
	if h.HookTimeout == 0 {
		return DefaultHookTimeout
	}
	return h.HookTimeout
}

func (h *Host) lockWait() time.Duration {
	if h.LockWait == 0 {
		return DefaultLockWait
	}
	return h.LockWait
}
