package cmd

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/rhettg/ftl/hooks"
)

// gcPercent keeps ftl small beside the services of a host: what is garbage is at
// most so much of what is in use. A sync hardly makes any, so it costs no time.
const gcPercent = 25

// PrepareProcess sets what holds for the whole process: files are made for
// others to read, whatever the umask of cron or a login was, and what ftl
// inherited does not reach the daemons that hooks start. Lines that a library
// would print by itself are dropped: what matters of them comes as an error.
func (p *Program) PrepareProcess() {
	log.SetOutput(io.Discard)
	syscall.Umask(0o022)
	debug.SetGCPercent(gcPercent)
	if err := hooks.CloseInherited(); err != nil {
		p.warn("a daemon that a hook starts may keep files open that are not its own: %v", err)
	}
}

// signalError is the cause of a context that a signal has ended.
type signalError struct{ signal syscall.Signal }

func (e signalError) Error() string { return fmt.Sprintf("ended by signal %v", e.signal) }

// Is makes it the same for the rest of the program whether it sees the
// context's error or its cause.
func (e signalError) Is(target error) bool { return target == context.Canceled }

// How long a command may take to end in order after the first signal. A hook that runs has its own
// grace. What takes longer is stuck, such as in the open(2) of a file system that does not answer;
// and what is left behind is what a crash leaves.
const (
	endLimit     = 5 * time.Second
	endLimitHook = hooks.DefaultGrace + endLimit
)

// hangups returns a channel that gets something at each HUP, which ends nothing from now on.
func (p *Program) hangups() <-chan struct{} {
	hangup := make(chan struct{}, 1)
	p.onHangup.Store(&hangup)
	return hangup
}

// hangUp reports whether a HUP is none that ends the program.
func (p *Program) hangUp() bool {
	hangup := p.onHangup.Load()
	if hangup == nil {
		return false
	}
	select {
	case *hangup <- struct{}{}:
	default: // one is waiting already
	}
	return true
}

// WithSignals returns a context that ends at the first INT, TERM or HUP, so
// that what is going on can be left in order. The second one ends the process,
// as the first one does after a while.
// A closed pipe on stdout ends nothing: it must not stop a jump half way.
func (p *Program) WithSignals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // nohup
			signal.Notify(signals, s)
		}
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGHUP && p.hangUp() {
					continue
				}
				signal.Reset(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
				cancel(signalError{s.(syscall.Signal)})
				endBy(s.(syscall.Signal))
			case <-ctx.Done():
			}
			return
		}
	}()
	return ctx, func() { cancel(nil) }
}

// endBy ends the process by a signal, once it has had the time to end by itself.
func endBy(s syscall.Signal) {
	time.Sleep(endLimit)
	if hasChildren() {
		time.Sleep(endLimitHook - endLimit)
	}
	syscall.Kill(os.Getpid(), s)
}

// hasChildren reports whether a hook may be running, also where that can't be told.
func hasChildren() bool {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		return true
	}
	for _, list := range lists {
		if children, err := os.ReadFile(list); err == nil && len(children) > 0 {
			return true
		}
	}
	return false
}

// sayEnding answers Ctrl-C at once, as what is going on may take a while to end.
func (p *Program) sayEnding(ctx context.Context) {
	if cause, ended := context.Cause(ctx).(signalError); ended && cause.signal == syscall.SIGINT && !p.json {
		p.say("ending; a second Ctrl-C ends it now")
	}
}
