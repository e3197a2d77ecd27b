package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"github.com/rhettg/ftl/ftl/internal/spill"
)

// Rewrite reads an archive, which must hold a tree, and writes the same tar to w as a seekable
// archive, of the form TarZstd. It accepts and refuses what Scan does, and calls visit with the
// same entries, some of which may only be refused at the end. After an error, what was written to w
// is of no use. The caller closes the index, which is in files that create makes if it is large.
func Rewrite(ctx context.Context, w io.Writer, from Packed, create spill.Create, visit Visit) (*Index, error) {
	p, err := newCompressor(ctx, w)
	if err != nil {
		return nil, err
	}
	split := &splitter{to: p}
	s := newIndexer(split, create, visit)
	err = s.read(ctx, from)
	if err == nil {
		split.finish()
	}
	members, perr := p.wait()
	if perr != nil && (err == nil || errors.Is(err, errCompressing)) {
		err = perr
	}
	return s.index(members, err)
}

// indexer is the sink that records where everything is, while the splitter, if there is one, gets a
// copy of the tar.
type indexer struct {
	discard
	walker   *walker
	splitter *splitter
	table    *tableWriter
	last     IndexEntry // is not in the table yet
	hash     hash.Hash
	buf      []byte
	visit    Visit
}

func newIndexer(split *splitter, create spill.Create, visit Visit) *indexer {
	return &indexer{splitter: split, table: newTableWriter(create), hash: sha256.New(), buf: make([]byte, bufferSize), visit: visit}
}

// index returns what was recorded, unless an error has ended it.
func (s *indexer) index(members []Member, err error) (*Index, error) {
	if err != nil {
		s.table.close()
		return nil, err
	}
	x, err := s.table.index(members)
	if err != nil {
		return nil, err
	}
	if err := x.judge(); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

func (s *indexer) read(ctx context.Context, from Packed) error {
	stream, err := newStream(ctx, from.Content, from.Form)
	if err != nil {
		return err
	}
	defer stream.close()
	if s.splitter != nil {
		stream.copy = s.splitter
	}
	s.walker = newWalker(stream, s, unlimited, s.entry)
	s.walker.apart = true
	if err := s.walker.tree(); err != nil {
		return err
	}
	s.flush()
	return s.table.err
}

// flush puts the last entry into the table.
func (s *indexer) flush() {
	if s.last.Name != "" {
		s.table.add(&s.last)
	}
}

// entry records an entry before its content is read.
func (s *indexer) entry(visited Visited) (Head, error) {
	e := visited.Entry
	if !e.Mode.IsRegular() || e.Link != "" {
		e.Size = 0
	}
	s.flush()
	if s.table.err != nil {
		return Head{}, s.table.err
	}
	s.last = IndexEntry{Entry: e}
	if s.splitter != nil {
		s.splitter.entry(s.walker.headerAt, s.walker.stream.offset+e.Size)
	}
	if s.visit == nil {
		return Head{}, nil
	}
	return s.visit(visited)
}

func (s *indexer) file(e *Entry, content io.Reader) error {
	noted := &s.last
	if e.Size > 0 {
		noted.Offset = s.walker.stream.offset
	}
	s.hash.Reset()
	for {
		n, err := content.Read(s.buf)
		s.hash.Write(s.buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if e.Size > 0 {
		var sum [sha256.Size]byte
		copy(noted.Digest[:], s.hash.Sum(sum[:0]))
	}
	return nil
}
