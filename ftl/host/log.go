package host

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// logLine is one line of the log of what ftl did to a package, in JSON.
type logLine struct {
	Time     time.Time         `json:"time"`
	User     string            `json:"user"`
	Command  string            `json:"command"`
	PID      int               `json:"pid"`
	Revision revision.Revision `json:"revision"`
	From     revision.Revision `json:"from,omitzero"` // that a jump left
	Name     ftl.Step          `json:"name"`
	Reason   reason            `json:"reason,omitempty"`
	State    ftl.State         `json:"state"`
	Message  string            `json:"message,omitempty"`
	Duration float64           `json:"duration,omitempty"` // seconds
	Output   string            `json:"output,omitempty"`   // the last lines of a hook
}

// details are what the log has of a step and nobody else is told.
type details struct {
	from   revision.Revision
	reason reason
	took   time.Duration
	output string
}

// Steps that only the log knows.
const (
	stepJump ftl.Step = "jump" // with all its hooks
	stepSync ftl.Step = "sync" // one that came to nothing
)

func (p *pkg) activityLog() string { return filepath.Join(p.logs(), "ftl.log") }

// report tells the caller of a step, and the package's log.
func (p *pkg) report(event ftl.Event) { p.reportAs(event, details{}) }

func (p *pkg) reportAs(event ftl.Event, d details) {
	event.Time, event.Package = time.Now(), p.name
	p.host.report(event)
	p.note(event, d)
}

// note writes a step into the log. A log that can't be written must not keep a
// host from its work.
func (p *pkg) note(event ftl.Event, d details) {
	line, err := json.Marshal(logLine{
		Time: time.Now(), User: p.host.User, Command: p.host.Command, PID: os.Getpid(),
		Revision: event.Revision, From: d.from, Name: event.Step, Reason: d.reason,
		State: event.State, Message: event.Message, Duration: d.took.Seconds(), Output: d.output,
	})
	if err != nil {
		return
	}
	f, err := os.OpenFile(p.activityLog(), os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	f.Write(append(line, '\n'))
	f.Close()
}

// cutLogs keeps the logs small: hooks' daemons go on writing to them. While
// another ftl cuts them, this one need not.
func (p *pkg) cutLogs() {
	dir, err := os.Open(p.logs())
	if err != nil {
		return
	}
	defer dir.Close()
	if unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return
	}
	entries, err := os.ReadDir(p.logs())
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".log") {
			continue
		}
		err := hooks.CutLog(filepath.Join(p.logs(), entry.Name()), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.host.warn("%s: %v", p.name, err)
		}
	}
}

// removeLogs deletes what the hooks of a revision printed.
func (p *pkg) removeLogs(r revision.Revision) {
	for _, name := range hooks.Names() {
		os.Remove(p.hookLog(r, name))
	}
}
