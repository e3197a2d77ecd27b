package archive

import "sync/atomic"

// Progress is how far a Restore has come, in bytes.
type Progress struct {
	Fetched, ToFetch int64 // of the packed archive; what is found in a tree is never fetched
	Written, ToWrite int64 // content of files
}

// meter counts for several goroutines, and reports each change.
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

// read counts what is read from a part of the archive.
func (m *meter) read(n int64) {
	m.fetched.Add(n)
	m.tell()
}
