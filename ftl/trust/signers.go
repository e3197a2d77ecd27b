package trust

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// Signers are the keys whose signatures count, and what for. The zero value is nobody.
type Signers struct{ lines []line }

// line is one of the file.
type line struct {
	principals    string
	key           string // in its binary form
	namespaces    []string
	after, before time.Time // zero where there is no limit
}

// Signer is who made a signature.
type Signer struct {
	Principals  string `json:"principals"` // as the list has them; only shown
	Fingerprint string `json:"fingerprint"`
}

// String returns both, for people.
func (s Signer) String() string { return s.Principals + " (" + s.Fingerprint + ")" }

// Clock is what time it is, as far as that can be known: between the two.
type Clock struct{ Earliest, Latest time.Time }

// Why says why a signature does not count.
type Why string

// Why signatures don't count.
const (
	Invalid        Why = "invalid"         // the key has not made it for these bytes
	WrongNamespace Why = "wrong namespace" // it was made for another kind of statement
	NotListed      Why = "not listed"      // nobody trusts the key
	NotAllowed     Why = "not allowed"     // the key may not sign this kind of statement
	NotYetValid    Why = "not yet valid"
	NoLongerValid  Why = "no longer valid"
)

// Refusal says why a signature does not count, and whose it claims to be.
type Refusal struct {
	Why         Why
	Fingerprint string
	Principals  string // "" where the key is not listed
	Detail      string
}

func (r *Refusal) Error() string {
	who := "the key " + r.Fingerprint
	if r.Principals != "" {
		who += " of " + r.Principals
	}
	switch r.Why {
	case Invalid:
		return fmt.Sprintf("the signature that claims to be by %s is not one of this content: %s", who, r.Detail)
	case WrongNamespace:
		return fmt.Sprintf("the signature by %s was made for something else: %s", who, r.Detail)
	case NotListed:
		return fmt.Sprintf("it was signed by %s, which is not among the allowed signers", who)
	case NotAllowed:
		return fmt.Sprintf("it was signed by %s, which may not sign this: %s", who, r.Detail)
	}
	return fmt.Sprintf("it was signed by %s, which is %s: %s", who, r.Why, r.Detail)
}

// Verify makes sure that a listed key has signed exactly this message for this namespace, and may
// do so now. The error is a [*Refusal].
func (s Signers) Verify(namespace string, message []byte, sig Signature, now Clock) (Signer, error) {
	refused := &Refusal{Fingerprint: sig.Fingerprint()}
	if err := sig.made(message); err != nil {
		refused.Why, refused.Detail = Invalid, err.Error()
		return Signer{}, refused
	}
	if sig.namespace != namespace || namespace == "" {
		refused.Why, refused.Detail = WrongNamespace, fmt.Sprintf("its namespace is %q, not %q", sig.namespace, namespace)
		return Signer{}, refused
	}
	refused.Why = NotListed
	key := string(sig.key.Marshal())
	for _, l := range s.lines {
		if l.key != key {
			continue
		}
		why, detail := l.judge(namespace, now)
		if why == "" {
			return Signer{l.principals, refused.Fingerprint}, nil
		}
		if refused.Why == NotListed || refused.Why == NotAllowed {
			refused.Why, refused.Detail, refused.Principals = why, detail, l.principals
		}
	}
	return Signer{}, refused
}

// judge returns why a line does not allow its key to sign for a namespace now, and "" where it
// does.
func (l line) judge(namespace string, now Clock) (Why, string) {
	switch {
	case !matchAny(l.namespaces, namespace):
		return NotAllowed, fmt.Sprintf("its namespaces are %q, and this is %s", strings.Join(l.namespaces, ","), namespace)
	case !l.after.IsZero() && now.Earliest.Before(l.after):
		return NotYetValid, "from " + l.after.Format(time.RFC3339) + " on"
	case !l.before.IsZero() && !now.Latest.Before(l.before):
		return NoLongerValid, "since " + l.before.Format(time.RFC3339)
	}
	return "", ""
}

// Listed reports whether a key with this fingerprint may sign for a namespace now.
func (s Signers) Listed(fingerprint, namespace string, now Clock) bool {
	for _, l := range s.lines {
		key, err := ssh.ParsePublicKey([]byte(l.key))
		if err != nil || ssh.FingerprintSHA256(key) != fingerprint {
			continue
		}
		if why, _ := l.judge(namespace, now); why == "" {
			return true
		}
	}
	return false
}

// NextChange returns the first moment after now at which what Verify says of a signature may change
// by time alone, and false where there is none.
func (s Signers) NextChange(now time.Time) (next time.Time, ok bool) {
	for _, l := range s.lines {
		for _, at := range []time.Time{l.after, l.before} {
			if at.After(now) && (!ok || at.Before(next)) {
				next, ok = at, true
			}
		}
	}
	return next, ok
}

