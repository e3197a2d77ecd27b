// Package master writes the bucket: it spools revisions, blesses them and removes them. What the
// bucket then says, and in which formats, is the business of package catalog.
package master

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// Master changes what a bucket holds. Bucket is required.
type Master struct {
	Bucket *catalog.Catalog
	By     string // user@host, for the marker and the manifests
	// Caller tells who the bucket's own accounts say that this is, "" where nobody can; nil: nobody
	// does. What it says stands beside By. It is called more than once.
	Caller func(context.Context) string
	// Signing is how revisions and blessings are signed; nil is not at all.
	Signing *catalog.Signing

	// DryRun makes Jump, JumpBack, Purge and Clean only tell what they would do,
	// as steps that are planned.
	DryRun bool

	// Confirm is shown each entry that is to be blessed, and the marker that it is added to; an
	// error keeps it from being written. Halt shows the entry whose rollout it halts. A dry run
	// asks, too. Nil: nobody has to confirm.
	Confirm func(catalog.Marker, catalog.Entry) error

	Report func(ftl.Event)                  // nil: nobody listens
	Warn   func(format string, args ...any) // nil: nobody listens

	Progress func(ftl.Progress) // called often; nil: nobody listens
	Now      func() time.Time   // nil: the machine's clock
}

// during says what was being done when the bucket failed. The other failures
// say it themselves.
func during(err error, format string, args ...any) error {
	if _, told := errors.AsType[*ftl.Error](err); told || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// prepare reads the marker, and makes sure that the bucket keeps the condition
// under which it will be written.
func (m *Master) prepare(ctx context.Context, pkg revision.Package) (marker catalog.Marker, err error) {
	group, ctx := errgroup.WithContext(ctx)
	if !m.DryRun {
		group.Go(func() error { return m.Bucket.CheckConditions(ctx) })
		group.Go(func() error { m.by(ctx); return nil })
	}
	group.Go(func() (err error) {
		marker, err = m.Bucket.Marker(ctx, pkg)
		return err
	})
	return marker, group.Wait()
}

// confirm asks whether an entry is the one that is meant.
func (m *Master) confirm(marker catalog.Marker, entry catalog.Entry) error {
	if m.Confirm == nil {
		return nil
	}
	return m.Confirm(marker, entry)
}

func newOp() string { return strings.ToLower(rand.Text()[:16]) }

// by returns who does it.
func (m *Master) by(ctx context.Context) string {
	by := m.By
	if m.Caller != nil {
		if caller := m.Caller(ctx); caller != "" {
			by += " (" + caller + ")"
		}
	}
	return by[:min(len(by), catalog.MaxBy)]
}

func (m *Master) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

func (m *Master) report(event ftl.Event) {
	if m.Report != nil {
		event.Time = m.now()
		m.Report(event)
	}
}

// A task is a step of the master's: a dry run tells of it once, as planned, and otherwise it is
// told of when it begins and when it has ended.
type task struct {
	m     *Master
	event ftl.Event
	begun *ftl.Task
}

func (m *Master) begin(event ftl.Event) task {
	if m.DryRun {
		return task{m: m, event: event}
	}
	return task{begun: ftl.Begin(m.report, event)}
}

// end ends the step. In a dry run the message says what has made it unnecessary, "" nothing.
func (t task) end(message string, err error) {
	switch {
	case t.begun != nil:
		t.begun.End(message, err)
	case err != nil:
	case message != "":
		t.event.State, t.event.Message = ftl.Success, message
		t.m.report(t.event)
	default:
		t.event.State = ftl.Planned
		t.m.report(t.event)
	}
}

func (m *Master) warn(format string, args ...any) {
	if m.Warn != nil {
		m.Warn(format, args...)
	}
}
