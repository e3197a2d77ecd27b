package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Digest is the SHA-256 of a manifest's header, from its first byte to the empty line that ends it.
// The header has the digests of the archive and of the index, so it stands for all of a revision's
// content; signatures and other blocks below the header are not part of it. The zero value is none.
//
// A marker's entry has the digest of the manifest that was blessed: whoever follows the entry takes
// no other content under that name.
type Digest [sha256.Size]byte

// ParseDigest returns the digest that text says in hexadecimal digits.
func ParseDigest(text string) (d Digest, err error) {
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != len(d) {
		return Digest{}, errors.New("it is no SHA-256")
	}
	return Digest(sum), nil
}

// String returns the digest in hexadecimal digits, "" for the zero value.
func (d Digest) String() string {
	if d == (Digest{}) {
		return ""
	}
	return hex.EncodeToString(d[:])
}

// MarshalText is String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDigest, except that empty text is the zero value.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*d = Digest{}
		return nil
	}
	*d, err = ParseDigest(string(text))
	return err
}
