package ftl

import "time"

// Time is a time that may be unknown: the zero value is null in JSON, and "-" for people.
type Time struct{ time.Time }

// At returns t as a Time.
func At(t time.Time) Time { return Time{t} }

// MarshalJSON is that of time.Time, and null for a time that is unknown.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.Time.MarshalJSON()
}

// UnmarshalJSON is that of time.Time: null is a time that is unknown.
func (t *Time) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		t.Time = time.Time{}
		return nil
	}
	return t.Time.UnmarshalJSON(text)
}

// Clock is how a time is shown to people: on this machine's clock, with its offset from UTC, so
// that it can be compared with what another machine shows. A time that is unknown is "-".
func Clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05Z07:00")
}
