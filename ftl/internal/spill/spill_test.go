package spill

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"
)

func TestBuffer(t *testing.T) {
	for _, size := range []int{0, 1, inMemory - 1, inMemory, inMemory + 1, 3 * inMemory} {
		files := 0
		b := New(func() (*os.File, error) { files++; return Temporary() })
		want := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		for rest := want; len(rest) > 0; {
			n, err := b.Write(rest[:min(len(rest), 1000)])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if most := min(1, size/(inMemory+1)); files != most {
			t.Errorf("%d bytes: %d files, want %d", size, files, most)
		}
		if b.Size() != int64(size) {
			t.Errorf("%d bytes: got a size of %d", size, b.Size())
		}
		if got, err := io.ReadAll(b.Reader()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d others, %v", size, len(got), err)
		}
		part := make([]byte, 7)
		if n, err := b.ReadAt(part, int64(size/2)); !bytes.Equal(part[:n], want[size/2:min(size, size/2+7)]) || n < len(part) && err != io.EOF {
			t.Errorf("%d bytes: got %q in the middle, %v", size, part[:n], err)
		}
		if _, err := b.ReadAt(make([]byte, 1), int64(size)); err != io.EOF {
			t.Errorf("%d bytes: read at the end: %v, want %v", size, err, io.EOF)
		}
		for range 2 {
			if err := b.Close(); err != nil {
				t.Errorf("%d bytes: close: %v", size, err)
			}
		}
	}
}

func TestTemporaryHasNoName(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	f, err := Temporary()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := os.Stat(f.Name()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there: %v", f.Name(), err)
	}
}

func TestBufferTellsThatNoFileCanBeMade(t *testing.T) {
	b := New(func() (*os.File, error) { return nil, fs.ErrPermission })
	if _, err := b.Write(make([]byte, inMemory+1)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want %v", err, fs.ErrPermission)
	}
}
