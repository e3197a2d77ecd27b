package host

import (
	"context"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// Hold is a person's wish that sync leaves alone what is active.
type Hold struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// String says who holds a package, since when, and why.
func (h Hold) String() string {
	text := "held"
	if h.By != "" {
		text += " by " + h.By
	}
	text += " since " + clock(h.At)
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	return text
}

// clock is how a time is shown to people.
func clock(t time.Time) string { return t.Local().Format(time.DateTime) }

// Hold makes sync fetch what is new but leave the links and what runs alone,
// until Unhold. A jump that was interrupted is still ended, and one by hand
// works. To hold a package again replaces who, when and why.
func (h *Host) Hold(ctx context.Context, name revision.Package, reason string) error {
	p := h.open(name)
	return p.changeState(ctx, func(st *state) error {
		st.Hold = &Hold{By: h.User, At: time.Now(), Reason: reason}
		if err := p.writeState(st); err != nil {
			return err
		}
		p.report(ftl.Event{Step: ftl.Hold, State: ftl.Success, Message: reason})
		return nil
	})
}

// Unhold ends a hold: the next sync follows the master again. Where there is no
// hold, there is nothing to do.
func (h *Host) Unhold(ctx context.Context, name revision.Package) error {
	p := h.open(name)
	return p.changeState(ctx, func(st *state) error {
		if st.Hold == nil {
			h.report(ftl.Event{Time: time.Now(), Package: name, Step: ftl.Unhold, State: ftl.Success, Message: "was not held"})
			return nil
		}
		was := *st.Hold
		st.Hold = nil
		if err := p.writeState(st); err != nil {
			return err
		}
		p.report(ftl.Event{Step: ftl.Unhold, State: ftl.Success, Message: "was " + was.String()})
		return nil
	})
}

// changeState calls f for a command that changes nothing but the state. It does
// not wait for a download.
func (p *pkg) changeState(ctx context.Context, f func(*state) error) error {
	if err := p.begin(); err != nil {
		return err
	}
	return p.withLock(ctx, patience{wait: p.host.lockWait()}, func(*lock) error {
		st, err := p.readState()
		if err != nil {
			return err
		}
		if st.Removed {
			return p.removedError()
		}
		return f(st)
	})
}

// removedError is the error of a package of which only the shared directory was
// kept.
func (p *pkg) removedError() error {
	return ftl.Errorf(ftl.NotFound, "to subscribe again: ftl sync "+p.name.String(), "%s was removed from this host", p.name)
}

// sayHeld tells a person who syncs by hand why nothing comes of it.
func (p *pkg) sayHeld() {
	if st, err := p.readState(); err == nil && st.Hold != nil {
		p.host.warn("%s is %s; to go on: ftl unhold %s", p.name, st.Hold, p.name)
	}
}
