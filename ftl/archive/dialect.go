package archive

import (
	"archive/tar"
	"bytes"
)

// Where fields of a tar's header are.
const (
	magicAt   = 257
	prefixAt  = 345 // of the name, in the ustar format
	trailerAt = 508
)

// checkDialect refuses a header whose name or numbers differ between readers of tar; block is its
// raw form. GNU's format has times where ustar has the beginning of a long name. The tar writer of
// Go before 1.8 put the name there all the same; Go still reads it, but GNU tar doesn't. Star's
// format ends that field earlier.
func checkDialect(h *tar.Header, block []byte) error {
	gnu := bytes.HasPrefix(block[magicAt:], []byte("ustar  \x00"))
	star := bytes.HasPrefix(block[magicAt:], []byte("ustar\x00")) && bytes.HasPrefix(block[trailerAt:], []byte("tar\x00"))
	if gnu && h.Format != tar.FormatGNU && h.Format != tar.FormatPAX || star && block[prefixAt+130] != 0 {
		return invalid("%q: its header is of no format that all programs read alike", h.Name)
	}
	for _, number := range [][]byte{block[100:108], block[124:136], block[136:148]} { // mode, size and time
		// Go skips NULs before a number; for GNU tar they are its end.
		if from := bytes.TrimLeft(number, " "); len(from) > 0 && from[0] == 0 && len(bytes.Trim(from, " \x00")) > 0 {
			return invalid("%q: its header has a number that not all programs read alike", h.Name)
		}
	}
	return nil
}
