package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"

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

// finish tells the user what went wrong, if anything, and returns the exit
// code: after several failures, that of the first one.
func (p *Program) finish(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	failures := ftl.Split(err)
	for _, failure := range failures {
		if isSilent(failure) {
			continue
		}
		p.sayIn(red, "%s", message(ctx, failure))
		if hint := hintOf(failure); hint != "" {
			p.say("  %s", strings.ReplaceAll(hint, "\n", "\n  "))
		}
	}
	if code, ok := signalCode(ctx, failures); ok {
		return code
	}
	return exitCode(failures[0])
}

// message is the text of a failure. Of one that a signal has caused, it names
// the signal.
func message(ctx context.Context, failure error) string {
	text := failure.Error()
	if cause, ended := context.Cause(ctx).(signalError); ended {
		text = strings.ReplaceAll(text, context.Canceled.Error(), cause.Error())
	}
	return text
}

// signalCode is the exit code of a command that a signal has ended, whatever
// else went wrong before.
func signalCode(ctx context.Context, failures []error) (int, bool) {
	cause, ended := context.Cause(ctx).(signalError)
	for _, failure := range failures {
		if ended && errors.Is(failure, context.Canceled) {
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

// say writes a line for a person.
func (p *Program) say(format string, args ...any) { p.sayIn("", format, args...) }

// sayIn writes a line whose first word has a colour, "" for none.
func (p *Program) sayIn(colour, format string, args ...any) {
	first := "ftl:"
	if colour != "" {
		first = p.coloured(colour, first)
	}
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		fmt.Fprintf(p.Stderr, "%s %s\n", first, line)
	}
}

func (p *Program) warn(format string, args ...any) {
	p.sayIn(yellow, "warning: "+format, args...)
}

// dataWriter remembers that not all data could be written. A reader that has
// seen enough and closed the pipe is no failure.
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
