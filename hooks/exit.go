package hooks

import (
	"fmt"
	"syscall"
	"time"
)

// An ExitError says how a hook that ran has failed. It wraps the context's
// error if the hook was ended because of that.
type ExitError struct {
	Hook     Name
	Revision string         // as in Options
	Code     int            // the exit code, 128+n if ended by signal n
	Signal   syscall.Signal // what ended it, 0 if it exited
	TimedOut bool           // it was ended because Timeout was over; Code may then be anything, also 0
	Timeout  time.Duration  // as in Options
	Tail     string         // the last lines it printed, at most 20 and 4 KiB, harmless to a terminal

	cause error // why ftl ended it, if that wasn't the timeout
}

// Error says which hook failed and how, in one line, without the tail.
func (e *ExitError) Error() string {
	hook := fmt.Sprintf("%s of %s", e.Hook, e.Revision)
	switch {
	case e.TimedOut:
		return fmt.Sprintf("%s did not end within %v and was killed", hook, e.Timeout)
	case e.cause != nil:
		return fmt.Sprintf("%s was interrupted: %v", hook, e.cause)
	case e.Signal != 0:
		return fmt.Sprintf("%s was ended by signal %d (%v)", hook, int(e.Signal), e.Signal)
	case e.Code == 126:
		return hook + " exited with 126 (a command could not be run)"
	case e.Code == 127:
		return hook + " exited with 127 (a command was not found)"
	}
	return fmt.Sprintf("%s exited with %d", hook, e.Code)
}

// Unwrap returns why ftl ended the hook, nil if it ended by itself or at the
// timeout.
func (e *ExitError) Unwrap() error { return e.cause }
