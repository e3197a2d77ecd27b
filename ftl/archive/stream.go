package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const blockSize = 512 // bytes: a tar is a sequence of blocks

// stream is the decompressed content of an archive. It counts the bytes that were read, and tells
// whose fault an error is.
type stream struct {
	src    *source
	r      io.Reader
	offset int64     // bytes read so far
	limit  int64     // offset beyond which reading is refused; 0 is none
	ended  bool      // the content was read to its regular end
	copy   io.Writer // gets every byte that is read, if not nil
	block  []byte    // the last bytes that were read while there was a limit: a header
	close  func()
}

// newStream begins to read the archive r. The caller closes the stream; r stays open.
func newStream(ctx context.Context, r io.Reader, form Form) (*stream, error) {
	s := &stream{src: &source{ctx: ctx, r: r}, close: func() {}}
	var err error
	switch form.compression() {
	case Gzip:
		s.r, err = newMembers(s.src)
	case Zstd:
		err = s.openZstd()
	default:
		s.r = bufio.NewReaderSize(s.src, 64<<10)
	}
	if err != nil {
		return nil, s.fault(err)
	}
	return s, nil
}

func (s *stream) openZstd() error {
	d, err := zstd.NewReader(s.src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(1<<62))
	if err != nil {
		return err
	}
	// Reads of single tar headers are served from a buffer; larger ones pass it by.
	s.r, s.close = bufio.NewReaderSize(d, 64<<10), d.Close
	return nil
}

// Read reads decompressed bytes. An error other than io.EOF has to pass through fault before it is
// returned.
func (s *stream) Read(p []byte) (int, error) {
	if s.limit > 0 {
		left := s.limit - s.offset
		if left <= 0 {
			return 0, errHeaderTooLong
		}
		p = p[:min(int64(len(p)), left)]
	}
	n, err := s.r.Read(p)
	s.offset += int64(n)
	if s.limit > 0 {
		s.block = append(s.block, p[:n]...)
		s.block = append(s.block[:0], s.block[max(0, len(s.block)-blockSize):]...)
	}
	if s.copy != nil && n > 0 {
		if _, cerr := s.copy.Write(p[:n]); cerr != nil {
			s.src.err, err = cerr, cerr // not the archive's fault
		}
	}
	if err == io.EOF && s.src.err != nil {
		err = s.src.err // a decompressor took it for the end
	}
	s.ended = s.ended || err == io.EOF
	return n, err
}

var errHeaderTooLong = errors.New("too many bytes in front of an entry's content")

// fault returns what to report for an error of reading: the source's own error if it had one, else
// that the archive is invalid.
func (s *stream) fault(err error) error {
	switch {
	case s.src.err != nil:
		return fmt.Errorf("read archive: %w", s.src.err)
	case errors.Is(err, ErrInvalid):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return invalid("it is cut off")
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return invalid("its zstd window is larger than %d MiB: compress without --long, or with --long=27", maxWindow>>20)
	}
	return invalid("%v", err)
}

// source is the archive as the caller passes it. It remembers the error that reading ended with,
// because decompressors do not pass errors on faithfully. It ends when the context does.
type source struct {
	ctx context.Context // of the one call that the source lives for
	r   io.Reader
	err error // other than io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		s.err = err
		return 0, err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// members reads a gzip file of one or more members as one content. gzip.Reader can do so itself,
// but it mistakes a member that is cut off within its header for the end of the file.
type members struct {
	r *bufio.Reader
	z *gzip.Reader
}

func newMembers(r io.Reader) (*members, error) {
	m := &members{r: bufio.NewReaderSize(r, 64<<10)}
	if _, err := m.r.Peek(1); err == io.EOF {
		return nil, invalid("it is empty")
	}
	z, err := gzip.NewReader(m.r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	m.z = z
	return m, nil
}

func (m *members) Read(p []byte) (int, error) {
	for {
		n, err := m.z.Read(p)
		if n > 0 && err == io.EOF {
			err = nil // met again by the next Read
		}
		if n > 0 || err != io.EOF {
			return n, err
		}
		if _, err := m.r.Peek(1); err != nil {
			return 0, err // io.EOF: the last member
		}
		if err := m.z.Reset(m.r); err == io.EOF {
			return 0, io.ErrUnexpectedEOF
		} else if err != nil {
			return 0, err
		}
		m.z.Multistream(false)
	}
}

// allZero reports whether b holds nothing but zero bytes.
func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
