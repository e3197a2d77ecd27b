package master

import (
	"context"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
)

// The clocks of build boxes are often wrong, and ids and the times of entries are made from them.
const (
	clockWarning = 5 * time.Minute // difference to the bucket's clock
	clockRefusal = 24 * time.Hour
)

// checkClock compares the clock here with the bucket's. A bucket that doesn't tell its time can't
// be compared with.
func (m *Master) checkClock(bucket time.Time) error {
	if bucket.IsZero() {
		return nil
	}
	switch skew := m.now().Sub(bucket).Round(time.Second); {
	case skew.Abs() > clockRefusal:
		return ftl.Errorf(ftl.Refused, "set this machine's clock", "the clock here differs from the bucket's by %v", skew)
	case skew.Abs() > clockWarning:
		m.warn("the clock here differs from the bucket's by %v", skew)
	}
	return nil
}

// leastSerial returns the least serial of the marker's next entry: the Unix time, by the bucket's
// clock if that is known. So it rises also where the marker was lost. Then it is also greater than
// any time that the bucket has of the package's objects, as the clock may have been ahead when the
// marker was written.
func (m *Master) leastSerial(ctx context.Context, marker catalog.Marker, date time.Time) (int64, error) {
	if date.IsZero() {
		date = m.now()
	}
	if newest, _ := marker.Newest(); newest.Serial > 0 {
		return date.Unix(), nil
	}
	contents, err := m.Bucket.Contents(ctx, marker.Package)
	if err != nil {
		return 0, err
	}
	return max(date.Unix(), contents.Newest.Unix()+1), nil
}
