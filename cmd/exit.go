package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/store"
)

// The exit codes. Beside them, 128+n says that signal n ended the command.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitHook        = 3
	exitRolledBack  = 4
	exitBusy        = 5
	exitNotFound    = 6
	exitRefused     = 7
	exitUnreachable = 8
	exitSignal      = 128
)

// usageError is a command line or an environment that ftl can't make sense of.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(err error, hint string) error { return &usageError{err, hint} }

// finish tells the user what went wrong, if anything, and returns the exit code: after several
// failures, that of the first one.
func (p *Program) finish(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	failures := ftl.Split(err)
	for i, failure := range failures {
		failures[i] = withSignal(ctx, failure)
	}
	code, ended := signalCode(failures)
	if !ended {
		code = exitCode(failures[0])
	}
	end := ending{ExitCode: code}
	for _, failure := range failures {
		if !isSilent(failure) {
			end.Errors = append(end.Errors, told{failure.Error(), p.hint(failure)})
		}
	}
	p.tell(end)
	return code
}

// An ending says why a command failed. As JSON it is the last line on stderr.
type ending struct {
	ExitCode int    `json:"exit_code"`
	Errors   []told `json:"errors"`
}

// told is a failure as the user reads it.
type told struct {
	Message string `json:"message"`
	Hint    string `json:"hint"` // what to do next, often ""
}

func (p *Program) tell(end ending) {
	if len(end.Errors) == 0 {
		return
	}
	if p.json {
		p.sayJSON(end)
		return
	}
	for _, failure := range end.Errors {
		p.sayIn(red, "%s", failure.Message)
		if failure.Hint != "" {
			p.sayHint(failure.Hint)
		}
	}
}

// withSignal adds the signal to a failure that it has caused, where a library says no more than
// that something was canceled.
func withSignal(ctx context.Context, failure error) error {
	cause, ended := context.Cause(ctx).(signalError)
	if _, told := errors.AsType[signalError](failure); !ended || told || !errors.Is(failure, context.Canceled) {
		return failure
	}
	return fmt.Errorf("%w: %w", failure, cause)
}

// signalCode is the exit code of a command that a signal has ended, whatever else went wrong
// before.
func signalCode(failures []error) (int, bool) {
	for _, failure := range failures {
		if cause, ended := errors.AsType[signalError](failure); ended {
			return exitSignal + int(cause.signal), true
		}
	}
	return 0, false
}

func exitCode(err error) int {
	if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Kind != 0 {
		switch failure.Kind {
		case ftl.HookFailed:
			return exitHook
		case ftl.RolledBack:
			return exitRolledBack
		case ftl.Busy:
			return exitBusy
		case ftl.NotFound:
			return exitNotFound
		case ftl.Refused:
			return exitRefused
		}
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if errors.Is(err, store.ErrNoConditions) {
		return exitRefused
	}
	if unreachable(err) {
		return exitUnreachable
	}
	return exitFailed
}

// unreachable reports whether an error is that of a bucket that gave no answer.
func unreachable(err error) bool {
	_, ok := errors.AsType[*store.Error](err)
	return ok
}

// hint is what to do next, also where it is a hook that can't reach the bucket.
func (p *Program) hint(failure error) string {
	hint := hintOf(failure)
	if unreachable(failure) && p.Getenv("FTL_HOOK") != "" {
		hint = strings.TrimPrefix(hint+"\na hook gets no credentials, unless FTL_HOOK_ENV names them: ftl help hooks", "\n")
	}
	return hint
}

func hintOf(err error) string {
	if failure, ok := errors.AsType[*ftl.Error](err); ok && failure.Hint != "" {
		return failure.Hint
	}
	if failure, ok := errors.AsType[*store.Error](err); ok && failure.Hint != "" {
		return failure.Hint
	}
	if failure, ok := errors.AsType[*usageError](err); ok {
		return failure.hint
	}
	return ""
}

// silentError is a failure that shows in the exit code only.
type silentError struct{ error }

func (e silentError) Unwrap() error { return e.error }

func isSilent(err error) bool {
	_, ok := errors.AsType[silentError](err)
	return ok
}

// afterOutput decides what comes of output that could not be written. Where it tells of what a
// command has done, that is done.
func (p *Program) afterOutput(command *cobra.Command, failure error) error {
	if failure == nil || !changing[command.Name()] || command.Flags().Changed(flagDryRun) {
		return failure
	}
	p.warn("%v; all is done but for that", failure)
	return nil
}

// changing are the commands that are run for what they change. Of spool, the caller needs the name.
var changing = map[string]bool{
	"adopt": true, "advance": true, "clean": true, "finish": true, "halt": true, "hold": true, "jump": true, "jump-back": true,
	"purge": true, "release": true, "remove": true, "resume": true, "renew": true, "retire": true, "sign": true, "subscribe": true, "sync": true, "unhold": true,
}

// dataWriter remembers that not all data could be written. A reader that has seen enough and closed
// the pipe is no failure.
type dataWriter struct {
	io.Writer
	mu  sync.Mutex // as packages are synced in parallel
	err error
}

func (w *dataWriter) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.Writer.Write(data)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

func (w *dataWriter) failure() error {
	if w.err == nil || errors.Is(w.err, syscall.EPIPE) {
		return nil
	}
	return fmt.Errorf("write the result: %w", w.err)
}
