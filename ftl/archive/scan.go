package archive

import (
	"context"
	"io"
	"math"
)

// Scan reads the whole archive r and says what unpacking it would make. It accepts and refuses exactly what Unpack does
// and writes nothing. Each entry of a tar is shown to visit, when that is not nil, in the archive's order; an error of
// visit ends the scan and is returned as it is. The single file of the other forms has no entry.
func Scan(ctx context.Context, r io.Reader, form Form, visit func(Entry) error) (Totals, error) {
	return walk(ctx, r, form, File{Name: "file"}, unlimited, &nowhere{buf: make([]byte, bufferSize)}, visit)
}

// unlimited leaves only this package's own limits.
var unlimited = Totals{Entries: math.MaxInt64, Bytes: math.MaxInt64}

const bufferSize = 64 << 10 // bytes copied at once

// nowhere is the sink that forgets.
type nowhere struct{ buf []byte }

func (*nowhere) dir(string) error         { return nil }
func (*nowhere) symlink(*Entry) error     { return nil }
func (*nowhere) link(*Entry) error        { return nil }
func (*nowhere) finish([]directory) error { return nil }

func (n *nowhere) file(_ *Entry, content io.Reader) error {
	for {
		if _, err := content.Read(n.buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
