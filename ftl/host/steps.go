package host

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
)

// What a hook says of steps of its own is bounded: the length of its words, in
// bytes, and the number of steps.
const (
	maxStepName    = 64
	maxStepMessage = 4 << 10
	maxOwnSteps    = 1000 // that go on at the same time, and have a duration in the end
)

// ownSteps returns how the steps in what a hook prints are told: a line such as
//
//	{"name":"migrate","state":"running","message":"12 tables"}
//
// is a step of the hook's own, post-jump/migrate. Every other line is output.
func (p *teller) ownSteps(run hookRun) func(line []byte) bool {
	began := make(map[ftl.Step]time.Time)
	return func(line []byte) bool {
		event, ok := parseOwnStep(run.name, line)
		if !ok {
			return false
		}
		event.Revision = run.of
		if since, known := began[event.Step]; event.State != ftl.Running && known {
			event.Seconds = time.Since(since).Seconds()
			delete(began, event.Step)
		} else if event.State == ftl.Running && len(began) < maxOwnSteps {
			began[event.Step] = time.Now()
		}
		p.report(event)
		return true
	}
}

// parseOwnStep reads a step that a hook tells. Its words are somebody else's, and
// end on terminals: they are made harmless once they are decoded, since JSON can
// spell any character by letters.
func parseOwnStep(hook ftl.Step, line []byte) (ftl.Event, bool) {
	var step struct {
		Name    string    `json:"name"`
		State   ftl.State `json:"state"`
		Message string    `json:"message"`
	}
	if json.Unmarshal(line, &step) != nil {
		return ftl.Event{}, false
	}
	name := shortened(hooks.Harmless(step.Name), maxStepName)
	switch step.State {
	case ftl.Running, ftl.Success, ftl.Failure:
		message := shortened(hooks.Harmless(step.Message), maxStepMessage)
		return ftl.Event{Step: ftl.OwnStep(hook, name), State: step.State, Message: message}, name != ""
	}
	return ftl.Event{}, false
}

// shortened returns text, or as much of it as there is room for.
func shortened(text string, room int) string {
	if len(text) <= room {
		return text
	}
	end := room
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
