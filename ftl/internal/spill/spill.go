// Package spill keeps bytes for a while whose number nobody knows beforehand: few of them in
// memory, many in a file without a name. So what works on them needs the same memory for any
// number.
package spill

import (
	"errors"
	"io"
	"os"
)

// Create makes an empty file that is open for reading and writing, and that nobody else finds.
type Create func() (*os.File, error)

// Temporary makes a file without a name in the directory for temporary files, so that nothing stays
// behind however the program ends.
func Temporary() (*os.File, error) {
	file, err := os.CreateTemp("", "ftl-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// inMemory is how many bytes stay in memory.
const inMemory = 1 << 20

// Buffer holds what is written to it. Make one with New. It can be read by several goroutines once
// nobody writes any more.
type Buffer struct {
	create Create
	memory []byte
	file   *os.File // of all bytes, once they are many
	size   int64
}

// New returns an empty Buffer that makes a file when it needs one. The caller closes it.
func New(create Create) *Buffer { return &Buffer{create: create} }

// Write adds bytes at the end. Small pieces should come through a bufio.Writer.
func (b *Buffer) Write(p []byte) (n int, err error) {
	if b.file == nil && len(b.memory)+len(p) <= inMemory {
		b.memory = append(b.memory, p...)
		b.size += int64(len(p))
		return len(p), nil
	}
	if b.file == nil {
		if err := b.move(); err != nil {
			return 0, err
		}
	}
	n, err = b.file.Write(p)
	b.size += int64(n)
	return n, err
}

// move moves all bytes to a file.
func (b *Buffer) move() (err error) {
	if b.file, err = b.create(); err != nil {
		return err
	}
	_, err = b.file.Write(b.memory)
	b.memory = nil
	return err
}

// Size returns how many bytes there are.
func (b *Buffer) Size() int64 { return b.size }

// ReadAt is that of io.ReaderAt.
func (b *Buffer) ReadAt(p []byte, offset int64) (n int, err error) {
	if b.file != nil {
		return b.file.ReadAt(p, offset)
	}
	if offset < 0 || offset >= int64(len(b.memory)) {
		return 0, io.EOF
	}
	if n = copy(p, b.memory[offset:]); n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Reader reads all bytes from the first one on. Each reader has its own place.
func (b *Buffer) Reader() *io.SectionReader { return io.NewSectionReader(b, 0, b.size) }

// Close gives back what the bytes take. It may be called twice, and on nil.
func (b *Buffer) Close() error {
	if b == nil || b.file == nil {
		return nil
	}
	file := b.file
	*b = Buffer{create: b.create}
	return file.Close()
}
