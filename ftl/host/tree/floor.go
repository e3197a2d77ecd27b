package tree

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
)

// Floor is how far a package has come with blessings that were verified: none below is followed
// again. It lies apart from the state, so that it outlives one that is lost or set aside. Where it
// is, signatures are required from then on.
type Floor struct {
	Format int `json:"format"`
	// Keys are by their fingerprints. Only those that are still trusted count, so that a key which
	// was stolen and removed keeps nobody from going on.
	Keys map[string]Followed `json:"keys"`
}

// Followed is the newest entry by a key that a host has followed.
type Followed struct {
	Serial int64          `json:"serial"`
	Entry  catalog.Digest `json:"entry"`
	At     time.Time      `json:"at"` // that has passed, as the entry's signer said
}

const (
	floorFormat = 1
	maxFloor    = 1 << 20
	// maxAhead is how far in the future a serial may be. As it is never lowered, one far ahead
	// would let nothing follow.
	maxAhead = 24 * time.Hour
)

func (t *Tree) floorPath() string { return filepath.Join(t.Meta(), "floor") }

// ReadFloor returns the floor, which has no keys where nothing was verified yet. One that can't be
// read is an error: nothing is followed without it.
func (t *Tree) ReadFloor() (*Floor, error) {
	floor := &Floor{Format: floorFormat}
	text, err := t.Files.ReadFile(t.floorPath(), maxFloor)
	if errors.Is(err, fs.ErrNotExist) {
		return floor, nil
	}
	if err == nil {
		err = json.Unmarshal(text, floor)
	}
	switch {
	case err == nil && floor.Format > floorFormat:
		err = fmt.Errorf("it has the format %d, of a newer ftl", floor.Format)
	case err == nil && len(floor.Keys) == 0:
		err = errors.New("it has no keys")
	}
	if err != nil {
		return nil, ftl.Errorf(ftl.Refused, "restore it, or remove it to follow the newest blessing that is signed: rm "+ftl.Quoted(t.floorPath()),
			"what was followed before can't be read, so nothing is followed: %s: %w", t.floorPath(), err)
	}
	return floor, nil
}

// IsSet reports whether anything was verified yet.
func (f *Floor) IsSet() bool { return len(f.Keys) > 0 }

// highest returns the newest entry that was followed by one of the keys that count.
func (f *Floor) highest(counts func(fingerprint string) bool) Followed {
	var highest Followed
	for fingerprint, followed := range f.Keys {
		if followed.Serial > highest.Serial && counts(fingerprint) {
			highest = followed
		}
	}
	return highest
}

// Since returns a time that has passed, by what the keys that count have signed.
func (f *Floor) Since(counts func(fingerprint string) bool) time.Time { return f.highest(counts).At }

// ErrRollback and ErrEquivocation say that an entry is not one to follow after those before.
var (
	ErrRollback     = errors.New("somebody has put an older blessing back")
	ErrEquivocation = errors.New("somebody has signed two blessings under one serial, and this host has seen the other one")
)

// Check refuses an entry that is older than the floor, or too new. The time is the earliest that it
// may be now.
func (f *Floor) Check(entry catalog.Entry, counts func(fingerprint string) bool, now time.Time) error {
	highest := f.highest(counts)
	switch {
	case time.Unix(entry.Serial, 0).After(now.Add(maxAhead)):
		return fmt.Errorf("its serial %d is more than a day ahead of the clock", entry.Serial)
	case entry.Serial < highest.Serial:
		return fmt.Errorf("%w: its serial is %d, and %d was followed", ErrRollback, entry.Serial, highest.Serial)
	case entry.Serial == highest.Serial && entry.Digest() != highest.Entry:
		return fmt.Errorf("%w: %d", ErrEquivocation, entry.Serial)
	}
	return nil
}

// isOfForgotten reports whether a mark was set by a key that does not count any more.
func (f *Floor) isOfForgotten(mark Mark, counts func(fingerprint string) bool) bool {
	for fingerprint, followed := range f.Keys {
		if followed.Serial == mark.Serial && !counts(fingerprint) {
			return true
		}
	}
	return false
}

// RaiseFloor notes durably that an entry is followed, before anything is done about it.
func (l *Locked) RaiseFloor(entry catalog.Entry) error {
	floor, err := l.Tree.ReadFloor()
	if err != nil {
		return err
	}
	old := floor.Keys[entry.Signer.Fingerprint]
	if old.Serial >= entry.Serial {
		return nil
	}
	if floor.Keys == nil {
		floor.Keys = make(map[string]Followed)
	}
	at := time.Unix(entry.Serial, 0).UTC()
	if entry.At.Before(at) {
		at = entry.At.UTC()
	}
	floor.Keys[entry.Signer.Fingerprint] = Followed{entry.Serial, entry.Digest(), at}
	text, err := json.MarshalIndent(floor, "", "  ")
	if err == nil {
		err = l.Tree.WithReserve(func() error { return l.Tree.Files.WriteFile(l.Tree.floorPath(), append(text, '\n'), 0o644) })
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", l.Tree.floorPath(), err)
	}
	return nil
}
