package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
)

// A token is "ftl_<id>_<secret>_<checksum>". The prefix and the checksum let scanners find one that
// has leaked without asking anybody. The secret has 256 random bits, so that its plain SHA-256
// can't be turned back.
const (
	tokenPrefix  = "ftl_"
	idLength     = 8
	secretLength = 43
	base62       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

var tokenForm = regexp.MustCompile(`^ftl_([0-9A-Za-z]{8})_[0-9A-Za-z]{43}_[0-9a-f]{8}$`)

// newToken returns a new token and its id.
func newToken() (text, id string) {
	id = randomText(idLength)
	text = tokenPrefix + id + "_" + randomText(secretLength)
	return text + "_" + checksum(text), id
}

// tokenID returns the id of a token, and false for what can't be one of ours.
func tokenID(text string) (string, bool) {
	parts := tokenForm.FindStringSubmatch(text)
	if parts == nil {
		return "", false
	}
	end := strings.LastIndexByte(text, '_')
	return parts[1], checksum(text[:end]) == text[end+1:]
}

func checksum(text string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))) }

// randomText returns so many letters and digits, each as likely as any other.
func randomText(length int) string {
	text := make([]byte, 0, length)
	for random := make([]byte, 2*length); len(text) < length; {
		rand.Read(random) // never fails
		for _, b := range random {
			if b &= 63; int(b) < len(base62) && len(text) < length {
				text = append(text, base62[b])
			}
		}
	}
	return string(text)
}

// digest is what is kept of a token.
type digest [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

// equal compares in a time that does not depend on what is compared.
func (d digest) equal(other digest) bool { return subtle.ConstantTimeCompare(d[:], other[:]) == 1 }

// MarshalText returns hexadecimal digits.
func (d digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads hexadecimal digits.
func (d *digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("a digest has %d hexadecimal digits, not %d", hex.EncodedLen(len(d)), len(text))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// webhookPrefix begins the secret of a webhook, as Standard Webhooks has it.
const webhookPrefix = "whsec_"

func newWebhookSecret() string {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return webhookPrefix + base64.StdEncoding.EncodeToString(key)
}

// minSecret is how short a secret may be.
const minSecret = 32

// placeholder is what stands where a secret is still to be put.
var placeholder = regexp.MustCompile(`^(change|replace|me|my|your|this|the|a|it|here|with|secret|token|password|passw|key|webhook|placeholder|example|default|dummy|test|todo|fixme|foo|bar|x|admin|ftl|serve)+$`)

// CheckSecret refuses what is no secret: one that is missing, too short, or stands in the place of
// one.
func CheckSecret(text string) error {
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(text))
	distinct := make(map[rune]bool)
	for _, r := range text {
		distinct[r] = true
	}
	switch {
	case text == "":
		return errors.New("it is empty")
	case placeholder.MatchString(letters) || strings.Contains(letters, "changeme"):
		return errors.New("it is a placeholder")
	case len(text) < minSecret:
		return fmt.Errorf("it has %d bytes, and needs %d", len(text), minSecret)
	case len(distinct) < 10:
		return fmt.Errorf("it has only %d different characters", len(distinct))
	}
	return nil
}
