package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
)

// Marker is a package's log of what was blessed. One that is not in the bucket
// has no entries.
type Marker struct {
	Package  revision.Package
	Entries  []Entry   // newest first
	Modified time.Time // when it was last written, by the bucket's clock
	Date     time.Time // the bucket's clock when it was read
	// Clock is what time it was then, where signatures were verified.
	Clock trust.Clock

	ETag string // "" where there is no marker
}

// Entry is one line of a marker: somebody blessed a revision. As JSON it is a line of
// ftl log --master.
type Entry struct {
	Revision revision.Revision `json:"revision"`
	// Serial strictly rises from entry to entry. It is 0 in a line that is only
	// a name, as older buckets have them.
	Serial int64     `json:"serial"`
	Op     string    `json:"-"`    // of the command that wrote it, so that it knows its own
	At     time.Time `json:"at"`   // by the clock of whoever wrote it
	By     string    `json:"by"`   // user@host
	Kind   string    `json:"kind"` // one of the kinds below
	// Manifest is the digest of the manifest that was blessed. It is zero in entries of an older
	// ftl.
	Manifest Digest `json:"manifest"`
	Note     string `json:"note"`
	// Params are what hooks are told, and those of before are not. Nil is none.
	Params Params `json:"params"`
	// Labels are those of the revision, which are not in the marker; see Catalog.Label.
	Labels Labels `json:"labels"`
	// Base is where hosts stay, or go back to, as long as the entry's rollout is not settled; zero
	// where there was nothing that had settled before. BaseManifest is the digest of its manifest.
	Base         revision.Revision `json:"base,omitzero"`
	BaseManifest Digest            `json:"-"`
	// Rollout says in which waves hosts follow the entry; nil is all of them at once.
	Rollout *rollout.Plan `json:"-"`

	// Retired is set in an entry that takes the package out of the bucket, instead of blessing.
	Retired bool `json:"-"`

	// Expires is when hosts that trust signatures no longer follow the entry; zero is never.
	Expires time.Time `json:"-"`
	// Renews is the serial of an older entry that this one has only signed again: whoever is done
	// with that is done with this one. 0 is none.
	Renews int64 `json:"-"`
	// Signed is set where there is a signature, and Signer is who made it, where that was verified.
	Signed bool         `json:"-"`
	Signer trust.Signer `json:"signer,omitzero"`

	line    string   // as it was read, below the comments that stood above it
	unknown []string // critical words
}

// MarshalJSON adds the package, and has null for a time that is unknown.
func (e Entry) MarshalJSON() ([]byte, error) {
	type entry Entry // whose fields are the rest
	return json.Marshal(struct {
		Package revision.Package `json:"package"`
		entry
		At ftl.Time `json:"at"`
	}{e.Revision.Package(), entry(e), ftl.At(e.At)})
}

// The kinds of entry.
const (
	KindJump     = "jump"
	KindJumpBack = "jump-back"
	KindRetire   = "retire"
	KindAdopt    = "adopt" // it was blessed by an ftl of 2014
	KindRenew    = "renew" // the entry below was signed again
)

// Limits of a marker. A manifest has the last two as well.
const (
	MaxEntries     = 100 // lines
	maxMarkerBytes = 1 << 20
	MaxSerial      = 1 << 53 // leaves room to rise, and is exact in JSON

	MaxNote = 1000 // bytes of a note, in a marker or a manifest
	MaxBy   = 200  // bytes of a By, so that there is room for the rest of a header
)

// Newest returns the newest entry, and false where nothing was ever blessed.
func (m Marker) Newest() (Entry, bool) {
	if len(m.Entries) == 0 {
		return Entry{}, false
	}
	return m.Entries[0], true
}

// Retired reports whether the package was taken out of the bucket.
func (m Marker) Retired() bool {
	newest, _ := m.Newest()
	return newest.Retired
}

