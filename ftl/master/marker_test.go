package master

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/store"
)

func TestMarkerIsBounded(t *testing.T) {
	m := newMaster(t, openBucket(t))
	one, two := spool(t, m, "tool", "one"), spool(t, m, "tool", "two")
	for range catalog.MaxEntries/2 + 5 {
		if err := errors.Join(m.Jump(t.Context(), one, JumpOptions{}), m.Jump(t.Context(), two, JumpOptions{})); err != nil {
			t.Fatal(err)
		}
	}
	marker := readMarker(t, m.Bucket, "tool")
	if len(marker.Entries) != catalog.MaxEntries {
		t.Errorf("%d entries, want %d", len(marker.Entries), catalog.MaxEntries)
	}
	for i, entry := range marker.Entries[1:] {
		if entry.Serial >= marker.Entries[i].Serial {
			t.Errorf("entry %d has serial %d, below %d", i+1, entry.Serial, marker.Entries[i].Serial)
		}
	}
}

// Only the bucket's own "not found" is an absent marker.
func TestMarkerThatCannotBeReadIsAnError(t *testing.T) {
	denied := &store.Error{Op: "get", Key: "tool.rev", Err: fs.ErrPermission}
	bucket := unreadable{openBucket(t), denied}
	if marker, err := (&catalog.Catalog{Bucket: bucket}).Marker(t.Context(), parsePackage(t, "tool")); !errors.Is(err, denied) {
		t.Errorf("got %+v, %v; want the error of the bucket", marker, err)
	}
	m := newMaster(t, bucket)
	if err := m.Jump(t.Context(), parse(t, "tool.1"), JumpOptions{}); !errors.Is(err, denied) {
		t.Errorf("Jump: %v, want the error of the bucket", err)
	}
	if err := m.Purge(t.Context(), parse(t, "tool.1"), PurgeOptions{}); !errors.Is(err, denied) {
		t.Errorf("Purge: %v, want the error of the bucket", err)
	}
}
