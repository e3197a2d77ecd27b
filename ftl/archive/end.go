package archive

import (
	"io"
)

// end checks what follows the last entry, whose content ended at offset from, and passes the
// directories on. Readers of tar differ in what they take for the end. So only the regular end is
// accepted, and nothing may follow it. Reading to the last byte also makes a decompressor compare
// its checksum.
func (w *walker) end(from int64) error {
	switch {
	case w.stream.offset == 0:
		return invalid("it is empty")
	case w.stream.offset-from != 2*blockSize:
		return invalid("it is cut off: its end, two blocks of zeros, is missing")
	}
	if err := w.drain(); err != nil {
		return err
	}
	if w.sum.Entries == 0 && !w.apart {
		return invalid("it is empty")
	}
	return w.sink.finish(w.dirs)
}

// drain reads the rest of the archive, which may only be a padding of zeros.
func (w *walker) drain() error {
	buf := make([]byte, 32<<10)
	last := w.stream.offset + maxPadding
	for {
		n, err := w.stream.Read(buf)
		switch {
		case !allZero(buf[:n]):
			return invalid("something follows its end")
		case err == io.EOF:
			return nil
		case err != nil:
			return w.stream.fault(err)
		case w.stream.offset > last:
			return invalid("more than %d bytes of padding follow its end", maxPadding)
		}
	}
}

// body is the content of the current entry. Its errors are ready to be reported.
type body struct {
	w    *walker
	r    io.Reader
	left int64 // bytes that a single file may still have

	head      Head   // wants the beginning of the content
	beginning []byte // what was read of it
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.w.tar == nil {
		if b.left -= int64(n); b.left < 0 {
			return 0, invalid("it unpacks to more than %d bytes", b.w.most.Bytes)
		}
	}
	if err != nil && err != io.EOF {
		err = b.w.stream.fault(err)
	}
	if b.head.Take != nil && (err == nil || err == io.EOF) {
		if err := b.show(p[:n], err == io.EOF); err != nil {
			return n, err
		}
	}
	return n, err
}

// show collects the beginning of the content until it is complete.
func (b *body) show(data []byte, isEnd bool) error {
	b.beginning = append(b.beginning, data[:min(len(data), b.head.Size-len(b.beginning))]...)
	if len(b.beginning) < b.head.Size && !isEnd {
		return nil
	}
	take := b.head.Take
	b.head = Head{}
	return take(b.beginning)
}

// topName is a name for the one file of an archive: a single component.
func topName(name string) (string, error) {
	clean, err := cleanName(name)
	if dir, _ := split(clean); err == nil && (clean != name || clean == "." || dir != ".") {
		err = invalid("%q: not a file's name", name)
	}
	return clean, err
}
