package access

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/rhettg/ftl/ftl"
)

// Kind says what a grant is given for.
type Kind string

// The kinds of grants.
const (
	Token   Kind = "token"   // whoever has it
	Webhook Kind = "webhook" // whoever signs with it
	User    Kind = "user"    // whom a proxy names
)

// How long a grant of a token or a webhook's secret is good for.
const (
	DefaultLife = 90 * 24 * time.Hour
	MaxLife     = 366 * 24 * time.Hour
	keptFor     = 30 * 24 * time.Hour // after it has ended, so that the list shows it
)

// Grant is a right that was given to somebody. As JSON it is a line of ftl token list.
type Grant struct {
	ID       string   `json:"id"`
	Kind     Kind     `json:"kind"`
	Label    string   `json:"label"` // for people; of a user its name
	Role     Role     `json:"role"`
	Packages []string `json:"packages"` // patterns of the packages to act on
	Created  ftl.Time `json:"created"`
	By       string   `json:"by"`      // user@host
	Expires  ftl.Time `json:"expires"` // never: null
	Used     ftl.Time `json:"used"`    // last, to the hour
	Revoked  ftl.Time `json:"revoked"`
}

// Live reports whether a grant is good at a moment.
func (g Grant) Live(now time.Time) bool {
	return g.Revoked.IsZero() && (g.Expires.IsZero() || now.Before(g.Expires.Time))
}

// State is how a grant is, in a word.
func (g Grant) State(now time.Time) string {
	switch {
	case !g.Revoked.IsZero():
		return "revoked"
	case !g.Live(now):
		return "expired"
	}
	return "live"
}

// who is whoever uses the grant.
func (g Grant) who() Who {
	return Who{Name: g.Label, Kind: g.Kind, ID: g.ID, Role: g.Role, Packages: g.Packages}
}

// gone reports whether a grant has ended so long ago that nobody asks for it.
func (g Grant) gone(now time.Time) bool {
	ended := g.Expires
	if !g.Revoked.IsZero() {
		ended = g.Revoked
	}
	return !ended.IsZero() && now.Sub(ended.Time) > keptFor
}

// A kept grant is one as the file has it.
type kept struct {
	Grant
	SHA256 *digest `json:"sha256,omitempty"` // of a token
	Secret string  `json:"secret,omitempty"` // of a webhook: a signature can't be checked by a digest
}

// Request is what somebody wants a grant for.
type Request struct {
	Kind     Kind
	Label    string
	Role     Role
	Packages []string
	Life     time.Duration // 0 is DefaultLife, and for ever for a user
	By       string        // user@host
}

var labelForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@:+-]{0,63}$`)

// Validate returns why there can be no such grant.
func (r Request) Validate() error {
	switch {
	case !labelForm.MatchString(r.Label):
		return fmt.Errorf("%q is no label: letters, digits and _.@:+-, at most 64", r.Label)
	case r.Role < View || r.Role > Admin:
		return errors.New("the role is missing: view, stop, deploy or admin")
	case r.Kind == Webhook && r.Role < Deploy:
		return fmt.Errorf("a webhook blesses, which needs the role deploy, not %s", r.Role)
	case r.Life < 0 || r.Life > MaxLife:
		return fmt.Errorf("%v is no life for it: at most %d days", r.Life, MaxLife/(24*time.Hour))
	}
	return checkPackages(r.Role, r.Packages)
}

// grant makes a grant, and returns what it is used with: "" for a user.
func (r Request) grant(now time.Time) (k kept, secret string) {
	k.Grant = Grant{Kind: r.Kind, Label: r.Label, Role: r.Role, Packages: append([]string{}, r.Packages...), Created: ftl.At(now), By: r.By}
	life := r.Life
	if life == 0 && r.Kind != User {
		life = DefaultLife
	}
	if life > 0 {
		k.Expires = ftl.At(now.Add(life))
	}
	switch r.Kind {
	case Token:
		secret, k.ID = newToken()
		sum := digestOf(secret)
		k.SHA256 = &sum
	case Webhook:
		secret, k.ID = newWebhookSecret(), randomText(idLength)
		k.Secret = secret
	case User:
		k.ID = randomText(idLength)
	}
	return k, secret
}
