// Package counting tells how many bytes are read, while they are.
package counting

import "io"

// Reader reads from r, and tells of the bytes of each read that got any.
func Reader(r io.Reader, tell func(n int64)) io.Reader { return &reader{r, tell} }

// ReadCloser is Reader of what has to be closed.
func ReadCloser(r io.ReadCloser, tell func(n int64)) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{Reader(r, tell), r}
}

type reader struct {
	r    io.Reader
	tell func(n int64)
}

func (c *reader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		c.tell(int64(n))
	}
	return n, err
}
