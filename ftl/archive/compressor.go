package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// errCompressing says that compressing has already ended with an error, which wait returns.
var errCompressing = errors.New("compressing has ended")

// compressor compresses members, several at once, and writes them in their order.
type compressor struct {
	group   *errgroup.Group
	ctx     context.Context // of the one Rewrite that it serves
	todo    chan *compression
	ordered chan *compression
	members []Member
	buffers sync.Pool
}

// compression is the work on one member.
type compression struct {
	content []byte
	packed  []byte
	done    chan struct{}
}

func newCompressor(ctx context.Context, w io.Writer) (*compressor, error) {
	n := workers()
	c := &compressor{todo: make(chan *compression, n), ordered: make(chan *compression, 2*n)}
	c.buffers.New = func() any { b := make([]byte, 0, memberSize); return &b }
	c.group, c.ctx = errgroup.WithContext(ctx)
	for range n {
		z, err := newMemberEncoder()
		if err != nil {
			return nil, err
		}
		c.group.Go(func() error { return c.work(z) })
	}
	c.group.Go(func() error { return c.write(w) })
	return c, nil
}

// newMemberEncoder returns what compresses one member after the other.
func newMemberEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(memberSize), zstd.WithLowerEncoderMem(true))
}

// buffer returns an empty buffer for a member.
func (c *compressor) buffer() []byte { return *c.buffers.Get().(*[]byte) }

// add takes the content of the next member, and the buffer with it.
func (c *compressor) add(content []byte) error {
	job := &compression{content: content, done: make(chan struct{})}
	for _, queue := range []chan *compression{c.ordered, c.todo} {
		select {
		case queue <- job:
		case <-c.ctx.Done():
			return errCompressing
		}
	}
	return nil
}

// wait waits for all members, and returns those that were written. Nothing may be added any more.
func (c *compressor) wait() ([]Member, error) {
	close(c.todo)
	close(c.ordered)
	err := c.group.Wait()
	return c.members, err
}

func (c *compressor) work(z *zstd.Encoder) error {
	for job := range c.todo {
		job.packed = z.EncodeAll(job.content, nil)
		close(job.done)
	}
	return nil
}

func (c *compressor) write(w io.Writer) error {
	for job := range c.ordered {
		select {
		case <-job.done:
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
		if _, err := w.Write(job.packed); err != nil {
			return err
		}
		c.members = append(c.members, Member{
			Packed: int64(len(job.packed)), Unpacked: int64(len(job.content)), SHA256: sha256.Sum256(job.packed),
		})
		empty := job.content[:0]
		c.buffers.Put(&empty)
	}
	return nil
}
