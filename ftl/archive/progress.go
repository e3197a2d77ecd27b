package archive

import (
	"io"
	"sync/atomic"
)

// Progress is how far a Restore is, in bytes.
type Progress struct {
	Fetched, ToFetch int64 // of the packed archive; what is found in a tree is never fetched
	Written, ToWrite int64 // content of files
}

// meter counts for several goroutines, and tells whoever watches.
type meter struct {
	watch            func(Progress) // nil: nobody does
	fetched, toFetch atomic.Int64
	written, toWrite atomic.Int64
}

func (m *meter) tell() {
	if m.watch != nil {
		m.watch(Progress{m.fetched.Load(), m.toFetch.Load(), m.written.Load(), m.toWrite.Load()})
	}
}

func (m *meter) wrote(n int64) {
	m.written.Add(n)
	m.tell()
}

// counted counts what is read from a part of the archive.
func (m *meter) counted(body io.ReadCloser) io.ReadCloser { return &countedBody{body, m} }

type countedBody struct {
	io.ReadCloser
	meter *meter
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.meter.fetched.Add(int64(n))
		b.meter.tell()
	}
	return n, err
}
