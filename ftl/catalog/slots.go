package catalog

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Slot is one of the places that a package has for hosts which change at the same time. Who holds
// it is settled by conditional writes.
type Slot struct {
	Number int       // from 1
	Host   Node      // that holds it; zero where it is free
	Serial int64     // of the entry that the host follows
	Until  time.Time // by the bucket's clock; after that anybody may take it

	etag string // "" where the slot was never taken
}

// slotText is what a slot's object has.
type slotText struct {
	Host   Node      `json:"host"`
	Serial int64     `json:"serial"`
	Until  time.Time `json:"until"`
	Op     string    `json:"op"` // of whoever wrote it, so that it knows its own
}

const maxSlotBytes = 4096

// ErrSlotTaken says that somebody else was faster.
var ErrSlotTaken = errors.New("another host has taken the slot")

const allSlots = ours + "slots/"

func slotKey(pkg revision.Package, number int) string {
	return fmt.Sprintf("%s%s/%d", allSlots, pkg, number)
}

// Slot reads a slot, and the bucket's clock, which is zero where the slot was never taken. One that
// can't be made sense of is an error, and not free.
func (c *Catalog) Slot(ctx context.Context, pkg revision.Package, number int) (Slot, time.Time, error) {
	slot, _, date, err := c.readSlot(ctx, pkg, number)
	return slot, date, err
}

func (c *Catalog) readSlot(ctx context.Context, pkg revision.Package, number int) (Slot, slotText, time.Time, error) {
	key := slotKey(pkg, number)
	var content slotText
	text, object, err := readObject(ctx, c.Bucket, key, maxSlotBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return Slot{Number: number}, content, time.Time{}, nil
	}
	if err != nil {
		return Slot{}, content, time.Time{}, err
	}
	if err := json.Unmarshal(text, &content); err != nil {
		return Slot{}, content, time.Time{}, refused(fmt.Errorf("read %s: %w", key, err))
	}
	return Slot{number, content.Host, content.Serial, content.Until, object.ETag}, content, object.Date, nil
}

// Take writes a slot for a host, if it still is as it was read; otherwise the error is
// ErrSlotTaken. What it returns is held, and is given back by Give.
func (c *Catalog) Take(ctx context.Context, pkg revision.Package, slot Slot, host Node, serial int64, until time.Time) (Slot, error) {
	slot.Host, slot.Serial, slot.Until = host, serial, until
	return c.writeSlot(ctx, pkg, slot)
}

// Give gives a slot back. One that somebody else has taken meanwhile is not an error: it is no
// longer ours to give.
func (c *Catalog) Give(ctx context.Context, pkg revision.Package, slot Slot) error {
	slot.Host, slot.Until = Node{}, time.Time{}
	_, err := c.writeSlot(ctx, pkg, slot)
	if errors.Is(err, ErrSlotTaken) {
		return nil
	}
	return err
}

func (c *Catalog) writeSlot(ctx context.Context, pkg revision.Package, slot Slot) (Slot, error) {
	content := slotText{slot.Host, slot.Serial, slot.Until, rand.Text()}
	text, err := json.Marshal(content)
	if err != nil {
		return Slot{}, err
	}
	opts := store.PutOptions{SHA256: sha256.Sum256(text), IfAbsent: slot.etag == "", IfMatch: slot.etag}
	object, err := c.Put(ctx, slotKey(pkg, slot.Number), bytes.NewReader(text), opts)
	if !errors.Is(err, store.ErrPrecondition) {
		slot.etag = object.ETag
		return slot, err
	}
	// It may be the echo of a try of our own whose answer was lost.
	now, found, _, readErr := c.readSlot(ctx, pkg, slot.Number)
	if readErr == nil && found.Op == content.Op {
		return now, nil
	}
	return Slot{}, errors.Join(ErrSlotTaken, readErr)
}
