package catalog

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// Node is a host's name in the keys of the bucket. The zero value is nobody. It holds only letters,
// digits and "_.:@-~", is at most 128 bytes long and does not begin with a dot.
type Node struct{ name string }

const maxNode = 128

// NodeOf returns the node for what a host is called. The name stands as it is where it can, so that
// permissions can be written for it; any other byte is written as "~" and two hexadecimal digits,
// so no two names share a node. What would be too long ends with a digest in place of its end.
func NodeOf(name string) Node {
	var text strings.Builder
	for i := range len(name) {
		if c := name[i]; isNodeByte(c) && (c != '.' || i > 0) {
			text.WriteByte(c)
		} else {
			fmt.Fprintf(&text, "~%02X", c)
		}
	}
	node := text.String()
	if len(node) > maxNode {
		end := fmt.Sprintf("~~%x", sha256.Sum256([]byte(name)))
		node = node[:maxNode-len(end)] + end
	}
	return Node{node}
}

// ParseNode returns the node that a key has.
func ParseNode(text string) (Node, error) {
	valid := text != "" && len(text) <= maxNode && text[0] != '.'
	for i := range len(text) {
		valid = valid && (isNodeByte(text[i]) || text[i] == '~')
	}
	if !valid {
		return Node{}, fmt.Errorf("%q is not the name of a host in a key", text)
	}
	return Node{text}, nil
}

// String returns the node as keys have it.
func (n Node) String() string { return n.name }

// MarshalText returns the node as keys have it.
func (n Node) MarshalText() ([]byte, error) { return []byte(n.name), nil }

// UnmarshalText is ParseNode, except that empty text is the zero value.
func (n *Node) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*n = Node{}
		return nil
	}
	*n, err = ParseNode(string(text))
	return err
}

func isNodeByte(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte("_.:@-", c) >= 0
}
