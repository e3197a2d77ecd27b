package host

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// logLine is one line of the log of what ftl did to a package, in JSON.
type logLine struct {
	Time     time.Time         `json:"time"`
	Command  string            `json:"command"`
	PID      int               `json:"pid"`
	Revision revision.Revision `json:"revision"`
	Name     ftl.Step          `json:"name"`
	State    ftl.State         `json:"state"`
	Message  string            `json:"message,omitempty"`
}

func (p *pkg) activityLog() string { return filepath.Join(p.logs(), "ftl.log") }

// report tells the caller of a step, and the package's log. A log that can't be
// written must not keep a host from its work.
func (p *pkg) report(event ftl.Event) {
	event.Time, event.Package = time.Now(), p.name
	p.host.report(event)

	line, err := json.Marshal(logLine{event.Time, p.host.Command, os.Getpid(), event.Revision, event.Step, event.State, event.Message})
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

// cutLogs keeps the logs small: hooks' daemons go on writing to them.
func (p *pkg) cutLogs() {
	paths, err := filepath.Glob(filepath.Join(p.logs(), "*.log"))
	if err != nil {
		return
	}
	for _, path := range paths {
		if err := hooks.CutLog(path, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
