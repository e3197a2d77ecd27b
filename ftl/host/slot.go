package host

import (
	"context"
	"errors"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
)

// Where no more than some hosts may change at the same time, each takes a slot before its pre-jump,
// and gives it back at the end. One that failed keeps it until it is well again, or its lease is
// over. A jump by hand takes none.

// takeSlot takes a slot for the rollout of the newest entry, if it needs one. Where none is free,
// the error is errNotYet.
func (l *locked) takeSlot(ctx context.Context) error {
	if l.rolling == nil || l.rolling.entry.Rollout.AtOnce == 0 {
		return nil
	}
	entry, node := l.rolling.entry, l.host.node()
	part := l.State.Participate(entry)
	now := time.Now()
	for number := 1; number <= entry.Rollout.AtOnce; number++ {
		slot, date, err := l.rolling.bucket.Slot(ctx, l.Name, number)
		if err != nil {
			return err
		}
		if !date.IsZero() {
			now = date
		}
		if slot.Host == node && slot.Serial == entry.Serial && part.Slot == number && now.Before(slot.Until) {
			return nil
		}
		older := entry.Kind == catalog.KindJumpBack && slot.Serial < entry.Serial
		if slot.Host != (catalog.Node{}) && now.Before(slot.Until) && !older {
			continue
		}
		// The state says so before it is taken: a host that dies in between knows its slot again.
		part.Slot = number
		if err := l.WriteState(); err != nil {
			return err
		}
		_, err = l.rolling.bucket.Take(ctx, l.Name, slot, node, entry.Serial, now.Add(l.lease()))
		if !errors.Is(err, catalog.ErrSlotTaken) {
			return err
		}
	}
	if part.Slot != 0 {
		part.Slot = 0
		if err := l.WriteState(); err != nil {
			return err
		}
	}
	return errNotYet
}

// lease is for how long a slot is taken.
func (l *locked) lease() time.Duration {
	if lease := l.rolling.entry.Rollout.Lease; lease > 0 {
		return lease
	}
	return 5*l.host.hookTimeout() + 2*l.host.checkTimeout() + 5*time.Minute
}

// checkSlot makes sure that the slot is still ours.
func (l *locked) checkSlot(ctx context.Context) error {
	part := l.State.Rollout
	if l.rolling.entry.Rollout.AtOnce == 0 {
		return nil
	}
	if part == nil || part.Slot == 0 {
		return errNotYet
	}
	slot, date, err := l.rolling.bucket.Slot(ctx, l.Name, part.Slot)
	if err != nil {
		return err
	}
	if slot.Host != l.host.node() || slot.Serial != part.Serial || !date.IsZero() && !date.Before(slot.Until) {
		part.Slot = 0
		return ftl.Join(l.WriteState(), errNotYet)
	}
	return nil
}

// giveSlot gives the slot back, unless the host is in trouble, or in the middle of its jump.
func (l *locked) giveSlot(ctx context.Context) error {
	part := l.State.Rollout
	if part == nil || part.Slot == 0 || l.State.Jump != nil || l.State.Inconsistent != "" {
		return nil
	}
	slot, _, err := l.rolling.bucket.Slot(ctx, l.Name, part.Slot)
	if err != nil {
		return err
	}
	if slot.Host == l.host.node() && slot.Serial == part.Serial {
		if err := l.rolling.bucket.Give(ctx, l.Name, slot); err != nil {
			return err
		}
	}
	part.Slot = 0
	return l.WriteState()
}
