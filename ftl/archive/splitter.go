package archive

// splitter splits a tar into members. It gets all bytes of the tar in order. It learns of each
// entry only after the entry's header was written, when the size of the entry is known; so it may
// have to end the member before bytes that it already has.
type splitter struct {
	to    *compressor
	start int64  // of the current member, in the tar
	buf   []byte // of the current member
	alone bool   // the last entry shares its members with no other
}

// Write adds bytes of the tar. It may cut a large file anywhere.
func (s *splitter) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if s.buf == nil {
			s.buf = s.to.buffer()
		}
		part := min(len(b), memberSize-len(s.buf))
		s.buf = append(s.buf, b[:part]...)
		b = b[part:]
		if len(s.buf) == memberSize {
			if err := s.cut(memberSize); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// entry says where in the tar the header of an entry begins, and where its content ends. The header
// was written already, and is still in the buffer unless it is longer than a member.
func (s *splitter) entry(header, end int64) {
	before := header - s.start
	if before > 0 && (s.alone || end-s.start > groupSize) {
		s.cut(int(before)) // an error comes back from the next Write
	}
	s.alone = end-header > groupSize
}

// cut ends the current member after n bytes of the buffer. The rest begins the next one.
func (s *splitter) cut(n int) error {
	member, rest := s.buf[:n], s.buf[n:]
	s.buf = nil
	if len(rest) > 0 {
		s.buf = append(s.to.buffer(), rest...)
	}
	s.start += int64(n)
	return s.to.add(member)
}

func (s *splitter) finish() {
	if len(s.buf) > 0 {
		s.cut(len(s.buf)) // an error comes back from the compressor
	}
}
