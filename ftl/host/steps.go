package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

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
	prefix []byte // of each line, as package hooks writes it
	out    io.Writer
}

// hookOutput returns where the annotated lines of a hook go.
func (p *pkg) hookOutput(run hookRun) io.Writer {
	out := p.host.HookOutput
	if out == nil {
		out = io.Discard
	}
	return &hookSteps{p, run.of, fmt.Appendf(nil, "%s %s | ", run.of, run.name), out}
}

// Write takes whole lines. It copies none: a hook can print a flood of them.
func (w *hookSteps) Write(lines []byte) (int, error) {
	passed, next := 0, 0
	for next < len(lines) {
		begin := next
		if end := bytes.IndexByte(lines[begin:], '\n'); end >= 0 {
			next = begin + end + 1
		} else {
			next = len(lines)
		}
		event, ok := w.parse(lines[begin:next])
		if !ok {
			continue
		}
		if err := w.pass(lines[passed:begin]); err != nil {
			return 0, err
		}
		passed = next
		w.pkg.report(event)
	}
	if err := w.pass(lines[passed:]); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// pass passes lines on that are no steps.
func (w *hookSteps) pass(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := w.out.Write(lines)
	return err
}

func (w *hookSteps) parse(line []byte) (ftl.Event, bool) {
	text, ours := bytes.CutPrefix(line, w.prefix)
	if !ours || !bytes.HasPrefix(text, []byte("{")) {
		return ftl.Event{}, false
	}
	var step struct {
		Name    ftl.Step  `json:"name"`
		State   ftl.State `json:"state"`
		Message string    `json:"message"`
	}
	if json.Unmarshal(text, &step) != nil || step.Name == "" {
		return ftl.Event{}, false
	}
	switch step.State {
	case ftl.Running, ftl.Success, ftl.Failure:
		return ftl.Event{Revision: w.of, Step: step.Name, State: step.State, Message: step.Message, Own: true}, true
	}
	return ftl.Event{}, false
}
