package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
)

// Trust is whose signatures count for what is read in a bucket. A catalog with one returns nothing
// that they have not signed: bytes are verified first, and then those bytes are read.
type Trust struct {
	Signers trust.Signers
	Bucket  Identity
	// Since is a time that has passed for sure, whatever the clocks say.
	Since time.Time
	// Dropped is told of each line of a marker that does not count, and the others are read, to the
	// end of the marker. That is how whoever writes a marker reads it. Nil is how a host reads it:
	// the first line decides, and what stands below is read only as far as it is needed.
	Dropped func(error)
}

// TrustError says that something in a bucket does not count, as nobody who is trusted has signed it
// like this.
type TrustError struct {
	What string // does not count
	Of   Digest // of what it was found in, so that it can be told once
	Err  error  // may be a [trust.Refusal]
}

func (e *TrustError) Error() string { return fmt.Sprintf("%s is not trusted: %v", e.What, e.Err) }
func (e *TrustError) Unwrap() error { return e.Err }

// ErrUnsigned says that there is no signature.
var ErrUnsigned = errors.New("it is not signed")

// Distrust makes the error of something that does not count.
func Distrust(pkg revision.Package, what string, found []byte, err error) error {
	return &ftl.Error{Kind: ftl.Refused, Hint: "what is signed, and by whom: ftl verify " + pkg.String(), Err: &TrustError{what, sha256.Sum256(found), err}}
}

// clock returns what time it is, by our clock, that of the bucket, which may be zero, and what is
// known for sure.
func (t *Trust) clock(date time.Time) trust.Clock {
	now := time.Now()
	clock := trust.Clock{Earliest: now, Latest: now}
	if !date.IsZero() && date.Before(now) {
		clock.Earliest = date
	}
	for _, at := range []time.Time{date, t.Since} {
		if at.After(clock.Latest) {
			clock.Latest = at
		}
	}
	return clock
}

// NotBefore returns a catalog that takes it for sure that a time has passed. Without trust it is
// the catalog itself.
func (c *Catalog) NotBefore(since time.Time) *Catalog {
	if c.Trust == nil || !since.After(c.Trust.Since) {
		return c
	}
	later := *c.Trust
	later.Since = since
	return &Catalog{Bucket: c.Bucket, Trust: &later}
}

// readMarker reads the lines of a marker that count. A host reads down to the first that names
// another revision than the newest one, to the newest one's base, and to each revision in naming.
func (t *Trust) readMarker(pkg revision.Package, text string, clock trust.Clock, naming []revision.Revision) ([]Entry, error) {
	var entries []Entry
	first, number := true, 0
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if number++; number > MaxEntries {
			break
		}
		entry, err := t.readLine(pkg, line, clock)
		if err == nil && len(entries) > 0 && entry.Serial >= entries[len(entries)-1].Serial {
			err = errSerial
		}
		if err != nil {
			err = Distrust(pkg, fmt.Sprintf("line %d of %s", i+1, MarkerKey(pkg)), []byte(line), err)
		}
		switch {
		case err == nil:
			entries = append(entries, entry)
		case t.Dropped != nil:
			t.Dropped(err)
		case first:
			return nil, err
		}
		first = false
		if t.Dropped == nil && suffices(entries, naming) {
			break
		}
	}
	if t.Dropped == nil && len(entries) == 0 {
		return nil, errNoEntries
	}
	return entries, nil
}

// suffices reports whether the entries that a host needs are among those that were read.
func suffices(entries []Entry, naming []revision.Revision) bool {
	newest := entries[0]
	has := func(is func(revision.Revision) bool) bool {
		for _, entry := range entries {
			if is(entry.Revision) {
				return true
			}
		}
		return false
	}
	for _, r := range append([]revision.Revision{newest.Base}, naming...) {
		if r != (revision.Revision{}) && !has(func(named revision.Revision) bool { return named == r }) {
			return false
		}
	}
	return has(func(named revision.Revision) bool { return named != newest.Revision })
}

