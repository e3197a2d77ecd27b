package archive

// cutter cuts a tar into members. It gets all bytes of it in order, and is told of each entry after its header was
// written: only then is it known how large the entry is, and whether the member should have ended before it.
type cutter struct {
	press *pressing
	start int64  // of the member at hand, in the tar
	buf   []byte // of the member at hand
	alone bool   // the last entry shares its members with no other
}

// Write adds bytes of the tar. A large file is cut inside.
func (c *cutter) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if c.buf == nil {
			c.buf = c.press.buffer()
		}
		part := min(len(b), memberSize-len(c.buf))
		c.buf = append(c.buf, b[:part]...)
		b = b[part:]
		if len(c.buf) == memberSize {
			if err := c.cut(memberSize); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// entry says that an entry has its header at the given place of the tar, and its content ends at the other. Its header
// was written, and is still in the buffer unless it is longer than a member.
func (c *cutter) entry(header, end int64) {
	before := header - c.start
	if before > 0 && (c.alone || end-c.start > groupSize) {
		c.cut(int(before)) // an error comes back from the next Write
	}
	c.alone = end-header > groupSize
}

// cut ends the member at hand after n bytes of the buffer. The rest begins the next one.
func (c *cutter) cut(n int) error {
	member, rest := c.buf[:n], c.buf[n:]
	c.buf = nil
	if len(rest) > 0 {
		c.buf = append(c.press.buffer(), rest...)
	}
	c.start += int64(n)
	return c.press.add(member)
}

func (c *cutter) finish() {
	if len(c.buf) > 0 {
		c.cut(len(c.buf)) // an error comes back from the pressing
	}
}
