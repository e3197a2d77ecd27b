package ftl

import (
	"time"

	"github.com/rhettg/ftl/revision"
)

// A Task is a step that has begun. It is told of when it begins, and when it has ended, with its
// duration; whoever begins one ends it.
type Task struct {
	event  Event
	began  time.Time
	report func(Event)
}

// Begin tells that a step begins.
func Begin(report func(Event), event Event) *Task {
	event.State = Running
	report(event)
	return &Task{event, time.Now(), report}
}

// Name names the revision that the step is about, where that was not known when it began.
func (t *Task) Name(r revision.Revision) { t.event.Revision = r }

// End tells that the step has ended: well, with what a person should know beyond that, or as a
// failure with an error.
func (t *Task) End(message string, err error) {
	ended := t.event
	ended.Planned = nil
	t.report(ended.Ended(t.began, message, err))
}

// Ended returns the event of a step's end.
func (e Event) Ended(began time.Time, message string, err error) Event {
	e.State, e.Message = Success, message
	if err != nil {
		e.State, e.Message = Failure, err.Error()
	}
	e.Seconds = max(time.Since(began), time.Microsecond).Round(time.Microsecond).Seconds()
	return e
}
