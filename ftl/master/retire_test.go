package master

import (
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// Somebody who blesses a revision while the package goes wants it, and keeps it.
func TestRetireStopsForABlessing(t *testing.T) {
	bucket := openBucket(t)
	one, two := spoolTwo(t, bucket)
	other := newMaster(t, bucket)
	var three revision.Revision
	err := newMaster(t, afterDelete(bucket, func() { // of the first one's manifest
		three = spool(t, other, "tool.txt", "3")
		if err := other.Jump(t.Context(), two, JumpOptions{}); err != nil {
			t.Error(err)
		}
	})).Retire(t.Context(), one.Package(), "")
	if !isKind(err, ftl.Refused) {
		t.Errorf("Retire: %v, want a refusal, as %s was blessed", err, two)
	}
	whole(t, bucket, two)
	whole(t, bucket, three)
	if active, _ := readMarker(t, bucket, "tool").Active(); active.Revision != two {
		t.Errorf("active is %s, want %s", active.Revision, two)
	}

	if err := other.Retire(t.Context(), one.Package(), ""); err != nil {
		t.Fatal(err)
	}
	if left := keys(t, bucket, "tool."); len(left) != 1 {
		t.Errorf("the bucket has %v, want the marker only", left)
	}
	marker := readMarker(t, bucket, "tool")
	if _, blessed := marker.Active(); blessed || !marker.Retired() {
		t.Errorf("the marker is %+v, want it retired", marker)
	}
	if _, ok := marker.Previous(); ok {
		t.Error("there is a way back")
	}
}
