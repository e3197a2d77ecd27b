package serve

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// A confirmation asks whether what would be written is what is meant.
type confirmation struct {
	proposal
	Word    string
	Action  string // the address to send it to
	Back    string
	By      string
	Line    string // what is written, as far as it is known before
	Does    string // in a sentence
	Plan    []waveText
	Command string
	Why     string // it can't be done; "" where it can
	Hint    string
	Moved   bool // what was confirmed is not what would be written any more
	Asks    bool // for a note
	Choice  bool // of waves
	Default string
}

// A waveText is a wave of a plan in words.
type waveText struct{ Number, Hosts, Need, Halt, Soak string }

// confirmPage asks before an act. It changes nothing.
func (s *Server) confirmPage(w http.ResponseWriter, r *http.Request) {
	a, ok := s.asked(w, r)
	if !ok {
		return
	}
	s.showConfirm(w, r, http.StatusOK, a, false)
}

// An asked act is one that somebody who may do it asks for.
type asked struct {
	view
	order
}

// asked reads which act somebody asks for, by the query or a form, and answers where that is none
// that he may do.
func (s *Server) asked(w http.ResponseWriter, r *http.Request) (a asked, ok bool) {
	person, known := s.who(w, r)
	if !known {
		return a, false
	}
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, statusOfBody(err), "That can't be read.", err.Error())
		return a, false
	}
	snapshot := s.feed.wait(r.Context(), firstLook)
	if snapshot == nil || snapshot.Date.IsZero() {
		s.fail(w, r, http.StatusServiceUnavailable, "There is nothing to show yet.", "")
		return a, false
	}
	if r.Method == http.MethodGet && !r.Form.Has("waves") {
		r.Form.Set("waves", s.config.Waves)
	}
	a.view = s.view(snapshot, person, r)
	pkg, err := a.view.wanted()
	if err == nil {
		a.order, err = a.view.ordered(pkg.Package, r.Form.Get)
	}
	if err != nil {
		s.failWith(w, r, err)
		return a, false
	}
	if why := a.view.may(a.Act, a.order.Package); why != "" {
		s.refused(r, a.order, person, why)
		s.fail(w, r, http.StatusForbidden, "That can't be done here.", why+". The same as a command: "+a.command())
		return a, false
	}
	return a, true
}

// statusOfBody is the status for a body that could not be read.
func statusOfBody(err error) int {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

func (s *Server) showConfirm(w http.ResponseWriter, r *http.Request, code int, a asked, moved bool) {
	p, err := s.propose(r.Context(), a.person.By, a.order)
	c := confirmation{
		proposal: p, Word: actWords[a.Act], Action: fmt.Sprintf("/p/%s/do/%s", a.order.Package, a.Act), Back: "/p/" + a.order.Package.String(),
		By: a.person.By, Command: a.command(), Moved: moved, Asks: a.Act != Halt, Choice: a.Act == Bless, Default: s.config.Waves,
	}
	switch {
	case err != nil:
		c.Why, c.Hint = err.Error(), hintOf(err)
	case !p.Fresh:
		c.Why = fmt.Sprintf("%s is blessed already; again lets every host try anew.", a.order.Revision)
	default:
		c.describe()
	}
	if code == http.StatusOK && err != nil {
		code = statusOf(err)
	}
	shown := page{Title: c.Word + " " + a.order.Package.String(), Nav: "overview", Fragments: []fragment{{ID: "confirm", Label: "Confirm", template: "confirm", Data: c}}}
	l := s.layout(nil, a.person, r, shown)
	s.render.page(w, code, l)
}

// describe says what is written.
func (c *confirmation) describe() {
	e := c.Entry
	if c.Act == Halt {
		c.Line = fmt.Sprintf("a vote against serial %d of %s", e.Serial, c.order.Package)
		c.Does = fmt.Sprintf("No further host follows %s. Those that run it keep it.", e.Revision)
		return
	}
	e.By, e.At, e.Op = c.By, time.Time{}, ""
	c.Line = fmt.Sprintf("%s by=%s kind=%s manifest=%s", e.Revision, c.By, e.Kind, e.Manifest)
	if e.Note != "" {
		c.Line += " note=" + strconv.Quote(e.Note)
	}
	if e.Base != (revision.Revision{}) {
		c.Line += " base=" + e.Base.String()
	}
	if e.Rollout == nil {
		c.Does = fmt.Sprintf("Every host goes to %s when it next syncs.", e.Revision)
		return
	}
	c.Line += " !rollout=" + strconv.Quote(e.Rollout.String())
	c.Does = fmt.Sprintf("Hosts go to %s in %s.", e.Revision, plural(len(e.Rollout.Waves), "wave"))
	before := 0
	for k, wave := range e.Rollout.Waves {
		c.Plan = append(c.Plan, waveText{strconv.Itoa(k + 1), hostCount(wave.Upto - before), strconv.Itoa(wave.Need), strconv.Itoa(wave.Halt), wave.Soak.String()})
		before = wave.Upto
	}
}

// hintOf returns what to do about an error.
func hintOf(err error) string {
	if e, ok := errors.AsType[*ftl.Error](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*store.Error](err); ok {
		return e.Hint
	}
	return ""
}

// statusOf is the status of an act that failed.
func statusOf(err error) int {
	if _, ok := errors.AsType[*missing](err); ok {
		return http.StatusNotFound
	}
	if e, ok := errors.AsType[*ftl.Error](err); ok {
		switch e.Kind {
		case ftl.NotFound:
			return http.StatusUnprocessableEntity
		case ftl.Refused, ftl.Busy:
			return http.StatusConflict
		}
	}
	return http.StatusBadGateway
}

// settleIn is how long whoever has acted waits for a page that shows it.
const settleIn = 3 * time.Second

// act does what was confirmed.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	a, ok := s.asked(w, r)
	if !ok {
		return
	}
	err := s.performAndTell(r, a.person, a.order)
	if errors.Is(err, errMoved) {
		s.showConfirm(w, r, http.StatusConflict, a, true)
		return
	}
	if err != nil {
		s.showConfirm(w, r, statusOf(err), a, false)
		return
	}
	s.awaitLook(r)
	http.Redirect(w, r, s.base+"/p/"+a.order.Package.String(), http.StatusSeeOther)
}

// performAndTell performs an order, and writes it into the log.
func (s *Server) performAndTell(r *http.Request, person Person, o order) error {
	err := s.perform(r.Context(), person.By, o)
	if err != nil {
		s.refused(r, o, person, err.Error())
		return err
	}
	s.log.Info("done", "act", string(o.Act), "package", o.Package.String(), "revision", o.Revision.String(), "by", person.By, "peer", r.RemoteAddr)
	return nil
}

func (s *Server) refused(r *http.Request, o order, person Person, why string) {
	s.log.Warn("not done", "act", string(o.Act), "package", o.Package.String(), "by", person.By, "peer", r.RemoteAddr, "error", why)
}

// awaitLook waits, for a while, for the bucket to be read anew.
func (s *Server) awaitLook(r *http.Request) {
	_, changed := s.feed.get()
	s.feed.look()
	timer := time.NewTimer(settleIn)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-r.Context().Done():
	}
}
