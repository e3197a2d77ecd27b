package host

import (
	"context"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// Hold makes sync fetch what is new but leave the links and what runs alone,
// until Unhold. A jump that was interrupted is still ended, and one by hand
// works. To hold a package again replaces who, when and why.
func (h *Host) Hold(ctx context.Context, name revision.Package, reason string) error {
	p, reason := h.open(name), hooks.Harmless(reason) // it ends on terminals
	defer p.Close()
	if h.DryRun {
		return p.rehearseChange(func(d *rehearsal) { d.tell(revision.Revision{}, ftl.Hold, reason) })
	}
	return p.changeState(ctx, func(l *locked) error {
		task := l.begins(revision.Revision{}, ftl.Hold)
		l.State.Hold = &tree.Hold{By: hooks.Harmless(h.User), At: time.Now(), Reason: reason}
		err := l.WriteState()
		task.End(reason, err)
		return err
	})
}

// Unhold ends a hold: the next sync follows the master again, unless somebody has jumped by hand
// meanwhile, which it says. Where there is no hold, there is nothing to do.
func (h *Host) Unhold(ctx context.Context, name revision.Package) error {
	p := h.open(name)
	defer p.Close()
	if h.DryRun {
		return p.rehearseChange(func(d *rehearsal) {
			if d.state.Hold != nil {
				d.tell(revision.Revision{}, ftl.Unhold, "was "+d.state.Hold.String())
			}
		})
	}
	return p.changeState(ctx, func(l *locked) error {
		if l.State.Hold == nil {
			ftl.Begin(l.tellCaller, ftl.Event{Step: ftl.Unhold}).End("was not held", nil)
			return nil
		}
		task, was := l.begins(revision.Revision{}, ftl.Unhold), *l.State.Hold
		l.State.Hold = nil
		err := l.WriteState()
		task.End("was "+was.String(), err)
		if err == nil {
			l.sayByHand()
		}
		return err
	})
}

// sayByHand tells who ends a hold that sync goes on to leave alone what somebody has jumped to.
func (l *locked) sayByHand() {
	cur, err := l.Links()
	blessed := l.State.Seen.Revision
	if _, rejected := l.State.Rejected[blessed]; err != nil || rejected || blessed == (revision.Revision{}) || blessed == cur.Current || l.State.Seen.After(l.State.Acted) {
		return
	}
	l.host.warn("%s: somebody jumped to %s by hand, which stands until a revision is blessed anew; to follow the master: ftl jump %s", l.Name, cur.Current, blessed)
}

// changeState calls f for a command that changes nothing but the state. It does
// not wait for a download.
func (p *pkg) changeState(ctx context.Context, f func(*locked) error) error {
	if err := p.begin(); err != nil {
		return err
	}
	return p.withLock(ctx, tree.Patience{Wait: p.host.lockWait()}, func(l *locked) error {
		if l.State.Removed {
			return p.removedError()
		}
		return f(l)
	})
}

// rehearseChange shows what changeState would do.
func (p *pkg) rehearseChange(show func(*rehearsal)) error {
	d, err := p.rehearse(mendsNothing)
	if err != nil {
		return err
	}
	if d.state.Removed {
		return p.removedError()
	}
	show(d)
	return nil
}

// removedError is the error of a package of which only the shared directory was
// kept.
func (p *pkg) removedError() error {
	return ftl.Errorf(ftl.NotFound, "to subscribe again: ftl sync "+p.Name.String(), "%s was removed from this host", p.Name)
}

// sayHeld tells a person who syncs by hand why nothing comes of it.
func (p *pkg) sayHeld() {
	if st, err := p.ReadState(); err == nil && st.Hold != nil {
		p.host.warn("%s is %s; to go on: ftl unhold %s", p.Name, st.Hold, p.Name)
	}
}