// Active returns the newest entry, and false where nothing is blessed.
func (m Marker) Active() (Entry, bool) {
	if len(m.Entries) == 0 || m.Retired() {
		return Entry{}, false
	}
	return m.Entries[0], true
}

// Previous returns the newest entry that names another revision than the active one, and false
// where there is none.
func (m Marker) Previous() (Entry, bool) {
	active, blessed := m.Active()
	for _, entry := range m.Entries {
		if blessed && entry.Revision != active.Revision && !entry.Retired {
			return entry, true
		}
	}
	return Entry{}, false
}

// Params returns the parameters with which a revision was blessed last.
func (m Marker) Params(r revision.Revision) Params {
	for _, entry := range m.Entries {
		if entry.Revision == r {
			return entry.Params
		}
	}
	return nil
}

// Content returns the digest of the manifest that was blessed under a name, as the newest entry of
// that name says, or that has it as its base; zero where none says.
func (m Marker) Content(r revision.Revision) Digest {
	for _, entry := range m.Entries {
		if entry.Revision == r {
			return entry.Manifest
		}
		if entry.Base == r && entry.BaseManifest != (Digest{}) {
			return entry.BaseManifest
		}
	}
	return Digest{}
}

// Marker reads a package's marker. Only the bucket's own word that there is none makes a marker
// without entries; any other failure is an error. With trust, the entries are those that were
// verified, and where the first line is none the error is a TrustError. A host reads no further
// down than it needs, which naming says beside the rest.
func (c *Catalog) Marker(ctx context.Context, pkg revision.Package, naming ...revision.Revision) (Marker, error) {
	marker := Marker{Package: pkg}
	text, object, err := readObject(ctx, c.Bucket, MarkerKey(pkg), maxMarkerBytes+1)
	if errors.Is(err, fs.ErrNotExist) {
		return marker, nil
	}
	if err != nil {
		return Marker{}, err
	}
	if len(text) > maxMarkerBytes {
		return Marker{}, refused(fmt.Errorf("read %s: it is longer than %d bytes, so it is no marker", MarkerKey(pkg), maxMarkerBytes))
	}
	marker.ETag, marker.Modified, marker.Date = object.ETag, object.Modified, object.Date
	if c.Trust == nil {
		marker.Entries, err = parseMarker(pkg, string(text))
	} else {
		marker.Clock = c.Trust.clock(object.Date)
		marker.Entries, err = c.Trust.readMarker(pkg, string(text), marker.Clock, naming)
	}
	if _, untrusted := errors.AsType[*TrustError](err); untrusted {
		return Marker{}, err
	}
	if err != nil {
		return Marker{}, refused(fmt.Errorf("read %s: %w", MarkerKey(pkg), err))
	}
	if newest, ok := marker.Newest(); ok && newest.Rollout != nil {
		newest.Rollout.Opened = object.Modified
	}
	return marker, nil
}

// parseMarker reads the lines of a marker. One that begins with "#" is a comment, and is kept with
// the entry below it.
func parseMarker(pkg revision.Package, text string) ([]Entry, error) {
	var entries []Entry
	comments := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "#") {
			comments += line + "\n"
			continue
		}
		entry, err := parseEntry(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if entry.Revision.Package() != pkg {
			return nil, fmt.Errorf("line %d: %s is not a revision of %s", i+1, entry.Revision, pkg)
		}
		entry.line, comments = comments+entry.line, ""
		entries = append(entries, entry)
	}
	if len(entries) == 0 {
		return nil, errNoEntries
	}
	return entries, nil
}

var errNoEntries = errors.New("it is empty; a marker names at least one revision")

