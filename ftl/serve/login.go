package serve

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/rhettg/ftl/ftl/serve/access"
	"github.com/rhettg/ftl/revision"
)

// A door says who a request is of, by what a guard knows.
type door struct {
	*access.Guard
	open, output bool // of Config
	failures     *access.Limiter
	streams      streams
}

// who tells who sends a request: by a token, else by the proxy or a session, else nobody in
// particular.
func (d *door) who(r *http.Request) (Person, error) {
	who, given, err := d.Bearer(r)
	if !given {
		who, err = d.Browser(r)
	}
	if err != nil {
		return Person{}, err
	}
	if who.Role == 0 {
		return Person{Looks: d.open, Output: d.output}, nil
	}
	return Person{
		Name: who.Name, By: who.By(), Looks: who.MaySee(), Output: who.MaySee(),
		May: func(act Act, pkg revision.Package) bool { return who.May(roleFor(act), pkg) },
	}, nil
}

// roleFor returns the least role that may do something.
func roleFor(act Act) access.Role {
	if act == Halt {
		return access.Stop
	}
	return access.Deploy
}

// A loginForm asks for a token.
type loginForm struct {
	Next  string // where to go then
	Error string
}

func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) {
	s.showLogin(w, r, http.StatusOK, loginForm{Next: r.URL.Query().Get("next")})
}

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request, code int, form loginForm) {
	p := page{Title: "Log in", Fragments: []fragment{{ID: "login", Label: "Log in", template: "login", Data: form}}}
	s.render.page(w, code, s.layout(nil, Person{}, r, p))
}

// logIn begins a session for whoever has a token.
func (s *Server) logIn(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, statusOfBody(err), "That can't be read.", err.Error())
		return
	}
	form := loginForm{Next: r.PostForm.Get("next")}
	client := access.Client(r)
	if !access.Secure(r) && client.IsValid() && !client.IsLoopback() {
		form.Error = "A token would be read on its way: log in over https."
		s.showLogin(w, r, http.StatusForbidden, form)
		return
	}
	who, cookie, err := s.door.Login(strings.TrimSpace(r.PostForm.Get("token")))
	switch {
	case errors.Is(err, access.ErrUnknown):
		s.refuseLogin(w, r, client, form)
		return
	case err != nil:
		s.log.Error("a token can't be checked", "error", err.Error())
		s.fail(w, r, http.StatusInternalServerError, "The tokens can't be read.", "")
		return
	}
	http.SetCookie(w, cookie)
	s.log.Info("logged in", "by", who.By(), "peer", r.RemoteAddr)
	http.Redirect(w, r, s.base+within(form.Next), http.StatusSeeOther)
}

// refuseLogin refuses a token that is none, and after some of them the address for a while.
func (s *Server) refuseLogin(w http.ResponseWriter, r *http.Request, client netip.Addr, form loginForm) {
	s.log.Warn("refused", "path", r.URL.Path, "peer", r.RemoteAddr, "error", access.ErrUnknown.Error())
	if wait, ok := s.door.failures.Allow(access.AddressKey(client)); !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
		form.Error = "That was tried too often. Try again in " + wait.String() + "."
		s.showLogin(w, r, http.StatusTooManyRequests, form)
		return
	}
	form.Error = "This token is " + access.ErrUnknown.Error() + "."
	s.showLogin(w, r, http.StatusUnauthorized, form)
}

// within returns a path on this server, the first page for what is none.
func within(next string) string {
	target, err := url.Parse(next)
	if err != nil || target.Scheme != "" || target.Host != "" || target.User != nil || !strings.HasPrefix(target.Path, "/") || strings.HasPrefix(target.Path, "//") || strings.Contains(next, `\`) {
		return "/"
	}
	return target.RequestURI()
}

func (s *Server) logOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, s.door.Logout())
	http.Redirect(w, r, s.base+"/", http.StatusSeeOther)
}
