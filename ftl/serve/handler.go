package serve

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// maxBody is the longest body of a request.
const maxBody = 64 << 10

// policy lets a page load nothing but what this server has, and run nothing that stands in the page
// itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// pageFuncs are the pages that follow the bucket.
var pageFuncs = map[string]pageFunc{
	"GET /{$}":                  overviewPage,
	"GET /p/{package}":          packagePage,
	"GET /p/{package}/{serial}": rolloutPage,
	"GET /h":                    hostsPage,
	"GET /h/{host}":             hostPage,
	"GET /log":                  logPage,
}

// Handler answers all requests.
func (s *Server) Handler() http.Handler {
	pages := http.NewServeMux()
	for pattern, page := range pageFuncs {
		pages.Handle(pattern, s.showing(page))
	}
	pages.HandleFunc("GET /events", s.events)
	pages.HandleFunc("GET /p/{package}/do/{act}", s.confirmPage)
	pages.HandleFunc("POST /p/{package}/do/{act}", s.act)
	if s.door != nil {
		pages.HandleFunc("GET /login", s.loginPage)
		pages.HandleFunc("POST /login", s.logIn)
		pages.HandleFunc("POST /logout", s.logOut)
	}
	for pattern, handler := range s.config.Pages {
		pages.Handle(pattern, handler)
	}
	pages.HandleFunc("GET /static/{version}/{name}", s.static)
	pages.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, http.StatusNotFound, "There is no such page.", "")
	})
	protection := http.NewCrossOriginProtection()
	if s.config.URL != nil {
		_ = protection.AddTrustedOrigin(s.config.URL.Scheme + "://" + s.config.URL.Host) // which was parsed from a URL
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.log.Warn("refused", "path", r.URL.Path, "peer", r.RemoteAddr, "error", "it came from another site")
		s.fail(w, r, http.StatusForbidden, "That came from another site.", "Open the page here, and try again.")
	}))
	all := http.NewServeMux()
	for pattern, handler := range s.config.Machines {
		all.Handle(pattern, handler)
	}
	s.addAPI(all)
	all.HandleFunc("GET /metrics", s.metrics)
	all.Handle("/", protection.Handler(pages))
	return s.config.Proxy.Believe(s.guarded(s.below(all)))
}

// below leaves the path before all of ours out. That path itself is the first page.
func (s *Server) below(next http.Handler) http.Handler {
	stripped := http.StripPrefix(s.base, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.base != "" && r.URL.Path == s.base {
			http.Redirect(w, r, s.base+"/", http.StatusPermanentRedirect)
			return
		}
		stripped.ServeHTTP(w, r)
	})
}

// guarded sets what holds for every answer, and refuses requests for another host than this one: a
// page of a name that is made to lead here (DNS rebinding) has the rights of this page otherwise.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if !s.isHere(r.Host) {
			s.log.Warn("refused", "path", r.URL.Path, "peer", r.RemoteAddr, "error", "it is for another host")
			http.Error(w, "this server does not have that name; FTL_SERVE_URL says which one it has", http.StatusMisdirectedRequest)
			return
		}
		r.Body = &promptBody{ReadCloser: http.MaxBytesReader(w, r.Body, maxBody), control: http.NewResponseController(w), limit: time.Duration(s.bodyLimit.Load())}
		next.ServeHTTP(w, r)
	})
}

// bodyLimit is how long a body may take to come.
const bodyLimit = 20 * time.Second

// A promptBody is one that has to come in time. The limit is that of the body alone: an answer may
// take longer.
type promptBody struct {
	io.ReadCloser
	control *http.ResponseController
	limit   time.Duration
	begun   bool
}

func (b *promptBody) Read(into []byte) (int, error) {
	if !b.begun {
		b.begun = true
		_ = b.control.SetReadDeadline(time.Now().Add(b.limit)) // what has no connection, as in a test, is prompt
	}
	n, err := b.ReadCloser.Read(into)
	if err == io.EOF { // after any other error the server would wait for the rest by itself
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// isHere reports whether a host of a request is this server: a loopback address, or the one of its
// URL.
func (s *Server) isHere(host string) bool {
	if s.config.URL != nil && strings.EqualFold(host, s.config.URL.Host) {
		return true
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if s.config.URL != nil && strings.EqualFold(name, s.config.URL.Hostname()) {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && addr.IsLoopback()
}

// who returns who sends a request. It has answered where that is nobody who may look.
func (s *Server) who(w http.ResponseWriter, r *http.Request) (Person, bool) {
	person := Person{Looks: true, Output: true}
	if s.config.Who != nil {
		var err error
		if person, err = s.config.Who(r); err != nil {
			s.log.Info("refused", "path", r.URL.Path, "peer", r.RemoteAddr, "error", err.Error())
			s.fail(w, r, http.StatusUnauthorized, "You are not known here.", err.Error())
			return person, false
		}
	}
	if !person.Looks {
		s.fail(w, r, http.StatusUnauthorized, "You have to log in first.", "")
		return person, false
	}
	return person, true
}

// firstLook is how long a request waits for the first snapshot.
const firstLook = 10 * time.Second

// showing answers with a page.
func (s *Server) showing(page pageFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		person, known := s.who(w, r)
		if !known {
			return
		}
		s.feed.watch()
		snapshot := s.feed.wait(r.Context(), firstLook)
		if snapshot == nil || snapshot.Date.IsZero() {
			why := "The bucket is being read for the first time."
			if snapshot != nil {
				why = snapshot.Failure
			}
			w.Header().Set("Retry-After", "5")
			s.fail(w, r, http.StatusServiceUnavailable, "There is nothing to show yet.", why)
			return
		}
		shown, err := page(s.view(snapshot, person, r))
		if err != nil {
			s.failWith(w, r, err)
			return
		}
		s.render.page(w, http.StatusOK, s.layout(snapshot, person, r, shown))
	})
}
