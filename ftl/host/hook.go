package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rhettg/ftl/ftl/host/tree"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// hookRun says which hook to run, and what to tell it.
type hookRun struct {
	name     ftl.Step
	of       revision.Revision // that brings the script
	old, new revision.Revision // that a jump leaves and goes to; zero outside of one
	reason   tree.Reason
	attempt  int // from 1
	recovery bool
	timeout  time.Duration // 0 is the host's
	quiet    bool          // report nothing, and don't run the failed hook
	extra    []string      // of the environment
	params   catalog.Params
	asked    bool // it has said "not now" before
	byHand   bool // a person runs this hook, and no other

	process *hooks.Process // set to the hook's when it has started, unless nil

	began  time.Time // set when it is about to run
	logged int64     // how long its log was then
}

// runHook runs one hook of a revision, under a lock that is held: that of a
// jump, or the one of the sync for a post-sync. A revision without this hook is
// not an error. A hook that fails is ftl.HookFailed; one that was ended because
// ctx is done wraps ctx's error.
func (l holding) runHook(ctx context.Context, run hookRun) error {
	p := l.pkg
	dir, err := p.OpenRevision(run.of)
	if err != nil {
		return &ftl.Error{Kind: ftl.HookFailed, Err: fmt.Errorf("find %s of %s: %w", run.name, run.of, err)}
	}
	defer dir.Close()
	script, err := hooks.Find(dir.File(), hooks.Name(run.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &ftl.Error{Kind: ftl.HookFailed, Err: err}
	}
	err = p.WithReserve(func() error { return p.Files.Mkdir(p.Shared(), 0o750) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	environment, err := l.hookEnvironment(run)
	if err != nil {
		return err
	}

	if !run.quiet {
		l.beginHook(&run)
	}
	options := p.hookOptions(run)
	options.Env = environment
	options.Started = func(process hooks.Process) error {
		if run.process != nil {
			*run.process = process
		}
		return l.held.EnterHook(process, run.name, run.of)
	}
	var held *heldOutput
	if run.asked {
		held = holdBack(&options)
	}
	err = l.runScript(ctx, script, run, options)
	if held != nil {
		held.end(err)
	}
	if left := l.held.LeaveHook(); err == nil {
		err = left
	}
	if err != nil {
		err = l.hookError(run, err)
	}
	if !run.quiet {
		l.reportHook(ctx, run, err)
	}
	return err
}

// hookOptions are what the hooks of a revision have in common.
func (p *pkg) hookOptions(run hookRun) hooks.Options {
	return hooks.Options{
		Revision: run.of.String(),
		Inherit:  p.host.HookEnv,
		Log:      p.HookLog(run.of, run.name),
		Output:   p.host.HookOutput,
		Step:     p.ownSteps(run),
		Timeout:  cmp.Or(run.timeout, p.host.hookTimeout()),
	}
}

// runScript runs the script of a hook, without its log if that can't be opened. An
// error of the disk means that the hook did not run.
func (p holding) runScript(ctx context.Context, script hooks.Script, run hookRun, options hooks.Options) error {
	err := p.runLogged(ctx, script, options)
	unlogged, ok := errors.AsType[*hooks.LogError](err)
	if !ok {
		return err
	}
	if _, told := p.unlogged.LoadOrStore(options.Log, true); !told {
		p.host.warn("%s: what %s of %s prints is lost: %v", p.Name, run.name, run.of, unlogged.Err)
	}
	options.Log = ""
	return script.Run(ctx, options)
}

func (p *pkg) runLogged(ctx context.Context, script hooks.Script, options hooks.Options) error {
	logs, err := p.Files.OpenDir(p.LogDir())
	if err != nil {
		return &hooks.LogError{Err: err}
	}
	defer logs.Close()
	options.LogDir = logs.File()
	return p.WithReserve(func() error { return script.Run(ctx, options) })
}

// beginHook tells that a hook is about to run.
func (p holding) beginHook(run *hookRun) {
	run.began = time.Now()
	if info, err := p.Files.Lstat(p.HookLog(run.of, run.name)); err == nil {
		run.logged = info.Size()
	}
	p.report(ftl.Event{Revision: run.of, Step: run.name, State: ftl.Running})
}

// reportHook tells how a hook ended, and runs the failed hook where it failed.
func (l holding) reportHook(ctx context.Context, run hookRun, err error) {
	p := l.pkg
	event := ftl.Event{Revision: run.of, Step: run.name}.Ended(run.began, "", err)
	reason := run.reason
	if run.byHand {
		reason = tree.ReasonByHand
	}
	p.reportAs(event, tree.Details{
		From: run.old, Reason: reason,
		Output: p.TailLog(p.HookLog(run.of, run.name), run.logged),
	})
	if err != nil && !interrupted(err) && !notNow(err) && !run.byHand {
		l.runFailed(ctx, run, err)
	}
}

// runFailed runs the failed hook of a revision, for whoever wants to be told.
// It is best effort, and never hides what it is about.
func (l holding) runFailed(ctx context.Context, failed hookRun, cause error) {
	status := 1
	if exit, ok := errors.AsType[*hooks.ExitError](cause); ok {
		status = exit.Code
	}
	run := failed
	run.name, run.quiet, run.timeout = ftl.OnFailure, true, 0
	run.extra = failedHook(failed.name, status)
	if err := l.runHook(ctx, run); err != nil {
		l.pkg.host.warn("%s: %v", l.pkg.Name, err)
	}
}

// failedHook is what the failed hook is told of the one that failed.
func failedHook(name ftl.Step, status int) []string {
	return []string{"FTL_FAILED_HOOK=" + string(name), fmt.Sprintf("FTL_EXIT_STATUS=%d", status)}
}

func (p holding) hookError(run hookRun, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if notNow(err) {
		return ftl.Errorf(ftl.HookFailed, fmt.Sprintf("to ask it again: ftl jump %s; to go on all the same: ftl jump --force %[1]s", run.of), "%s of %s says not now: %w", run.name, run.of, err)
	}
	if diskFailed(err) {
		return err
	}
	return &ftl.Error{Kind: ftl.HookFailed, Hint: "its output: " + p.HookLog(run.of, run.name), Err: err}
}

// interrupted reports whether an error is due to the end of the context, and
// not to what was going on.
func interrupted(err error) bool { return errors.Is(err, context.Canceled) }

// hookFailed reports whether an error is that of a hook, or what came of it.
func hookFailed(err error) bool {
	failure, ok := errors.AsType[*ftl.Error](err)
	return ok && (failure.Kind == ftl.HookFailed || failure.Kind == ftl.RolledBack || failure.Kind == ftl.NothingWorks)
}

// diskFailed reports whether a hook could not be run because the disk is full,
// broken or read-only. That is nothing to hold against the revision: no delay is
// kept before the next try.
func diskFailed(err error) bool {
	return tree.IsFull(err) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EROFS)
}

// notNow reports whether a pre-jump asked to be tried again later.
func notNow(err error) bool {
	exit, ok := errors.AsType[*hooks.ExitError](err)
	return ok && exit.Hook == hooks.PreJump && exit.Code == hooks.NotNow && !exit.TimedOut
}

// hookEnvironment is what a hook is told, on top of what ftl itself was.
func (p holding) hookEnvironment(run hookRun) ([]string, error) {
	root, err := filepath.Abs(p.host.Root)
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(p.RevisionDir(run.of))
	if err != nil {
		return nil, err
	}
	recovery := ""
	if run.recovery {
		recovery = "1"
	}
	dir := filepath.Join(root, p.Name.String())
	return append([]string{
		"FTL_HOOK=" + string(run.name),
		"FTL_PACKAGE=" + p.Name.String(),
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
	}, append(run.params.Environ(), run.extra...)...), nil
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

// runHook runs one hook of a revision. A revision that is one file has no hooks.
func (l *locked) runHook(ctx context.Context, run hookRun) error {
	known := l.State.Ready[run.of]
	if known.File {
		return nil
	}
	run.params = known.Params
	return l.holding.runHook(ctx, run)
}
