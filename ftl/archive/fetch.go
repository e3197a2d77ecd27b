package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// Each connection reads members that follow each other, and unpacks them one by one, while the
// kernel receives the next bytes. So memory stays bounded whatever the size of the archive, and
// what is written at the same time lies in few directories.
const (
	connections = 8
	spanSize    = 2 << 20 // bytes that one request asks for, about
)

// span is members that follow each other and are fetched with one request.
type span struct {
	first, end int   // members
	offset     int64 // of the first, in the packed archive
	length     int64
}

// piece is a part of a file that is in one member.
type piece struct {
	entry  int   // in the batch
	number int   // of the file's pieces
	at     int64 // in the member
	offset int64 // in the file
	length int64
}

// fetch makes the files with these entries from members of the archive.
func (r *restoring) fetch(ctx context.Context, entries []int) error {
	if len(entries) == 0 {
		return nil
	}
	pieces, err := r.pieces(ctx, entries)
	if err != nil {
		return err
	}
	spans := r.spans(pieces)
	todo := make(chan span, len(spans))
	for _, s := range spans {
		r.meter.toFetch.Add(s.length)
		todo <- s
	}
	close(todo)
	idle := newDecompressors(workers())
	defer idle.close() // after every fetcher has ended, and given back its own
	group, ctx := errgroup.WithContext(ctx)
	for range min(connections, len(spans)) {
		group.Go(func() error {
			f := fetcher{restoring: r, disk: r.disk(), pieces: pieces, idle: idle}
			defer f.disk.close()
			for s := range todo {
				if err := f.span(ctx, s); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// numbered is a piece with the number of the member that it is in.
type numbered struct {
	piece
	member int
}

// pieces lists, by member, what of it belongs to the files and is not there yet.
func (r *restoring) pieces(ctx context.Context, entries []int) (map[int][]piece, error) {
	pieces := make(map[int][]piece)
	d := r.disk()
	defer d.close()
	member, start := 0, int64(0) // start is that of the member in the tar
	var own []numbered
	for _, i := range entries {
		e := &r.entries[i]
		own = own[:0]
		for done := int64(0); done < e.Size; {
			for start+r.index.Members[member].Unpacked <= e.Offset+done {
				start += r.index.Members[member].Unpacked
				member++
			}
			at := e.Offset + done - start
			length := min(e.Size-done, r.index.Members[member].Unpacked-at)
			own = append(own, numbered{piece{i, len(own), at, done, length}, member})
			done += length
		}
		missing := own
		if r.kept.isPartial(r.numbers[i]) {
			var err error
			if missing, err = r.resume(d, i, own); err != nil {
				return nil, unpackError(e.Name, err)
			}
		} else if len(own) > 1 {
			r.share(i, &sharedFile{parts: len(own), all: len(own)})
		}
		for _, p := range missing {
			pieces[p.member] = append(pieces[p.member], p.piece)
		}
	}
	return pieces, r.finishResumed(ctx, d)
}

// spans joins the members that are needed and follow each other.
func (r *restoring) spans(pieces map[int][]piece) []span {
	var spans []span
	offset := int64(0)
	for i := range r.index.Members {
		packed := r.index.Members[i].Packed
		if _, needed := pieces[i]; needed {
			last := len(spans) - 1
			if last >= 0 && spans[last].end == i && spans[last].length+packed <= spanSize {
				spans[last].end++
				spans[last].length += packed
			} else {
				spans = append(spans, span{i, i + 1, offset, packed})
			}
		}
		offset += packed
	}
	return spans
}

// fetcher reads and unpacks one span after the other.
type fetcher struct {
	*restoring
	disk   *disk
	pieces map[int][]piece // by member
	idle   decompressors
	data   bytes.Buffer // the member that was read
}

// span reads the members of a span, and writes their pieces.
func (f *fetcher) span(ctx context.Context, s span) error {
	body, err := f.packed(ctx, s.offset, s.length)
	if err != nil {
		return err
	}
	defer body.Close()
	offset := s.offset
	for i := s.first; i < s.end; i++ {
		if err := f.read(body, f.index.Members[i].Packed); err != nil {
			return err
		}
		if err := f.verify(ctx, i, offset); err != nil {
			return err
		}
		if err := f.unpack(ctx, i); err != nil {
			return err
		}
		offset += f.index.Members[i].Packed
	}
	return nil
}

func (f *fetcher) read(body io.Reader, size int64) error {
	f.data.Reset()
	if _, err := io.CopyN(&f.data, body, size); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	return nil
}

// verify compares the member that was read with its digest. It asks for wrong bytes once more, as
// something on the way may have corrupted them.
func (f *fetcher) verify(ctx context.Context, member int, offset int64) error {
	m := f.index.Members[member]
	if sha256.Sum256(f.data.Bytes()) == m.SHA256 {
		return nil
	}
	body, err := f.packed(ctx, offset, m.Packed)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := f.read(body, m.Packed); err != nil {
		return err
	}
	if sha256.Sum256(f.data.Bytes()) != m.SHA256 {
		return invalid("the bytes from %d on are not those that were spooled", offset)
	}
	return nil
}

// unpack decompresses the member that was read, and writes its pieces, once it is its turn.
func (f *fetcher) unpack(ctx context.Context, member int) error {
	var own *decompressor
	select {
	case own = <-f.idle:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { f.idle <- own }()
	content, err := own.member(f.data.Bytes(), f.index.Members[member].Unpacked)
	if err != nil {
		return err
	}
	for _, p := range f.pieces[member] {
		if err := f.write(f.disk, p, content[p.at:p.at+p.length]); err != nil {
			return err
		}
		f.meter.wrote(p.length)
	}
	return nil
}

// decompressors are those that are not in use; the capacity is how many may unpack at once. The
// number of processors may change while a fetch runs, so it is read only once.
type decompressors chan *decompressor

func newDecompressors(n int) decompressors {
	idle := make(decompressors, n)
	for range n {
		idle <- new(decompressor)
	}
	return idle
}

// close frees the decompressors. It waits for those that are in use.
func (idle decompressors) close() {
	for range cap(idle) {
		(<-idle).close()
	}
}

// decompressor decompresses members, one at a time.
type decompressor struct {
	zstd    *zstd.Decoder
	content []byte
}

// member returns the content of a member, until the next call. It must have exactly size bytes.
func (x *decompressor) member(packed []byte, size int64) (_ []byte, err error) {
	if x.zstd == nil {
		x.content = make([]byte, 0, memberSize+1)
		x.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(memberSize+1))
		if err != nil {
			return nil, err
		}
	}
	content, err := x.zstd.DecodeAll(packed, x.content[:0])
	if err == nil && int64(len(content)) != size {
		err = errors.New("it has another size")
	}
	if err != nil {
		return nil, invalid("unpack a member: %v", err)
	}
	return content, nil
}

func (x *decompressor) close() {
	if x.zstd != nil {
		x.zstd.Close()
	}
}