// ParseSigners reads allowed signers: lines of principals, options, a key and a comment. Each line
// has to name its namespaces, its times have to be in UTC, and options that are not known are
// refused. A list without a key is an error, as nothing could ever be signed.
func ParseSigners(text []byte) (Signers, error) {
	var s Signers
	number := 0
	for raw := range bytes.Lines(text) {
		number++
		content := strings.TrimSpace(string(raw))
		if content == "" || strings.HasPrefix(content, "#") {
			continue
		}
		l, err := parseLine(content)
		if i := strings.IndexFunc(content, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }); i >= 0 {
			err = fmt.Errorf("it has the control character %q", content[i])
		}
		if err != nil {
			return Signers{}, fmt.Errorf("line %d of the allowed signers: %w", number, err)
		}
		s.lines = append(s.lines, l)
	}
	if len(s.lines) == 0 {
		return Signers{}, errors.New("the allowed signers have no key")
	}
	return s, nil
}

func parseLine(content string) (l line, err error) {
	principals, rest, err := field(content)
	if err != nil {
		return l, err
	}
	if l.principals = strings.ReplaceAll(principals, `"`, ""); l.principals == "" {
		return l, errors.New("there are no principals")
	}
	options, rest, err := field(rest)
	if err != nil {
		return l, err
	}
	keyType, rest, err := field(rest)
	if err != nil {
		return l, err
	}
	encoded, _, err := field(rest)
	if err != nil {
		return l, err
	}
	if _, isType := formats[options]; isType {
		return l, errors.New(`it does not say what the key may sign; begin its options with namespaces="…"`)
	}
	if err := l.parseOptions(options); err != nil {
		return l, err
	}
	return l, l.parseKey(keyType, encoded)
}

func (l *line) parseKey(keyType, encoded string) error {
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("the key %q is not in base64", encoded)
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	if key.Type() != keyType {
		return fmt.Errorf("the key is of the type %s, not %s", key.Type(), keyType)
	}
	l.key = string(key.Marshal())
	return checkKey(key)
}

// field cuts the first word off, in which quotes hold blanks together.
func field(text string) (first, rest string, err error) {
	quoted := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' && (i == 0 || text[i-1] != '\\'):
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			return text[:i], strings.TrimLeft(text[i:], " \t"), nil
		}
	}
	if quoted {
		return "", "", errors.New("a quote has no end")
	}
	return text, "", nil
}

// parseOptions reads options such as namespaces="a,b",valid-before="20270101Z".
func (l *line) parseOptions(text string) error {
	for text != "" {
		name, rest, hasValue := strings.Cut(text, `="`)
		value, after, ended := strings.Cut(rest, `"`)
		if !hasValue || !ended || strings.Contains(value, `\`) {
			return fmt.Errorf(`the options %q can't be read; want name="value", with commas between them`, text)
		}
		if err := l.set(strings.ToLower(name), value); err != nil {
			return err
		}
		more, isNext := strings.CutPrefix(after, ",")
		if after != "" && (!isNext || more == "") {
			return fmt.Errorf("the options end with %q", after)
		}
		text = more
	}
	if len(l.namespaces) == 0 {
		return errors.New(`it does not say what the key may sign: namespaces="…" is missing`)
	}
	if !l.after.IsZero() && !l.before.IsZero() && !l.after.Before(l.before) {
		return errors.New("valid-after is not before valid-before")
	}
	return nil
}

func (l *line) set(option, value string) (err error) {
	switch option {
	case "namespaces":
		if l.namespaces != nil || value == "" {
			return errors.New("namespaces is empty, or there twice")
		}
		l.namespaces = strings.Split(value, ",")
		return nil
	case "valid-after":
		return setTime(&l.after, option, value)
	case "valid-before":
		return setTime(&l.before, option, value)
	}
	return fmt.Errorf("the option %q is not accepted", option)
}

func setTime(to *time.Time, option, value string) error {
	if !to.IsZero() {
		return fmt.Errorf("%s is there twice", option)
	}
	for _, layout := range []string{"20060102Z", "200601021504Z", "20060102150405Z"} {
		if at, err := time.Parse(layout, value); err == nil {
			*to = at
			return nil
		}
	}
	return fmt.Errorf("%s is %q; want a time in UTC such as 20270131Z or 202701311200Z", option, value)
}

// matchAny reports whether a text matches one of the patterns and none of those that begin with
// "!", as OpenSSH's PATTERNS do.
func matchAny(patterns []string, text string) bool {
	matched := false
	for _, pattern := range patterns {
		negated := strings.HasPrefix(pattern, "!")
		if !match(strings.TrimPrefix(pattern, "!"), text) {
			continue
		}
		if negated {
			return false
		}
		matched = true
	}
	return matched
}

// match compares with a pattern in which "*" stands for any characters and "?" for one.
func match(pattern, text string) bool {
	star, from := -1, 0 // where the last "*" is, and from where on it takes no more
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0: // it takes one more
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