// readLine verifies a line, and then reads what was verified.
func (t *Trust) readLine(pkg revision.Package, line string, clock trust.Clock) (Entry, error) {
	signer, signed, err := t.verifyLine(pkg, line, clock)
	if err != nil {
		return Entry{}, err
	}
	entry, err := parseEntry(signed)
	switch {
	case err != nil:
		return Entry{}, err
	case entry.Revision.Package() != pkg:
		return Entry{}, fmt.Errorf("%s is not a revision of %s", entry.Revision, pkg)
	case !entry.Retired && entry.Manifest == (Digest{}), entry.Base != (revision.Revision{}) && entry.BaseManifest == (Digest{}):
		return Entry{}, fmt.Errorf("it does not say of which manifest of %s it is; an older ftl wrote it", entry.Revision)
	}
	entry.line, entry.Signer, entry.Signed = line, signer, true
	return entry, nil
}

// verifyLine returns who has signed a line, and what of it is signed.
func (t *Trust) verifyLine(pkg revision.Package, line string, clock trust.Clock) (trust.Signer, string, error) {
	if err := checkLine(line); err != nil {
		return trust.Signer{}, "", err
	}
	signed, encoded, found := strings.Cut(line, signatureWord)
	if !found {
		return trust.Signer{}, "", ErrUnsigned
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded) // which also refuses a second signature, and other words
	if err != nil {
		return trust.Signer{}, "", errors.New("it does not end with one signature in base64")
	}
	signature, err := trust.ParseSignature(blob)
	if err != nil {
		return trust.Signer{}, "", err
	}
	signer, err := t.Signers.Verify(blessingNamespace(pkg), t.Bucket.blessing(signed), signature, clock)
	if refusal, ok := errors.AsType[*trust.Refusal](err); ok && refusal.Why == trust.Invalid {
		refusal.Detail = fmt.Sprintf("it was changed, or signed for another bucket than %s", t.Bucket)
	}
	return signer, signed, err
}

// verifyManifest returns who has signed a manifest. One signature that counts is enough; where none
// does, the error is that of the first.
func (t *Trust) verifyManifest(r revision.Revision, text []byte, clock trust.Clock) (trust.Signer, error) {
	distrust := func(err error) (trust.Signer, error) {
		return trust.Signer{}, Distrust(r.Package(), ManifestKey(r), text[:min(len(text), maxManifestTop)], err)
	}
	manifest, err := cutSigned(text)
	if err != nil {
		return distrust(err)
	}
	if !bytes.Contains(manifest.statement, []byte("\nindex: ")) && len(manifest.rest) > 0 {
		return distrust(errors.New("something stands below its header that is not a signature"))
	}
	failed := ErrUnsigned
	for i, signature := range manifest.signatures {
		signer, err := t.Signers.Verify(revisionNamespace(r.Package()), manifest.statement, signature, clock)
		if err == nil {
			return signer, nil
		}
		if i == 0 {
			failed = err
		}
	}
	return distrust(failed)
}

// CheckMarker returns why a host that trusts the same keys would not follow the first line of a
// marker.
func (t *Trust) CheckMarker(pkg revision.Package, text []byte) error {
	host := *t
	host.Dropped = nil
	_, err := host.readMarker(pkg, string(text), t.clock(time.Time{}), nil)
	return err
}

// CheckManifest returns why a host that trusts the same keys would not take a revision.
func (t *Trust) CheckManifest(r revision.Revision, text []byte) error {
	_, err := t.verifyManifest(r, text, t.clock(time.Time{}))
	return err
}

// Digest returns that of the line that the entry is in a marker, without its signature: the same
// content may be signed more than once.
func (e Entry) Digest() Digest {
	line := e.String()
	line, _, _ = strings.Cut(line[strings.LastIndex(line, "\n")+1:], signatureWord)
	return sha256.Sum256([]byte(line))
}

// CanSign reports whether a key with this fingerprint may still sign revisions of a package.
func (t *Trust) CanSign(pkg revision.Package, fingerprint string) bool {
	return t.Signers.Listed(fingerprint, revisionNamespace(pkg), t.clock(time.Time{}))
}

// CanBless reports whether a key with this fingerprint may still sign blessings of a package.
func (t *Trust) CanBless(pkg revision.Package, fingerprint string) bool {
	return t.Signers.Listed(fingerprint, blessingNamespace(pkg), t.clock(time.Time{}))
}
