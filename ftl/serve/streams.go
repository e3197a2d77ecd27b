package serve

import "sync"

// maxStreams is how many streams may be open with one token, or by one user. Whoever needs none may
// have any number: they cost the bucket nothing.
const maxStreams = 16

// streams counts the streams of each person who is known.
type streams struct {
	mutex sync.Mutex
	open  map[string]int // by what the marker calls the person
}

// begin counts one more, and returns how to end it, and false where there are too many.
func (s *streams) begin(by string) (end func(), ok bool) {
	if by == "" {
		return func() {}, true
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.open[by] >= maxStreams {
		return nil, false
	}
	if s.open == nil {
		s.open = make(map[string]int)
	}
	s.open[by]++
	return func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		if s.open[by]--; s.open[by] == 0 {
			delete(s.open, by)
		}
	}, true
}
