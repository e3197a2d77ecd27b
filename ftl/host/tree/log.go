package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// Logs are what ftl did to a package, in a log of its own, and what its hooks printed. A log that
// can't be written keeps no host from its work.
type Logs struct{ *Place }

// LogLine is one line of the log of what ftl did to a package, in JSON.
type LogLine struct {
	Time     time.Time         `json:"time"`
	User     string            `json:"user"`
	Command  string            `json:"command"`
	PID      int               `json:"pid"`
	Revision revision.Revision `json:"revision"`
	From     revision.Revision `json:"from,omitzero"` // that a jump left
	Name     ftl.Step          `json:"name"`
	Reason   Reason            `json:"reason,omitempty"`
	State    ftl.State         `json:"state"`
	Message  string            `json:"message,omitempty"`
	Duration float64           `json:"duration,omitempty"` // seconds
	Output   string            `json:"output,omitempty"`   // the last lines of a hook
	Params   catalog.Params    `json:"params,omitempty"`   // of a jump
}

// Details are what the log has of a step and nobody else is told.
type Details struct {
	From   revision.Revision
	Reason Reason
	Output string
	Params catalog.Params
}

// ActivityLog is where ftl logs what it does.
func (t Logs) ActivityLog() string { return filepath.Join(t.LogDir(), "ftl.log") }

// WriteLog writes a step into the log. What anybody may have typed is made harmless here: people
// also read the log by other means than ftl.
func (t Logs) WriteLog(event ftl.Event, d Details) {
	line, err := json.Marshal(LogLine{
		Time: time.Now(), User: hooks.Harmless(t.User), Command: hooks.Harmless(t.Command), PID: os.Getpid(),
		Revision: event.Revision, From: d.From, Name: event.Step, Reason: d.Reason,
		State: event.State, Message: hooks.Harmless(event.Message), Duration: event.Seconds, Output: d.Output, Params: d.Params,
	})
	if err != nil {
		return
	}
	f, err := t.Files.OpenFile(t.ActivityLog(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	f.Write(append(line, '\n'))
	f.Close()
}

// LogOwner names the user who may read the log.
func (t Logs) LogOwner() string {
	info, err := t.Files.Lstat(t.LogDir())
	if err != nil {
		return "OWNER"
	}
	owner, _ := OwnerOf(info)
	return ftl.Quoted(AccountOf(owner))
}

// CutLogs keeps the logs small: hooks' daemons go on writing to them. While
// another ftl cuts them, this one need not.
func (t Logs) CutLogs() {
	dir, err := t.Files.OpenDir(t.LogDir())
	if err != nil {
		return
	}
	defer dir.Close()
	if locked, err := directory.TryLock(dir.File()); err != nil || !locked {
		return
	}
	entries, err := dir.File().ReadDir(-1)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".log") {
			continue
		}
		err := hooks.CutLog(dir.File(), filepath.Join(t.LogDir(), entry.Name()), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Warn("%s: %v", t.Name, err)
		}
	}
}

// TailLog returns the last lines of the log of a hook, as hooks.TailLog does.
func (t Logs) TailLog(path string, from int64) string {
	dir, err := t.Files.OpenDir(t.LogDir())
	if err != nil {
		return ""
	}
	defer dir.Close()
	return hooks.TailLog(dir.File(), path, from)
}

// RemoveLogs deletes what the hooks of a revision printed.
func (t Logs) RemoveLogs(r revision.Revision) {
	for _, name := range ftl.Hooks() {
		t.Files.Remove(t.HookLog(r, name))
	}
}

// HookLog is where a hook of a revision logs what it prints.
func (t Logs) HookLog(r revision.Revision, name ftl.Step) string {
	return filepath.Join(t.LogDir(), r.ID()+"."+string(name)+".log")
}

// ReadLog returns the lines of the log, oldest first. One that is not whole,
// as a crash or a cut has left it, is passed over.
func (t Logs) ReadLog() ([]LogLine, error) {
	data, err := t.Files.ReadTail(t.ActivityLog(), maxLog)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &ftl.Error{Kind: ftl.Refused, Hint: "sudo -u " + t.LogOwner() + " ftl log " + t.Name.String(), Err: err}
	}
	if err != nil {
		return nil, err
	}
	return ParseLog(data), nil
}

// ParseLog returns the lines of a log that are whole.
func ParseLog(data []byte) []LogLine {
	var lines []LogLine
	for text := range bytes.Lines(data) {
		var line LogLine
		if !bytes.HasSuffix(text, []byte("\n")) || json.Unmarshal(text, &line) != nil || line.Name == "" {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}
