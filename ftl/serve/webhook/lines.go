package webhook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/fleet"
)

// maxLines is how many lines an answer has. Of more, those in the middle are left out.
const maxLines = 500

// lines are what an answer tells of the work, as "[2026-11-21 12:34:56] [INFO] …", in UTC.
type lines struct {
	now func() time.Time

	mu       sync.Mutex
	text     []string
	steps    map[string]bool // that were told
	listener func(line string)
}

func (l *lines) info(format string, args ...any) {
	l.add(l.now(), "INFO", fmt.Sprintf(format, args...))
}
func (l *lines) error(text string) { l.add(l.now(), "ERROR", text) }

func (l *lines) add(at time.Time, level, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		l.append(fmt.Sprintf("[%s] [%s] %s", at.UTC().Format("2006-01-02 15:04:05"), level, line))
	}
}

func (l *lines) append(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line)
	if l.listener != nil {
		l.listener(line)
	}
}

// listen has a function told of each line, also those that there are.
func (l *lines) listen(listener func(line string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.text {
		listener(line)
	}
	l.listener = listener
}

// all returns the lines, as many as an answer has.
func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.text) <= maxLines {
		return append([]string{}, l.text...)
	}
	head := maxLines / 2
	tail := maxLines - head - 1
	left := fmt.Sprintf("… %d lines are left out", len(l.text)-head-tail)
	return slices.Concat(l.text[:head], []string{left}, l.text[len(l.text)-tail:])
}

// A hostStep is a step that a host has told.
type hostStep struct {
	host string
	ftl.Event
}

// tell adds the steps of hosts that were not told yet, in the order of their time.
func (l *lines) tell(steps []hostStep) {
	slices.SortStableFunc(steps, func(a, b hostStep) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.host, b.host)) })
	if l.steps == nil {
		l.steps = make(map[string]bool)
	}
	for _, s := range steps {
		key := fmt.Sprint(s.host, "\x00", s.Step, "\x00", s.State, "\x00", s.Time.UnixNano())
		if l.steps[key] {
			continue
		}
		l.steps[key] = true
		level, text := "INFO", fmt.Sprintf("%s: %s: %s", s.host, s.Step, s.State)
		if s.State == ftl.Failure {
			level = "ERROR"
		}
		if s.Seconds > 0 {
			text += fmt.Sprintf(" in %.1f s", s.Seconds)
		}
		if s.Message != "" {
			text += ": " + fleet.Reason(s.Message)
		}
		l.add(s.Time, level, text)
	}
}
