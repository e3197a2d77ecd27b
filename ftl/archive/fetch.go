package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// How members are fetched. Each connection reads members that follow each other, and stays a few members ahead of the
// workers, so that memory stays bounded whatever the size of the archive.
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
	entry  int   // in the index
	at     int64 // in the member
	offset int64 // in the file
	length int64
}

// packedMember is a member that was read and is not verified yet.
type packedMember struct {
	number int
	data   *bytes.Buffer
}

// fetch makes the files with these entries from members of the archive.
func (r *restoring) fetch(ctx context.Context, entries []int) error {
	if len(entries) == 0 {
		return nil
	}
	pieces := r.pieces(entries)
	spans := r.spans(pieces)
	for _, s := range spans {
		r.meter.toFetch.Add(s.length)
	}
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan packedMember, 2*workers())
	var readers sync.WaitGroup
	todo := make(chan span, len(spans))
	for _, s := range spans {
		todo <- s
	}
	close(todo)
	for range min(connections, len(spans)) {
		readers.Add(1)
		group.Go(func() error {
			defer readers.Done()
			for s := range todo {
				if err := r.read(ctx, s, queue); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		readers.Wait()
		close(queue)
		return nil
	})
	for range workers() {
		group.Go(func() error { return r.unpackMembers(ctx, queue, pieces) })
	}
	return group.Wait()
}

// pieces lists, by member, what of it belongs to the files.
func (r *restoring) pieces(entries []int) map[int][]piece {
	pieces := make(map[int][]piece)
	member, start := 0, int64(0) // start is that of the member in the tar
	for _, i := range entries {
		e := &r.index.Entries[i]
		parts := 0
		for done := int64(0); done < e.Size; parts++ {
			for start+r.index.Members[member].Unpacked <= e.Offset+done {
				start += r.index.Members[member].Unpacked
				member++
			}
			at := e.Offset + done - start
			length := min(e.Size-done, r.index.Members[member].Unpacked-at)
			pieces[member] = append(pieces[member], piece{i, at, done, length})
			done += length
		}
		if parts > 1 {
			r.share(i, parts)
		}
	}
	return pieces
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

var packedBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// read reads the members of a span.
func (r *restoring) read(ctx context.Context, s span, queue chan<- packedMember) error {
	body, err := r.packed(ctx, s.offset, s.length)
	if err != nil {
		return err
	}
	defer body.Close()
	for i := s.first; i < s.end; i++ {
		data := packedBuffers.Get().(*bytes.Buffer)
		data.Reset()
		if _, err := io.CopyN(data, body, r.index.Members[i].Packed); err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		select {
		case queue <- packedMember{i, data}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// unpackMembers verifies and inflates members, and writes their pieces.
func (r *restoring) unpackMembers(ctx context.Context, queue <-chan packedMember, pieces map[int][]piece) error {
	d := r.disk()
	defer d.close()
	inflate := inflater{}
	defer inflate.close()
	for member := range queue {
		if err := r.verify(ctx, member); err != nil {
			return err
		}
		content, err := inflate.member(member.data.Bytes(), r.index.Members[member.number].Unpacked)
		packedBuffers.Put(member.data)
		if err != nil {
			return err
		}
		for _, p := range pieces[member.number] {
			if err := r.write(d, p, content[p.at:p.at+p.length]); err != nil {
				return err
			}
			r.meter.wrote(p.length)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// verify compares a member with its digest. Wrong bytes are asked for once more, as something on the way may have
// spoiled them.
func (r *restoring) verify(ctx context.Context, member packedMember) error {
	want := r.index.Members[member.number].SHA256
	if sha256.Sum256(member.data.Bytes()) == want {
		return nil
	}
	offset := int64(0)
	for i := range member.number {
		offset += r.index.Members[i].Packed
	}
	body, err := r.packed(ctx, offset, r.index.Members[member.number].Packed)
	if err != nil {
		return err
	}
	defer body.Close()
	member.data.Reset()
	if _, err := member.data.ReadFrom(body); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	if sha256.Sum256(member.data.Bytes()) != want {
		return invalid("the bytes from %d on are not those that were spooled", offset)
	}
	return nil
}

// inflater decompresses members, for one goroutine.
type inflater struct {
	gzip    *gzip.Reader
	zstd    *zstd.Decoder
	content []byte
}

// member returns the content of a member, until the next call. It must have exactly size bytes.
func (x *inflater) member(packed []byte, size int64) (_ []byte, err error) {
	if cap(x.content) == 0 {
		x.content = make([]byte, memberSize+1)
	}
	x.content = x.content[:0]
	if len(packed) > 2 && packed[0] == 0x1f && packed[1] == 0x8b {
		err = x.inflateGzip(packed)
	} else {
		err = x.inflateZstd(packed)
	}
	if err == nil && int64(len(x.content)) != size {
		err = errors.New("it has another size")
	}
	if err != nil {
		return nil, invalid("unpack a member: %v", err)
	}
	return x.content, nil
}

func (x *inflater) inflateGzip(packed []byte) (err error) {
	r := bytes.NewReader(packed)
	if x.gzip == nil {
		x.gzip, err = gzip.NewReader(r)
	} else {
		err = x.gzip.Reset(r)
	}
	if err != nil {
		return err
	}
	n, err := io.ReadFull(x.gzip, x.content[:memberSize+1])
	x.content = x.content[:n]
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		return nil // shorter than the longest; whether whole, the size tells
	}
	return err
}

func (x *inflater) inflateZstd(packed []byte) (err error) {
	if x.zstd == nil {
		x.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(memberSize+1))
		if err != nil {
			return err
		}
	}
	x.content, err = x.zstd.DecodeAll(packed, x.content)
	return err
}

func (x *inflater) close() {
	if x.zstd != nil {
		x.zstd.Close()
	}
}
