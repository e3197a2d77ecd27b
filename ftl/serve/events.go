package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// writeLimit is how long a viewer may take to read an event. Who is slower is dropped, and comes
// again.
const writeLimit = 10 * time.Second

// A patch is what has changed on a page. As JSON it is the data of an event.
type patch struct {
	Title     string                   `json:"title"`
	Status    template.HTML            `json:"status"`
	IDs       []string                 `json:"ids"`       // of all fragments
	Fragments map[string]template.HTML `json:"fragments"` // that have changed
}

// events follows the bucket for one page, which the query names: its path as the browser has it,
// and the snapshot that it shows. The first event has everything where that is not the latest
// snapshot, and each later one what has changed.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	person, known := s.who(w, r)
	if !known {
		return
	}
	page, request, err := s.followed(r)
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	if s.door != nil {
		end, begun := s.door.streams.begin(person.By)
		if !begun {
			w.Header().Set("Retry-After", "30")
			http.Error(w, "too many pages are open with this token", http.StatusTooManyRequests)
			return
		}
		defer end()
	}
	s.feed.watch()
	s.feed.streams.Add(1)
	defer s.feed.streams.Add(-1)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no")
	stream := &stream{w: w, control: http.NewResponseController(w)}
	if !stream.send("retry: 2000\n\n") {
		return
	}
	since := r.Header.Get("Last-Event-ID")
	if since == "" {
		since = r.URL.Query().Get("since")
	}
	ticker := time.NewTicker(s.ping)
	defer ticker.Stop()
	for {
		snapshot, changed := s.feed.get()
		if snapshot != nil && snapshot.ID != since {
			shown, err := s.shared.fragments(s, page, s.view(snapshot, person, request), request)
			if err != nil {
				stream.send("event: gone\ndata:\n\n")
				return
			}
			if !stream.patch(snapshot, shown, s.render.html(statusFragment(view{Snapshot: snapshot}))) {
				return
			}
			since = snapshot.ID
		}
		select {
		case <-changed:
		case <-ticker.C:
			if s.config.Who != nil {
				if person, err = s.config.Who(r); err != nil || !person.Looks {
					stream.send("event: gone\ndata:\n\n")
					return
				}
			}
			if !stream.send("event: ping\ndata:\n\n") {
				return
			}
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}

// followed returns the page that a stream is for, and a request as it would be made for it.
func (s *Server) followed(r *http.Request) (pageFunc, *http.Request, error) {
	target, err := url.ParseRequestURI(r.URL.Query().Get("page"))
	if err != nil || target.Host != "" || !strings.HasPrefix(target.Path, "/") {
		return nil, nil, &missing{"There is no such page to follow."}
	}
	request := r.Clone(r.Context())
	request.Method, request.URL = http.MethodGet, target
	mux := http.NewServeMux()
	var found pageFunc
	for pattern, page := range pageFuncs {
		mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) { found, request = page, r })
	}
	mux.ServeHTTP(discard{}, request)
	if found == nil {
		return nil, nil, &missing{"There is no such page to follow."}
	}
	return found, request, nil
}

// discard is the answer to a request that only finds its handler.
type discard struct{}

func (discard) Header() http.Header            { return http.Header{} }
func (discard) Write(text []byte) (int, error) { return len(text), nil }
func (discard) WriteHeader(int)                {}

// A stream is one viewer who follows a page.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	sent    map[string]template.HTML // by id, the newest of each fragment
}

// send reports whether the viewer still reads.
func (st *stream) send(text string) bool {
	if err := st.control.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return false
	}
	if _, err := st.w.Write([]byte(text)); err != nil {
		return false
	}
	return st.control.Flush() == nil
}

// patch sends what has changed since the last one.
func (st *stream) patch(snapshot *Snapshot, shown rendered, status template.HTML) bool {
	p := patch{Title: shown.title, Status: status, Fragments: make(map[string]template.HTML)}
	now := make(map[string]template.HTML, len(shown.fragments))
	for _, f := range shown.fragments {
		p.IDs = append(p.IDs, f.ID)
		now[f.ID] = f.HTML
		if before, sent := st.sent[f.ID]; !sent || before != f.HTML {
			p.Fragments[f.ID] = f.HTML
		}
	}
	st.sent = now
	var data bytes.Buffer
	must(json.NewEncoder(&data).Encode(p)) // one line: JSON has no line ends
	return st.send(fmt.Sprintf("id: %s\nevent: patch\ndata: %s\n", snapshot.ID, data.Bytes()))
}

// rendered are the fragments of a page as HTML.
type rendered struct {
	title     string
	fragments []fragment
}

// shared keeps what was made of one snapshot: many viewers look at the same few pages.
type shared struct {
	mutex    sync.Mutex
	snapshot string
	pages    map[string]*sharedPage
}

type sharedPage struct {
	once sync.Once
	rendered
	err error
}

// maxShared is how many pages are kept; more are made anew for each viewer.
const maxShared = 500

// fragments returns a page as HTML. Viewers with different rights see different pages, so those who
// may act are left out.
func (c *shared) fragments(s *Server, page pageFunc, v view, r *http.Request) (rendered, error) {
	render := func() (rendered, error) {
		p, err := page(v)
		if err != nil {
			return rendered{}, err
		}
		return rendered{s.title(p), s.render.fragments(p.Fragments)}, nil
	}
	if v.person.May != nil {
		return render()
	}
	key := fmt.Sprintf("%t %t %s", v.person.Output, v.person.Name == "", r.URL.RequestURI())
	c.mutex.Lock()
	if c.snapshot != v.Snapshot.ID {
		c.snapshot, c.pages = v.Snapshot.ID, map[string]*sharedPage{}
	}
	kept, found := c.pages[key]
	if !found {
		if len(c.pages) >= maxShared {
			c.mutex.Unlock()
			return render()
		}
		kept = &sharedPage{}
		c.pages[key] = kept
	}
	c.mutex.Unlock()
	kept.once.Do(func() { kept.rendered, kept.err = render() })
	return kept.rendered, kept.err
}

// title is what the browser calls a page.
func (s *Server) title(p page) string {
	if s.config.Name == "" {
		return p.Title + " · ftl"
	}
	return p.Title + " · " + s.config.Name + " · ftl"
}
