package host

import (
	"sync/atomic"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// teller tells of what is done to a package: whoever called, and its log.
type teller struct {
	*tree.Tree
	host     *Host
	failures atomic.Int32 // that the log was told of
	recorded recorder     // the steps of a jump that goes on
}

// report tells the caller of a step, and the package's log.
func (p *teller) report(event ftl.Event) { p.reportAs(event, tree.Details{}) }

// begins tells that a step of a revision begins.
func (p *teller) begins(r revision.Revision, step ftl.Step) *ftl.Task {
	return ftl.Begin(p.report, ftl.Event{Revision: r, Step: step})
}

// tellAtOnce tells of a step that takes no time.
func (p *teller) tellAtOnce(r revision.Revision, step ftl.Step, message string) {
	p.begins(r, step).End(message, nil)
}

func (p *teller) reportAs(event ftl.Event, d tree.Details) {
	p.tellCaller(event)
	p.note(event, d)
}

// tellCaller tells of a step, and leaves it out of the log.
func (p *teller) tellCaller(event ftl.Event) {
	event.Time, event.Package = time.Now(), p.Name
	p.recorded.add(event)
	p.host.report(event)
}

// note writes a step into the package's log, and counts the failures that it tells of.
func (p *teller) note(event ftl.Event, d tree.Details) {
	if event.State == ftl.Failure {
		p.failures.Add(1)
	}
	p.WriteLog(event, d)
}
