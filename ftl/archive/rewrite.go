package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// Rewrite reads the archive r, which must hold a tree, and writes the same tar to w as a seekable archive of the form to,
// TarGzip or TarZstd. It accepts and refuses what Scan does, and shows visit the same entries. After an error, what was
// written to w is of no use.
func Rewrite(ctx context.Context, w io.Writer, to Form, r io.Reader, form Form, visit func(Entry) error) (*Index, error) {
	p, err := newPressing(ctx, w, to)
	if err != nil {
		return nil, err
	}
	s := &indexer{cutter: cutter{press: p}, index: new(Index), hash: sha256.New(), buf: make([]byte, bufferSize), visit: visit}
	err = s.read(ctx, r, form)
	if err == nil {
		s.cutter.finish()
	}
	members, perr := p.wait()
	if perr != nil && (err == nil || errors.Is(err, errPressing)) {
		err = perr
	}
	if err != nil {
		return nil, err
	}
	s.index.Members = members
	return s.index, s.index.judge()
}

// indexer is the sink that notes where everything is, while the cutter gets a copy of the tar.
type indexer struct {
	nowhere
	walker *walker
	cutter cutter
	index  *Index
	hash   hash.Hash
	buf    []byte
	visit  func(Entry) error
}

func (s *indexer) read(ctx context.Context, r io.Reader, form Form) error {
	stream, err := newStream(ctx, r, form)
	if err != nil {
		return err
	}
	defer stream.close()
	stream.copy = &s.cutter
	s.walker = newWalker(stream, s, unlimited, s.entry)
	return s.walker.tree()
}

// entry notes an entry before its content is read.
func (s *indexer) entry(e Entry) error {
	if !e.Mode.IsRegular() || e.Link != "" {
		e.Size = 0
	}
	s.index.Entries = append(s.index.Entries, IndexEntry{Entry: e})
	s.cutter.entry(s.walker.headerAt, s.walker.stream.offset+e.Size)
	if s.visit == nil {
		return nil
	}
	return s.visit(e)
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
