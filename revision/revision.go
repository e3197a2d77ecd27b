// Package revision says what a package and a revision of it are called.
//
// A package is what is deployed, such as my_site. A revision is one spooled
// version of it, named package "." id, such as my_site.2026112145296Wq. An id
// that ftl makes holds the UTC date, the second of that day and two characters
// of the content's digest, each of a fixed width, so that the order of the
// names is the order of time.
//
// Both names are comparable values made only by the functions of this package:
// whoever holds a non-zero [Package] or [Revision] holds a valid name, which is
// safe as a file name and as a part of a bucket's key.
package revision

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxName is the greatest length, in bytes, of a package's name and of an id.
const MaxName = 64

// Package is the name of a package. The zero value is no package.
type Package struct{ name string }

// ParsePackage returns the package called s: a letter or digit, then letters,
// digits, "_" and "-", at most [MaxName] bytes.
func ParsePackage(s string) (Package, error) {
	switch {
	case s == "":
		return Package{}, fmt.Errorf("package name is empty")
	case len(s) > MaxName:
		return Package{}, fmt.Errorf("package name %q is longer than %d bytes", s[:MaxName]+"…", MaxName)
	case !isAlphanumeric(s[0]):
		return Package{}, fmt.Errorf("package name %q does not begin with a letter or digit", s)
	case !allWordBytes(s):
		return Package{}, fmt.Errorf("package name %q has a character other than letters, digits, _ and -", s)
	}
	return Package{s}, nil
}

// String returns the package's name, "" for the zero value.
func (p Package) String() string { return p.name }

// MarshalText returns the package's name.
func (p Package) MarshalText() ([]byte, error) { return []byte(p.name), nil }

// UnmarshalText is ParsePackage, except that empty text is the zero value.
func (p *Package) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = Package{}
		return nil
	}
	parsed, err := ParsePackage(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// Revision is the name of one version of a package. The zero value is no
// revision.
type Revision struct {
	pkg Package
	id  string
}

// Parse returns the revision called s: a package's name, a ".", and an id of
// letters, digits, "_", "-" and "~", at most [MaxName] bytes. The id "rev" is not
// one: it is how the bucket names a package's marker.
func Parse(s string) (Revision, error) {
	name, id, found := strings.Cut(s, ".")
	if !found {
		return Revision{}, fmt.Errorf("revision %q has no id: want package.id, such as my_site.2026112145296Wq", s)
	}
	pkg, err := ParsePackage(name)
	if err != nil {
		return Revision{}, fmt.Errorf("revision %q: %w", s, err)
	}
	return pkg.Revision(id)
}

// Revision returns the revision of p that has this id, by the rules of [Parse].
func (p Package) Revision(id string) (Revision, error) {
	name := p.name + "." + id
	switch {
	case p == Package{}:
		return Revision{}, fmt.Errorf("revision %q has no package", name)
	case id == "":
		return Revision{}, fmt.Errorf("revision %q has no id after the dot", name)
	case len(id) > MaxName:
		return Revision{}, fmt.Errorf("revision %q: the id is longer than %d bytes", name, MaxName)
	case id == "rev":
		return Revision{}, fmt.Errorf("revision %q is the name of the marker, not of a revision", name)
	case !allWordBytes(strings.ReplaceAll(id, "~", "_")):
		return Revision{}, fmt.Errorf("revision %q: the id has a character other than letters, digits, _, - and ~", name)
	}
	return Revision{p, id}, nil
}

// New returns the name of the version of pkg that was spooled at the given
// time and has content of the given digest. It fails outside of the years 1 to
// 9999, which the id has no room for.
func New(pkg Package, at time.Time, sum [sha256.Size]byte) (Revision, error) {
	at = at.UTC()
	if at.Year() < 1 || at.Year() > 9999 {
		return Revision{}, fmt.Errorf("name a revision of %s: the year %d does not fit into an id", pkg, at.Year())
	}
	second := at.Hour()*3600 + at.Minute()*60 + at.Second()
	id := fmt.Sprintf("%s%05d%c%c", at.Format(dateLayout), second, digestByte(sum[0]), digestByte(sum[1]))
	return pkg.Revision(id)
}

// Package returns the package that r is a version of.
func (r Revision) Package() Package { return r.pkg }

// ID returns the part of the name after the dot, "" for the zero value.
func (r Revision) ID() string { return r.id }

// String returns package "." id, "" for the zero value.
func (r Revision) String() string {
	if r == (Revision{}) {
		return ""
	}
	return r.pkg.name + "." + r.id
}

// Time returns the second in which r was spooled, and false where the id is
// not of the form that [New] makes. The FTL of 2014 made the same form, with "_"
// and "~" among the last two characters.
func (r Revision) Time() (time.Time, bool) {
	if len(r.id) != idLength || strings.Contains(r.id[idLength-2:], "-") {
		return time.Time{}, false
	}
	day, err := time.Parse(dateLayout, r.id[:8])
	if err != nil {
		return time.Time{}, false
	}
	second, err := strconv.ParseUint(r.id[8:13], 10, 32)
	if err != nil || second >= 24*60*60 {
		return time.Time{}, false
	}
	return day.Add(time.Duration(second) * time.Second), true
}

// Compare orders revisions by package and then by age, the older one first.
// An id of a form other than New's counts as older than all of that form.
func Compare(a, b Revision) int {
	if order := cmp.Compare(a.pkg.name, b.pkg.name); order != 0 {
		return order
	}
	_, aTimed := a.Time()
	_, bTimed := b.Time()
	switch {
	case aTimed && !bTimed:
		return 1
	case !aTimed && bTimed:
		return -1
	}
	return cmp.Compare(a.id, b.id)
}

// MarshalText returns the revision's name, so that JSON holds it as a string.
func (r Revision) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is Parse, except that empty text is the zero value.
func (r *Revision) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = Revision{}
		return nil
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

const (
	dateLayout = "20060102"
	idLength   = 15 // date, five digits of the second, two characters of the digest
)

// digestAlphabet is in ASCII order, as the ids are compared byte by byte.
const digestAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func digestByte(b byte) byte { return digestAlphabet[int(b)%len(digestAlphabet)] }

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func allWordBytes(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
