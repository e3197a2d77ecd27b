package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// What every bucket can keep: S3 ends a key at 1024 bytes, a file system a name at 255, and a
// directory adds its ETag to the name of a sidecar.
const (
	maxKey     = 900
	maxElement = 200
	maxMeta    = 2048
)

// digestName is the metadata that Put adds: the digest of the body, in hex.
const digestName = "sha256"

// checkKey says what is wrong with a key, in the words of the package comment.
func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("the key is longer than %d bytes", maxKey)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, isControl):
		return errors.New("the key is not printable text")
	}
	for element := range strings.SplitSeq(key, "/") {
		switch {
		case element == "":
			return errors.New("the key has an empty element")
		case element[0] == '.':
			return errors.New("the key has an element that begins with a dot")
		case len(element) > maxElement:
			return fmt.Errorf("the key has an element longer than %d bytes", maxElement)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// metadata checks what the caller gives and returns it with the digest added.
func (opts PutOptions) metadata() (map[string]string, error) {
	all := map[string]string{digestName: fmt.Sprintf("%x", opts.SHA256)}
	size := len(digestName) + 2*sha256.Size
	for name, value := range opts.Metadata {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return nil, fmt.Errorf("metadata %q: the name is not of lower-case letters, digits and -", name)
		}
		if strings.TrimSpace(value) != value || strings.ContainsFunc(value, isNotASCII) {
			return nil, fmt.Errorf("metadata %s: the value is not printable ASCII without space around it", name)
		}
		if name == digestName {
			continue
		}
		all[name] = value
		size += len(name) + len(value)
	}
	if size > maxMeta {
		return nil, fmt.Errorf("the metadata is longer than %d bytes", maxMeta)
	}
	return all, nil
}

func isNotASCII(r rune) bool { return r < ' ' || r > '~' }

// check says what is wrong with the options of a read.
func (opts GetOptions) check() error {
	if opts.Offset < 0 || opts.Length < 0 {
		return fmt.Errorf("range of %d bytes from %d: negative", opts.Length, opts.Offset)
	}
	return nil
}

// length returns how many bytes a read of an object of that size has.
func (opts GetOptions) length(size int64) int64 {
	n := max(size-opts.Offset, 0)
	if opts.Length > 0 {
		n = min(n, opts.Length)
	}
	return n
}
