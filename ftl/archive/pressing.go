package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// errPressing says that compressing has already ended with an error, which wait returns.
var errPressing = errors.New("compressing has ended")

// pressing compresses members, several at once, and writes them in their order.
type pressing struct {
	group   *errgroup.Group
	ctx     context.Context // of the one Rewrite that it serves
	todo    chan *pressJob
	ordered chan *pressJob
	members []Member
	buffers sync.Pool
}

// pressJob is one member on its way.
type pressJob struct {
	content []byte
	packed  bytes.Buffer
	done    chan struct{}
}

func newPressing(ctx context.Context, w io.Writer, form Form) (*pressing, error) {
	workers := runtime.GOMAXPROCS(0)
	p := &pressing{todo: make(chan *pressJob, workers), ordered: make(chan *pressJob, 2*workers)}
	p.buffers.New = func() any { b := make([]byte, 0, memberSize); return &b }
	p.group, p.ctx = errgroup.WithContext(ctx)
	for range workers {
		press, err := newPress(form)
		if err != nil {
			return nil, err
		}
		p.group.Go(func() error { return p.work(press) })
	}
	p.group.Go(func() error { return p.write(w) })
	return p, nil
}

// newPress returns a function that appends the compressed member to a buffer.
func newPress(form Form) (func(*bytes.Buffer, []byte) error, error) {
	if form == TarZstd {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(memberSize), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, err
		}
		return func(to *bytes.Buffer, content []byte) error {
			to.Write(z.EncodeAll(content, to.AvailableBuffer()))
			return nil
		}, nil
	}
	if form != TarGzip {
		return nil, errors.New("a seekable archive is a tar.gz or a tar.zst")
	}
	z, err := gzip.NewWriterLevel(nil, gzip.DefaultCompression)
	return func(to *bytes.Buffer, content []byte) error {
		z.Reset(to)
		if _, err := z.Write(content); err != nil {
			return err
		}
		return z.Close()
	}, err
}

// buffer returns an empty buffer for a member.
func (p *pressing) buffer() []byte { return *p.buffers.Get().(*[]byte) }

// add takes the content of the next member, and the buffer with it.
func (p *pressing) add(content []byte) error {
	job := &pressJob{content: content, done: make(chan struct{})}
	for _, queue := range []chan *pressJob{p.ordered, p.todo} {
		select {
		case queue <- job:
		case <-p.ctx.Done():
			return errPressing
		}
	}
	return nil
}

// wait ends the pressing, and returns the members that were written.
func (p *pressing) wait() ([]Member, error) {
	close(p.todo)
	close(p.ordered)
	err := p.group.Wait()
	return p.members, err
}

func (p *pressing) work(press func(*bytes.Buffer, []byte) error) error {
	for job := range p.todo {
		if err := press(&job.packed, job.content); err != nil {
			return err
		}
		close(job.done)
	}
	return nil
}

func (p *pressing) write(w io.Writer) error {
	for job := range p.ordered {
		select {
		case <-job.done:
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
		packed := job.packed.Bytes()
		if _, err := w.Write(packed); err != nil {
			return err
		}
		p.members = append(p.members, Member{
			Packed: int64(len(packed)), Unpacked: int64(len(job.content)), SHA256: sha256.Sum256(packed),
		})
		empty := job.content[:0]
		p.buffers.Put(&empty)
	}
	return nil
}
