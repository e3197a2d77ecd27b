package master

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Marker is a package's log of what was blessed. One that is not in the bucket
// has no entries.
type Marker struct {
	Package  revision.Package
	Entries  []Entry   // newest first
	Modified time.Time // when it was last written, by the bucket's clock
	Date     time.Time // the bucket's clock when it was read

	etag string // "" where there is no marker
}

// Entry is one line of a marker: somebody blessed a revision.
type Entry struct {
	Revision revision.Revision
	// Serial strictly rises from entry to entry. It is 0 in a line that is only
	// a name, as older buckets have them.
	Serial int64
	Op     string    // of the command that wrote it, so that it knows its own
	At     time.Time // by the clock of whoever wrote it
	By     string    // user@host
	Kind   string    // jump or jump-back
	Note   string

	line string // as it was read
}

// The kinds of entry.
const (
	KindJump     = "jump"
	KindJumpBack = "jump-back"
)

// Limits of a marker.
const (
	maxEntries     = 100
	maxMarkerBytes = 1 << 20
	maxNote        = 1000    // bytes
	maxSerial      = 1 << 53 // leaves room to rise, and is exact in JSON
)

// Active returns the newest entry, and false where nothing was ever blessed.
func (m Marker) Active() (Entry, bool) {
	if len(m.Entries) == 0 {
		return Entry{}, false
	}
	return m.Entries[0], true
}

// Previous returns the newest entry that names another revision than the
// active one, and false where there is none.
func (m Marker) Previous() (Entry, bool) {
	for _, entry := range m.Entries {
		if entry.Revision != m.Entries[0].Revision {
			return entry, true
		}
	}
	return Entry{}, false
}

// ReadMarker reads a package's marker. Only the bucket's own word that there is
// none makes a marker without entries; any other failure is an error.
func ReadMarker(ctx context.Context, bucket store.Bucket, pkg revision.Package) (Marker, error) {
	marker := Marker{Package: pkg}
	text, object, err := readObject(ctx, bucket, markerKey(pkg), maxMarkerBytes+1)
	if errors.Is(err, fs.ErrNotExist) {
		return marker, nil
	}
	if err != nil {
		return Marker{}, err
	}
	if len(text) > maxMarkerBytes {
		return Marker{}, refused(fmt.Errorf("read %s: it is longer than %d bytes, so it is no marker", markerKey(pkg), maxMarkerBytes))
	}
	if marker.Entries, err = parseMarker(pkg, string(text)); err != nil {
		return Marker{}, refused(fmt.Errorf("read %s: %w", markerKey(pkg), err))
	}
	marker.etag, marker.Modified, marker.Date = object.ETag, object.Modified, object.Date
	return marker, nil
}

func parseMarker(pkg revision.Package, text string) ([]Entry, error) {
	var entries []Entry
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		entry, err := parseEntry(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if entry.Revision.Package() != pkg {
			return nil, fmt.Errorf("line %d: %s is not a revision of %s", i+1, entry.Revision, pkg)
		}
		entries = append(entries, entry)
	}
	if len(entries) == 0 {
		return nil, errors.New("it is empty; a marker names at least one revision")
	}
	return entries, nil
}

// parseEntry reads a revision's name and then key=value words, of which those
// with an unknown key are left alone.
func parseEntry(line string) (Entry, error) {
	name, rest := cutBlank(line)
	r, err := revision.Parse(name)
	if err != nil {
		return Entry{}, err
	}
	entry := Entry{Revision: r, line: line}
	for {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			return entry, nil
		}
		var key, value string
		if key, value, rest, err = nextWord(rest); err != nil {
			return Entry{}, err
		}
		if err := entry.set(key, value); err != nil {
			return Entry{}, err
		}
	}
}

// nextWord cuts key=value or key="quoted value" off the beginning of s.
func nextWord(s string) (key, value, rest string, err error) {
	end := strings.IndexAny(s, "= \t")
	if end < 0 || s[end] != '=' {
		word, rest := cutBlank(s)
		return word, "", rest, nil
	}
	key, s = s[:end], s[end+1:]
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutBlank(s)
		return key, value, rest, nil
	}
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", "", fmt.Errorf("the value of %s has no closing quote", key)
	}
	value, err = strconv.Unquote(quoted)
	return key, value, s[len(quoted):], err
}

// cutBlank cuts s at the first space or tab.
func cutBlank(s string) (before, after string) {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func (e *Entry) set(key, value string) (err error) {
	switch key {
	case "serial":
		e.Serial, err = strconv.ParseInt(value, 10, 64)
		if err != nil || e.Serial < 0 || e.Serial > maxSerial {
			return fmt.Errorf("serial %q is not a whole number from 0 to %d", value, int64(maxSerial))
		}
	case "op":
		e.Op = value
	case "at":
		if e.At, err = time.Parse(time.RFC3339, value); err != nil {
			return fmt.Errorf("at: %w", err)
		}
	case "by":
		e.By = value
	case "kind":
		e.Kind = value
	case "note":
		e.Note = value
	}
	return nil
}

// String returns the line that stands for the entry in a marker.
func (e Entry) String() string {
	if e.line != "" {
		return e.line
	}
	line := fmt.Sprintf("%s serial=%d op=%s at=%s by=%s kind=%s",
		e.Revision, e.Serial, e.Op, e.At.UTC().Format(time.RFC3339), word(e.By), e.Kind)
	if e.Note != "" {
		line += " note=" + strconv.Quote(e.Note)
	}
	return line
}

// signature says who wrote the entry and when, as far as it tells.
func (e Entry) signature() string {
	var text string
	if e.By != "" {
		text += " by " + e.By
	}
	if !e.At.IsZero() {
		text += " at " + e.At.UTC().Format(time.RFC3339)
	}
	return text
}

// word quotes a value only where it needs to be, so that a line stays easy to
// read and to cut.
func word(value string) string {
	quoted := strconv.Quote(value)
	if quoted == `"`+value+`"` && !strings.ContainsAny(value, " =") && value != "" {
		return value
	}
	return quoted
}

// add returns the bytes of the marker with one more entry, whose serial it
// sets: one more than the last, and at least the Unix time, so that it rises
// also where the marker was deleted in between.
func (m Marker) add(entry *Entry) ([]byte, error) {
	entry.Serial = entry.At.Unix()
	if active, ok := m.Active(); ok {
		entry.Serial = max(active.Serial+1, entry.Serial)
	}
	if entry.Serial > maxSerial {
		return nil, fmt.Errorf("%s has the serial %d, and no greater one can be read", markerKey(m.Package), entry.Serial-1)
	}
	var text bytes.Buffer
	fmt.Fprintln(&text, *entry)
	for _, old := range m.Entries[:min(len(m.Entries), maxEntries-1)] {
		fmt.Fprintln(&text, old)
	}
	return text.Bytes(), nil
}

// find returns the entry that the command with this op wrote.
func (m Marker) find(op string) (Entry, bool) {
	for _, entry := range m.Entries {
		if entry.Op == op {
			return entry, true
		}
	}
	return Entry{}, false
}
