package counting_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rhettg/ftl/ftl/internal/counting"
)

func TestReader(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		name  string
		from  io.Reader
		total int64
		tells int
		err   error
	}{
		{"all at once", strings.NewReader("content"), 7, 1, nil},
		{"byte by byte", iotest.OneByteReader(strings.NewReader("content")), 7, 7, nil},
		{"nothing", strings.NewReader(""), 0, 0, nil},
		{"bytes together with the end", iotest.DataErrReader(strings.NewReader("content")), 7, 1, nil},
		{"breaks off", io.MultiReader(strings.NewReader("con"), iotest.ErrReader(broken)), 3, 1, broken},
	} {
		total, tells := int64(0), 0
		r := counting.Reader(test.from, func(n int64) { total += n; tells++ })
		if _, err := io.ReadAll(r); !errors.Is(err, test.err) || total != test.total || tells != test.tells {
			t.Errorf("%s: told %d bytes in %d reads, %v; want %d in %d, %v", test.name, total, tells, err, test.total, test.tells, test.err)
		}
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestReadCloserCloses(t *testing.T) {
	body := &closer{Reader: strings.NewReader("content")}
	var total int64
	r := counting.ReadCloser(body, func(n int64) { total += n })
	if _, err := io.ReadAll(r); err != nil || total != 7 {
		t.Errorf("told %d bytes, %v; want 7", total, err)
	}
	if err := r.Close(); err != nil || !body.closed {
		t.Errorf("Close: %v, closed %v", err, body.closed)
	}
}
