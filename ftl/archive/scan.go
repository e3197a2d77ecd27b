package archive

import (
	"context"
	"io"
	"io/fs"
	"math"

	"github.com/rhettg/ftl/ftl/internal/spill"
)

// Scan reads a whole archive and returns what unpacking it would make. It accepts and refuses
// exactly what Unpack does. It calls visit, if not nil, for each entry of a tar in the archive's
// order, some of which may only be refused at the end. The single file of the other forms has no
// entry.
func Scan(ctx context.Context, p Packed, visit Visit) (Totals, error) {
	if !p.Form.Tree() {
		p.File = File{Name: "file"} // whatever it is called
		return walk(ctx, p, unlimited, &discard{buf: make([]byte, bufferSize)}, visit)
	}
	x, err := List(ctx, p, spill.Temporary, visit)
	if err != nil {
		return Totals{}, err
	}
	return x.Totals, x.Close()
}

// List is Scan for an archive that holds a tree. The index that it returns has no members. It is in
// files that create makes if it is large, and the caller closes it.
func List(ctx context.Context, p Packed, create spill.Create, visit Visit) (*Index, error) {
	s := newIndexer(nil, create, visit)
	err := s.read(ctx, p)
	return s.index(nil, err)
}

// Visit is called for each entry of a tar before its content is read. It may ask for the beginning
// of the content of a file. An error of either ends the reading and is returned as it is.
type Visit func(Visited) (Head, error)

// Visited is an entry of an archive with what no tree has of it.
type Visited struct {
	Entry
	Special fs.FileMode // the setuid, setgid and sticky bits, which unpacking drops
}

// Head is who gets the beginning of a file; the zero Head is nobody.
type Head struct {
	Size int // how many bytes; of a shorter file all
	// Take gets them. They are valid during the call.
	Take func(head []byte) error
}

// unlimited leaves only this package's own limits.
var unlimited = Totals{Entries: math.MaxInt64, Bytes: math.MaxInt64}

const bufferSize = 64 << 10 // bytes copied at once

// discard is the sink that keeps nothing.
type discard struct{ buf []byte }

func (*discard) dir(string) error         { return nil }
func (*discard) symlink(*Entry) error     { return nil }
func (*discard) link(*Entry) error        { return nil }
func (*discard) finish([]directory) error { return nil }

func (n *discard) file(_ *Entry, content io.Reader) error {
	for {
		if _, err := content.Read(n.buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
