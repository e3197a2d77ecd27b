package catalog

import (
	"errors"
	"fmt"
	"strings"
)

// Identity is what a bucket is called in what is signed for it, so that nobody can copy a blessing
// from one bucket to another. The zero value is none. It consists of letters, digits and "._/-",
// does not begin or end with a slash, and is at most 200 bytes long.
type Identity struct{ name string }

const maxIdentity = 200

// ParseIdentity returns the identity that a text names.
func ParseIdentity(text string) (Identity, error) {
	switch {
	case text == "" || len(text) > maxIdentity:
		return Identity{}, fmt.Errorf("it has %d bytes; want 1 to %d", len(text), maxIdentity)
	case strings.HasPrefix(text, "/") || strings.HasSuffix(text, "/"):
		return Identity{}, errors.New("it begins or ends with a slash")
	}
	for _, c := range []byte(text) {
		if !isNodeByte(c) && c != '/' || c == ':' || c == '@' {
			return Identity{}, fmt.Errorf("it has the character %q; want letters, digits and ._/-", c)
		}
	}
	return Identity{text}, nil
}

// String returns the text that ParseIdentity has read.
func (i Identity) String() string { return i.name }
