package host

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// hookSteps looks for steps in what a hook prints: a line such as
//
//	{"name":"migrate","state":"running","message":"12 tables"}
//
// is a step of the hook's own. Every other line is passed on as output.
type hookSteps struct {
	pkg    *pkg
	of     revision.Revision
	prefix string // of each line, as package hooks writes it
	out    io.Writer
}

// hookOutput returns where the annotated lines of a hook go.
func (p *pkg) hookOutput(run hookRun) io.Writer {
	out := p.host.HookOutput
	if out == nil {
		out = io.Discard
	}
	return &hookSteps{p, run.of, fmt.Sprintf("%s %s | ", run.of, run.name), out}
}

// Write takes whole lines.
func (w *hookSteps) Write(lines []byte) (int, error) {
	var output strings.Builder
	for line := range strings.Lines(string(lines)) {
		if event, ok := w.parse(line); ok {
			w.pkg.report(event)
		} else {
			output.WriteString(line)
		}
	}
	if _, err := io.WriteString(w.out, output.String()); err != nil {
		return 0, err
	}
	return len(lines), nil
}

func (w *hookSteps) parse(line string) (ftl.Event, bool) {
	text, ours := strings.CutPrefix(line, w.prefix)
	if !ours || !strings.HasPrefix(text, "{") {
		return ftl.Event{}, false
	}
	var step struct {
		Name    ftl.Step  `json:"name"`
		State   ftl.State `json:"state"`
		Message string    `json:"message"`
	}
	if json.Unmarshal([]byte(text), &step) != nil || step.Name == "" {
		return ftl.Event{}, false
	}
	switch step.State {
	case ftl.Running, ftl.Success, ftl.Failure:
		return ftl.Event{Revision: w.of, Step: step.Name, State: step.State, Message: step.Message, Own: true}, true
	}
	return ftl.Event{}, false
}