// parseEntry reads a revision's name and then key=value words. Those with an unknown key are left
// alone, and those whose key is critical are noted.
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
			if entry.Rollout != nil {
				entry.Rollout.Revision = r
			}
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
		if err != nil || e.Serial < 0 || e.Serial > MaxSerial {
			return fmt.Errorf("serial %q is not a whole number from 0 to %d", value, int64(MaxSerial))
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
	case "manifest":
		if e.Manifest, err = ParseDigest(value); err != nil {
			return fmt.Errorf("manifest: %w", err)
		}
	case "note":
		e.Note = value
	case "base":
		if e.Base, err = revision.Parse(value); err != nil {
			return fmt.Errorf("base: %w", err)
		}
	case "base-manifest":
		if e.BaseManifest, err = ParseDigest(value); err != nil {
			return fmt.Errorf("base-manifest: %w", err)
		}
	case rolloutWord:
		if e.Rollout, err = rollout.Parse(value); err != nil { // a newer ftl may know it
			e.unknown = append(e.unknown, key)
		}
	case "!retired":
		e.Retired = true
	case "!expires":
		if e.Expires, err = time.Parse(time.RFC3339, value); err != nil {
			return fmt.Errorf("expires: %w", err)
		}
	case "!renews":
		e.Renews, err = strconv.ParseInt(value, 10, 64)
		if err != nil || e.Renews <= 0 || e.Renews > MaxSerial {
			return fmt.Errorf("%q is not the serial of an entry that can be renewed", value)
		}
	case "sig":
		e.Signed = true
	default:
		if name, ok := strings.CutPrefix(key, paramWord); ok && isParamName(name) {
			if e.Params == nil {
				e.Params = make(Params)
			}
			e.Params[name] = value
			return nil
		}
		if isCritical(key) {
			e.unknown = append(e.unknown, key)
		}
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
	if e.Manifest != (Digest{}) {
		line += " manifest=" + e.Manifest.String()
	}
	if e.Retired {
		line += " !retired"
	}
	if !e.Expires.IsZero() {
		line += " !expires=" + e.Expires.UTC().Format(time.RFC3339)
	}
	if e.Renews > 0 {
		line += fmt.Sprintf(" !renews=%d", e.Renews)
	}
	for _, param := range e.Params.words(paramWord) {
		line += " " + param
	}
	if e.Note != "" {
		line += " note=" + strconv.Quote(e.Note)
	}
	if e.Base != (revision.Revision{}) {
		line += " base=" + e.Base.String()
	}
	if e.BaseManifest != (Digest{}) {
		line += " base-manifest=" + e.BaseManifest.String()
	}
	if e.Rollout != nil {
		line += " " + rolloutWord + "=" + strconv.Quote(e.Rollout.String())
	}
	return line
}

// rolloutWord is critical, so that an ftl that can't follow waves does not follow the entry.
const rolloutWord = "!rollout"

// Verb says what was done to the revision.
func (e Entry) Verb() string {
	if e.Retired {
		return "retired"
	}
	return "blessed"
}

// Origin says who wrote the entry and when, as far as it tells.
func (e Entry) Origin() string {
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

// Add returns the bytes of the marker with one more entry. It raises the entry's serial to one more
// than the last, if it is not greater anyway.
func (m Marker) Add(entry *Entry) ([]byte, error) { return m.AddSigned(entry, nil) }

// AddSigned is Add, with a signature of the entry.
func (m Marker) AddSigned(entry *Entry, as *Signing) ([]byte, error) {
	if newest, ok := m.Newest(); ok {
		entry.Serial = max(newest.Serial+1, entry.Serial)
	}
	if entry.Serial > MaxSerial {
		return nil, fmt.Errorf("%s has the serial %d, and no greater one can be read", MarkerKey(m.Package), entry.Serial-1)
	}
	line, err := as.line(m.Package, entry.String())
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	fmt.Fprintln(&text, line)
	for _, old := range m.Entries[:min(len(m.Entries), MaxEntries-1)] {
		fmt.Fprintln(&text, old)
	}
	return text.Bytes(), nil
}

// Find returns the entry that the command with this op wrote.
func (m Marker) Find(op string) (Entry, bool) {
	for _, entry := range m.Entries {
		if entry.Op == op {
			return entry, true
		}
	}
	return Entry{}, false
}
