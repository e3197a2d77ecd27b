package webhook

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rhettg/ftl/revision"
)

// A problem is why something was not done, as RFC 9457 has it. It also has what a client of the
// older service reads, as it is sent before it is known which of the two a request is.
type problem struct {
	Type   string          `json:"type"`
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail"`
	First  json.RawMessage `json:"first,omitempty"` // the answer that the same request has got before
	olderAnswer

	header http.Header
}

func refuse(status int, detail string) *problem {
	p := &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
	p.olderAnswer = olderAnswer{Logs: []string{}, Error: &p.Detail}
	return p
}

func tooOften(detail string, wait time.Duration) *problem {
	p := refuse(http.StatusTooManyRequests, detail)
	p.header = http.Header{"Retry-After": {strconv.Itoa(int(wait / time.Second))}}
	return p
}

func (p *problem) write(w http.ResponseWriter) {
	writeJSON(w, p.Status, "application/problem+json", p.header, p)
}

func writeJSON(w http.ResponseWriter, status int, media string, header http.Header, body any) {
	for name, values := range header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // that the client has gone is no news
}

// An olderAnswer is the answer of the older service, whatever it says.
type olderAnswer struct {
	Logs  []string `json:"logs"`
	Error *string  `json:"error"`
}

// An answer is that to a request of ours which was done.
type answer struct {
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"`
	Serial   int64             `json:"serial"`
	Already  bool              `json:"already"`  // it was blessed before
	Deployed bool              `json:"deployed"` // the hosts run it; false where nobody has waited for them
	olderAnswer
}

// of returns the answer to a request that was done, and its status.
func (r result) of() (int, answer) {
	a := answer{
		Package: r.request.pkg, Revision: r.entry.Revision, Serial: r.entry.Serial, Already: r.already, Deployed: r.followed != nil,
		olderAnswer: olderAnswer{Logs: r.lines.all()},
	}
	if a.Already || a.Deployed {
		return http.StatusOK, a
	}
	return http.StatusAccepted, a
}

// location is where to look how it goes on.
func (r result) location() http.Header {
	return http.Header{"Location": {fmt.Sprintf("%s/p/%s/%d", r.base, r.request.pkg, r.entry.Serial)}}
}

// An answerer sends a result.
type answerer interface{ send(result) }

// plain sends a result as a whole.
type plain struct{ http.ResponseWriter }

func (w plain) send(r result) {
	older := r.request != nil && r.request.older
	switch {
	case older && r.problem != nil:
		writeJSON(w, r.problem.Status, "application/json", r.problem.header, olderAnswer{r.lines.all(), &r.problem.Detail})
	case older:
		writeJSON(w, http.StatusOK, "application/json", nil, olderAnswer{Logs: r.lines.all()})
	case r.problem != nil:
		r.problem.Logs = r.lines.all()
		r.problem.write(w)
	default:
		status, answer := r.of()
		writeJSON(w, status, "application/json", r.location(), answer)
	}
}

// streams reports whether a client wants each line as it comes.
func streams(r *http.Request) bool {
	for word := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if media, _, err := mime.ParseMediaType(word); err == nil && media == "application/x-ndjson" {
			return true
		}
	}
	return false
}

// stream sends each line as it comes, as {"log": "…"}, and then the result with its status.
type stream struct {
	mu      sync.Mutex
	writer  http.ResponseWriter
	encoder *json.Encoder
}

func newStream(w http.ResponseWriter, lines *lines) *stream {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	s := &stream{writer: w, encoder: json.NewEncoder(w)}
	lines.listen(func(line string) { s.write(map[string]string{"log": line}) })
	return s
}

func (s *stream) write(value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	control := http.NewResponseController(s.writer)
	_ = control.SetWriteDeadline(time.Now().Add(sendTime)) // who does not read is not waited for
	_ = s.encoder.Encode(value)
	_ = control.Flush()
}

func (s *stream) send(r result) {
	if r.problem != nil {
		s.write(r.problem)
		return
	}
	status, answer := r.of()
	answer.Logs = []string{} // they were sent
	s.write(struct {
		Status int `json:"status"`
		*streamed
	}{status, (*streamed)(&answer)})
}

type streamed answer
