package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// Happened is something that happened to a package on this host, as its log has
// it.
type Happened struct {
	Time     time.Time
	Package  revision.Package
	User     string // who started the command
	Command  string
	Name     ftl.Step          // also "jump", which is a jump with all its hooks, and "sync", one that came to nothing
	Revision revision.Revision // of a jump, where it went; zero where it is about the package
	From     revision.Revision // that a jump left, zero at the first
	Reason   string            // of a jump or a hook, as the hook is told
	State    ftl.State
	Message  string
	Duration time.Duration
	Output   string // the last lines of a hook
}

// History returns what happened to packages, oldest first; no packages are all
// of them. A jump is one entry, and so is a hook of its own that failed; with
// everyHook they all are. It takes no lock and changes nothing.
func (h *Host) History(packages []revision.Package, everyHook bool) ([]Happened, error) {
	if len(packages) == 0 {
		var err error
		if packages, err = h.Packages(); err != nil {
			return nil, err
		}
	}
	var all []Happened
	for _, name := range packages {
		p := h.open(name)
		if err := p.mustExist(); err != nil {
			return nil, err
		}
		lines, err := p.readLog()
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if tells(line, everyHook) {
				all = append(all, happened(name, line))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Happened) int { return a.Time.Compare(b.Time) })
	return all, nil
}

func happened(name revision.Package, line logLine) Happened {
	return Happened{
		Time: line.Time, Package: name, User: line.User, Command: line.Command, Name: line.Name,
		Revision: line.Revision, From: line.From, Reason: string(line.Reason), State: line.State, Message: line.Message,
		Duration: time.Duration(line.Duration * float64(time.Second)), Output: line.Output,
	}
}

// readLog returns the lines of the log, oldest first. One that is not whole,
// as a crash or a cut has left it, is passed over.
func (p *pkg) readLog() ([]logLine, error) {
	data, err := os.ReadFile(p.activityLog())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &ftl.Error{Kind: ftl.Refused, Hint: "its owner may read it, by sudo -u", Err: err}
	}
	if err != nil {
		return nil, err
	}
	return parseLog(data), nil
}

func parseLog(data []byte) []logLine {
	var lines []logLine
	for text := range bytes.Lines(data) {
		var line logLine
		if !bytes.HasSuffix(text, []byte("\n")) || json.Unmarshal(text, &line) != nil || line.Name == "" {
			continue
		}
		// A bucket that is down for an hour is one line.
		if last := len(lines) - 1; line.Name == stepSync && last >= 0 && lines[last].Name == stepSync && lines[last].Message == line.Message {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// tells reports whether a line is worth an entry.
func tells(line logLine, everyHook bool) bool {
	isHook := slices.Contains(hooks.Names(), hooks.Name(line.Name))
	switch {
	case line.Name == ftl.Recover:
		return true
	case line.State == ftl.Running:
		return false
	case isHook && everyHook:
		return true
	case isHook: // those of a jump are in its own line
		return line.State == ftl.Failure && (line.Name == ftl.Step(hooks.PostSync) || line.Name == ftl.Step(hooks.PreRemove))
	case line.State == ftl.Failure:
		return slices.Contains([]ftl.Step{stepJump, stepSync, ftl.Fetch}, line.Name)
	}
	return slices.Contains([]ftl.Step{stepJump, ftl.Ready, ftl.Defer, ftl.Hold, ftl.Unhold, ftl.Remove}, line.Name)
}

// lastLine returns the newest line of a step of a revision that is not its
// beginning.
func lastLine(lines []logLine, name ftl.Step, r revision.Revision) (logLine, bool) {
	for _, line := range slices.Backward(lines) {
		if line.Name == name && line.Revision == r && line.State != ftl.Running {
			return line, true
		}
	}
	return logLine{}, false
}
