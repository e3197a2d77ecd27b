package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// DefaultGrace is the time between TERM and KILL.
	DefaultGrace = 10 * time.Second
	// DefaultLogLimit is the size, in bytes, above which a log is cut.
	DefaultLogLimit = 1 << 20
)

// Options say how a script is run.
type Options struct {
	// Revision is what output and errors call the revision, such as
	// my_site.2026112145296Wq; "" is the last element of its directory.
	Revision string

	// Env is added to the inherited environment, as KEY=VALUE. What ftl told
	// an outer hook about that hook is not inherited.
	Env     []string
	Inherit Inheritance

	// Log is the file that the hook's stdout and stderr are appended to. It is
	// made with mode 0600; a symbolic link there is an error. Its directory
	// must exist. If it can't be opened, that is a [*LogError]. With "" what the
	// hook prints is lost: nothing else would keep a daemon that it leaves behind
	// from filling disk or memory.
	//
	// While the hook runs, a log above LogLimit is cut to a line that says so
	// and at least the last quarter of the limit, but output not yet copied to
	// Output is kept until the log is 16 times the limit. So a log can grow to
	// that and what the hook prints in some 20 ms. What it prints in the very
	// instant of a cut, some microseconds, is lost. After Run, see [CutLog].
	//
	// A hook that opens /dev/stdout or /dev/stderr instead of using >&1 or >&2
	// empties the log, as it does with any file.
	Log      string
	LogDir   *os.File // the directory that Log is in, when that is open: nobody can exchange it then
	LogLimit int64    // 0 is DefaultLogLimit

	// Output gets a live copy of what the hook prints, in whole lines, each
	// prefixed with revision, hook and "|", and harmless to a terminal; nil is
	// none. An Output that fails is given up, one that blocks delays Run's
	// return, but neither touches the hook or its timeout. Several runs may
	// share an Output that is safe for concurrent use.
	Output io.Writer

	// Step is given each line that begins with "{", up to 1 MiB, as the hook
	// printed it and without its end. Where it returns true, the line is not
	// copied to Output; it is in the log all the same. It must not keep the line.
	// nil takes none.
	Step func(line []byte) bool

	// Timeout is how long the hook may take; 0 is for ever.
	Timeout time.Duration
	Grace   time.Duration // between TERM and KILL; 0 is DefaultGrace

	// Started, if not nil, is called with the hook's process before the hook
	// runs. If it fails, the hook doesn't run.
	Started func(Process) error
}

// Run runs the script and waits for it to end.
//
// The hook runs in the revision's directory, which has to be open still, with the umask 022,
// nothing on stdin and a process group of its own. Environment variables whose names the shell
// doesn't allow don't reach it. When the timeout is over or ctx is done, the group gets TERM and,
// after the grace, KILL. Processes that the hook leaves behind when it ends by itself are not
// touched, nor are those that have left its group.
//
// A hook that ran and did not exit with 0 in time is an [*ExitError]; if that was because of ctx,
// the error wraps ctx's. With any other error the hook did not run, or it could not be ended.
func (s Script) Run(ctx context.Context, o Options) error {
	o.Revision = cmp.Or(o.Revision, filepath.Base(s.dir.Name()))
	err := s.run(ctx, o)
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit // says itself what ended how
	}
	if err != nil {
		return fmt.Errorf("run %s of %s: %w", s.Name, o.Revision, err)
	}
	return nil
}

func (s Script) run(ctx context.Context, o Options) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := s.checkStart(); err != nil {
		return fmt.Errorf("start %s: %w", s.Path, err)
	}
	log, err := o.openLog()
	if err != nil {
		return &LogError{err}
	}
	defer log.Close()
	hook, err := s.start(o.Inherit.environment(o.Env), log.writer)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.Path, err)
	}
	if err := hook.admit(ctx, o.Started); err != nil {
		return err
	}
	exit := &ExitError{Hook: s.Name, Revision: o.Revision, Timeout: o.Timeout}
	if err := attend(ctx, hook, log, o, exit); err != nil {
		return err
	}
	if exit.Code == 0 && exit.cause == nil && !exit.TimedOut {
		return nil
	}
	exit.Tail = log.tail()
	return exit
}

// openLog opens the log, or what takes its place where there is none.
func (o Options) openLog() (*logFile, error) {
	if o.Log == "" {
		return openNone()
	}
	return openLog(o.LogDir, o.Log, cmp.Or(o.LogLimit, DefaultLogLimit))
}

// A LogError says why a log can't be opened. The hook did not run; it can be run
// without one.
type LogError struct{ Err error }

func (e *LogError) Error() string { return "open log: " + e.Err.Error() }
func (e *LogError) Unwrap() error { return e.Err }

// attend copies and cuts the log until the hook has ended, and fills in how it
// ended.
func attend(ctx context.Context, hook *child, log *logFile, o Options, exit *ExitError) error {
	out := &annotator{out: cmp.Or[io.Writer](o.Output, io.Discard),
		prefix: fmt.Sprintf("%s %s | ", exit.Revision, exit.Hook), step: o.Step}
	ended := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() { log.copyUntil(ended, out) })
	// Apart from the copying, because Output may block.
	following.Go(func() { log.cutUntil(ended) })

	err := hook.wait(ctx, o.Timeout, cmp.Or(o.Grace, DefaultGrace), exit)
	close(ended)
	following.Wait()
	if cutErr := log.cut(); cutErr != nil {
		// The hook's result matters more than the size of its log.
		out.note(fmt.Sprintf("cut %s: %v", o.Log, cutErr))
	}
	return err
}

// wait waits for the hook to end, and ends it when its time is over.
func (c *child) wait(ctx context.Context, timeout, grace time.Duration, exit *ExitError) error {
	var over <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-c.done:
		return c.status(exit)
	case <-over:
		exit.TimedOut = true
	case <-ctx.Done():
		exit.cause = context.Cause(ctx)
	}
	if c.hasEnded() { // at the same instant: leave its daemons alone
		exit.TimedOut, exit.cause = false, nil
		return c.status(exit)
	}
	if err := endGroup(context.WithoutCancel(ctx), c.cmd.Process.Pid, grace); err != nil {
		return fmt.Errorf("end the hook: %w", err)
	}
	<-c.done
	return c.status(exit)
}

func (c *child) hasEnded() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// status fills in how the process ended, which must have happened.
func (c *child) status(exit *ExitError) error {
	state := c.cmd.ProcessState
	if state == nil {
		return fmt.Errorf("wait for the hook: %w", c.err)
	}
	exit.Code = state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		exit.Signal = status.Signal()
		exit.Code = 128 + int(exit.Signal)
	}
	return nil
}
