package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// Rewrite reads an archive, which must hold a tree, and writes the same tar to w as a seekable
// archive, of the form TarZstd. It accepts and refuses what Scan does, and calls
// visit with the same entries. After an error, what was written to w is of no use.
func Rewrite(ctx context.Context, w io.Writer, from Packed, visit Visit) (*Index, error) {
	p, err := newCompressor(ctx, w)
	if err != nil {
		return nil, err
	}
	s := &indexer{splitter: splitter{to: p}, index: new(Index), hash: sha256.New(), buf: make([]byte, bufferSize), visit: visit}
	err = s.read(ctx, from)
	if err == nil {
		s.splitter.finish()
	}
	members, perr := p.wait()
	if perr != nil && (err == nil || errors.Is(err, errCompressing)) {
		err = perr
	}
	if err != nil {
		return nil, err
	}
	s.index.Members = members
	return s.index, s.index.judge()
}

// indexer is the sink that records where everything is, while the splitter gets a copy of the tar.
type indexer struct {
	discard
	walker   *walker
	splitter splitter
	index    *Index
	hash     hash.Hash
	buf      []byte
	visit    Visit
}

func (s *indexer) read(ctx context.Context, from Packed) error {
	stream, err := newStream(ctx, from.Content, from.Form)
	if err != nil {
		return err
	}
	defer stream.close()
	stream.copy = &s.splitter
	s.walker = newWalker(stream, s, unlimited, s.entry)
	return s.walker.tree()
}

// entry records an entry before its content is read.
func (s *indexer) entry(visited Visited) (Head, error) {
	e := visited.Entry
	if !e.Mode.IsRegular() || e.Link != "" {
		e.Size = 0
	}
	s.index.Entries = append(s.index.Entries, IndexEntry{Entry: e})
	s.splitter.entry(s.walker.headerAt, s.walker.stream.offset+e.Size)
	if s.visit == nil {
		return Head{}, nil
	}
	return s.visit(visited)
}

func (s *indexer) file(e *Entry, content io.Reader) error {
	noted := &s.index.Entries[len(s.index.Entries)-1]
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
