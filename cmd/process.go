package cmd

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

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

// WithSignals returns a context that ends at the first INT, TERM or HUP, so
// that what is going on can be left in order. The second one ends the process.
// A closed pipe on stdout ends nothing: it must not stop a jump half way.
func WithSignals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // nohup
			signal.Notify(signals, s)
		}
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		select {
		case s := <-signals:
			signal.Reset(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			cancel(signalError{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}
