package host

import (
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// Happened is something that happened to a package on this host, as its log has it. As JSON it is a
// line of ftl log.
type Happened struct {
	Time     time.Time         `json:"time"`
	Package  revision.Package  `json:"package"`
	User     string            `json:"user"` // who started the command
	Command  string            `json:"command"`
	Name     ftl.Step          `json:"name"`     // also "jump", with all its hooks, and "sync", one that came to nothing
	Revision revision.Revision `json:"revision"` // of a jump, where it went; zero where it is about the package
	From     revision.Revision `json:"from"`     // that a jump left, zero at the first
	Reason   string            `json:"reason"`   // of a jump or a hook, as the hook is told
	State    ftl.State         `json:"state"`
	Message  string            `json:"message"`
	Seconds  float64           `json:"duration"`
	Output   string            `json:"output"` // the last lines of a hook
	Params   catalog.Params    `json:"params"` // of a jump
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
		defer p.Close()
		if err := p.mustExist(); err != nil {
			return nil, err
		}
		lines, err := p.ReadLog()
		if err != nil {
			return nil, err
		}
		for _, line := range withoutRepeats(lines) {
			if tells(line, everyHook) {
				all = append(all, happened(name, line))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Happened) int { return a.Time.Compare(b.Time) })
	return all, nil
}

func happened(name revision.Package, line tree.LogLine) Happened {
	return Happened{
		Time: line.Time, Package: name, User: line.User, Command: line.Command, Name: line.Name,
		Revision: line.Revision, From: line.From, Reason: string(line.Reason), State: line.State, Message: line.Message,
		Seconds: line.Duration, Output: line.Output, Params: line.Params,
	}
}

// withoutRepeats makes one line of syncs in a row that fail for the same reason: a bucket that is
// down for an hour is one line.
func withoutRepeats(lines []tree.LogLine) []tree.LogLine {
	return slices.CompactFunc(lines, func(a, b tree.LogLine) bool {
		return a.Name == ftl.Sync && b.Name == ftl.Sync && a.Message == b.Message
	})
}

// tells reports whether a line is worth an entry.
func tells(line tree.LogLine, everyHook bool) bool {
	isHook := slices.Contains(ftl.Hooks(), line.Name)
	switch {
	case line.Name == ftl.Recover: // what it came to is the jump's
		return line.State == ftl.Running
	case line.State == ftl.Running:
		return false
	case isHook && everyHook:
		return true
	case isHook: // those of a jump are in its own line
		return line.State == ftl.Failure && (line.Name == ftl.PostSync || line.Name == ftl.PreRemove)
	case line.State == ftl.Failure:
		return slices.Contains([]ftl.Step{ftl.Jump, ftl.Sync, ftl.Fetch}, line.Name)
	}
	return slices.Contains([]ftl.Step{ftl.Jump, ftl.Ready, ftl.Defer, ftl.Hold, ftl.Unhold, ftl.Remove}, line.Name)
}

// lastLine returns the newest line of a step of a revision that is not its
// beginning.
func lastLine(lines []tree.LogLine, name ftl.Step, r revision.Revision) (tree.LogLine, bool) {
	for _, line := range slices.Backward(lines) {
		if line.Name == name && line.Revision == r && line.State != ftl.Running {
			return line, true
		}
	}
	return tree.LogLine{}, false
}
