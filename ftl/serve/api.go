package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
)

// The API tells as JSON what the pages show, under the same paths, in the types that the commands
// print with --json. Cookies give no rights there. An error is a problem of RFC 9457. openapi.json
// has all of it.

// apiPrefix is before all paths of the API.
const apiPrefix = "/api/v1"

// An apiFunc makes the answer of a snapshot and a URL. What is not there is a *missing.
type apiFunc func(view) (any, error)

// apiFuncs are the answers that follow the bucket.
var apiFuncs = map[string]apiFunc{
	"/":                     apiFleet,
	"/p/{package}":          apiPackage,
	"/p/{package}/{serial}": apiRollout,
	"/h":                    apiHosts,
	"/h/{host}":             apiHost,
	"/log":                  apiLog,
}

// addAPI adds the API to a mux that takes no cookies.
func (s *Server) addAPI(mux *http.ServeMux) {
	for path, answer := range apiFuncs {
		if path == "/" {
			path = "/{$}"
		}
		mux.HandleFunc("GET "+apiPrefix+path, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, answer) })
	}
	mux.HandleFunc("GET "+apiPrefix+"/p/{package}/do/{act}", s.apiPropose)
	mux.HandleFunc("POST "+apiPrefix+"/p/{package}/do/{act}", s.apiAct)
	mux.HandleFunc("GET "+apiPrefix+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		text, err := files.ReadFile("openapi.json")
		must(err)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // who has gone does not miss it
	})
	mux.HandleFunc(apiPrefix+"/", func(w http.ResponseWriter, r *http.Request) {
		s.problem(w, r, http.StatusNotFound, "there is no such thing; see "+s.base+apiPrefix+"/openapi.json", "")
	})
}

// apiProblem is what went wrong, as RFC 9457 has it.
type apiProblem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Hint     string `json:"hint,omitempty"`
	Instance string `json:"instance"`
}

func (s *Server) problem(w http.ResponseWriter, r *http.Request, code int, detail, hint string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	writeJSON(w, apiProblem{"about:blank", http.StatusText(code), code, detail, hint, r.URL.Path})
}

func writeJSON(w http.ResponseWriter, value any) {
	var text bytes.Buffer
	must(json.NewEncoder(&text).Encode(value))
	_, _ = w.Write(text.Bytes()) // who has gone does not miss it
}

// apiView returns the view of a request to the API. It has answered where there is none.
func (s *Server) apiView(w http.ResponseWriter, r *http.Request) (v view, ok bool) {
	r.Header.Del("Cookie")
	person := Person{Looks: true, Output: true}
	if s.config.Who != nil {
		var err error
		if person, err = s.config.Who(r); err != nil || !person.Looks {
			s.log.Info("refused", "path", r.URL.Path, "peer", r.RemoteAddr)
			w.Header().Set("WWW-Authenticate", `Bearer realm="ftl"`)
			s.problem(w, r, http.StatusUnauthorized, "a token is missing, or is not known here", "Authorization: Bearer ftl_…")
			return v, false
		}
	}
	s.feed.watch()
	snapshot := s.feed.wait(r.Context(), firstLook)
	if snapshot == nil || snapshot.Date.IsZero() {
		w.Header().Set("Retry-After", "5")
		s.problem(w, r, http.StatusServiceUnavailable, "the bucket was not read yet", "")
		return v, false
	}
	return s.view(snapshot, person, r), true
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, answer apiFunc) {
	v, ok := s.apiView(w, r)
	if !ok {
		return
	}
	value, err := answer(v)
	if err != nil {
		s.problem(w, r, statusOf(err), err.Error(), "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, value)
}

func apiFleet(v view) (any, error) {
	whole := v.View
	whole.Packages = slices.Clone(whole.Packages)
	for i, p := range whole.Packages {
		whole.Packages[i] = v.visiblePackage(p)
	}
	return whole, nil
}

// visiblePackage leaves out what the viewer may not see.
func (v view) visiblePackage(p fleet.Package) fleet.Package {
	if !v.person.Output {
		p.Problems = slices.Clone(p.Problems)
		for i := range p.Problems {
			p.Problems[i].Output = ""
		}
	}
	return p
}

// fleetPackage is a package with all that is known of it.
type fleetPackage struct {
	fleet.Package
	History   []catalog.Entry  `json:"history"`   // the newest first
	Revisions []catalog.Listed `json:"revisions"` // likewise
}

func apiPackage(v view) (any, error) {
	pkg, err := v.wanted()
	if err != nil {
		return nil, err
	}
	return fleetPackage{v.visiblePackage(v.Fleet(pkg.Package)), orEmpty(pkg.Marker.Entries), orEmpty(pkg.Revisions)}, nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func apiRollout(v view) (any, error) {
	pkg, err := v.wanted()
	if err != nil {
		return nil, err
	}
	serial, err := strconv.ParseInt(v.path("serial"), 10, 64)
	r, found := pkg.Rollout(serial)
	if err != nil || !found {
		return nil, &missing{"no rollout of " + pkg.Package.String() + " has the serial " + v.path("serial")}
	}
	return r.View, nil
}

// A hostList is a part of the hosts.
type hostList struct {
	Total int          `json:"total"` // that the query selects
	After int          `json:"after"` // where the next part begins; 0 where there is none
	Hosts []fleet.Host `json:"hosts"`
}

func apiHosts(v view) (any, error) {
	s := v.selection()
	hosts := v.selected(s)
	if s.state != "" {
		hosts = slices.DeleteFunc(hosts, func(h marked) bool { return h.mark.Word != s.state })
	}
	list := hostList{Total: len(hosts), Hosts: []fleet.Host{}}
	first := min(s.after, len(hosts))
	last := min(first+maxHosts, len(hosts))
	for _, h := range hosts[first:last] {
		list.Hosts = append(list.Hosts, v.visibleHost(*h.Host))
	}
	if last < len(hosts) {
		list.After = last
	}
	return list, nil
}

func apiHost(v view) (any, error) {
	h, found := fleet.Find(v.Hosts, v.path("host"))
	if !found {
		return nil, &missing{"no host " + v.path("host") + " has reported"}
	}
	return v.visibleHost(h), nil
}

// visibleHost leaves out what the viewer may not see.
func (v view) visibleHost(h fleet.Host) fleet.Host {
	h.Packages = slices.Clone(orEmpty(h.Packages))
	if v.person.Output {
		return h
	}
	for i := range h.Packages {
		p := &h.Packages[i]
		p.Decisions = slices.Clone(p.Decisions)
		for k := range p.Decisions {
			p.Decisions[k].Output = ""
		}
	}
	return h
}

// An entryList is a part of the log.
type entryList struct {
	Total   int             `json:"total"`
	After   int             `json:"after"` // where the next part begins; 0 where there is none
	Entries []catalog.Entry `json:"entries"`
}

func apiLog(v view) (any, error) {
	all, after := v.logged()
	last := min(after+maxEntries, len(all))
	list := entryList{Total: len(all), Entries: orEmpty(all[after:last])}
	if last < len(all) {
		list.After = last
	}
	return list, nil
}

// An offer is what an act would write, and what confirms it.
type offer struct {
	order
	Entry   *catalog.Entry `json:"entry"`   // null where nothing would be written
	Rollout string         `json:"rollout"` // its waves, as the marker has them
	Command string         `json:"command"` // that does the same
}

// apiOrder reads what is asked for, which the sender may do. It has answered otherwise.
func (s *Server) apiOrder(w http.ResponseWriter, r *http.Request, value func(view) (func(string) string, error)) (v view, o order, ok bool) {
	v, ok = s.apiView(w, r)
	if !ok {
		return v, o, false
	}
	pkg, err := v.wanted()
	var values func(string) string
	if err == nil {
		values, err = value(v)
	}
	if err == nil {
		o, err = v.ordered(pkg.Package, values)
	}
	if err != nil {
		code := statusOf(err)
		if code == http.StatusBadGateway {
			code = statusOfBody(err)
		}
		s.problem(w, r, code, err.Error(), "")
		return v, o, false
	}
	if why := v.may(o.Act, pkg.Package); why != "" {
		s.refused(r, o, v.person, why)
		s.problem(w, r, http.StatusForbidden, why, o.command())
		return v, o, false
	}
	return v, o, true
}

// apiPropose tells what an act would write. It changes nothing.
func (s *Server) apiPropose(w http.ResponseWriter, r *http.Request) {
	v, o, ok := s.apiOrder(w, r, func(v view) (func(string) string, error) { return v.query.Get, nil })
	if !ok {
		return
	}
	p, err := s.propose(r.Context(), v.person.By, o)
	if err != nil {
		s.problem(w, r, statusOf(err), err.Error(), hintOf(err))
		return
	}
	answer := offer{order: p.order, Command: o.command()}
	if p.Fresh {
		answer.Entry = &p.Entry
		if p.Entry.Rollout != nil {
			answer.Rollout = p.Entry.Rollout.String()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, answer)
}

// apiAct does what was confirmed.
func (s *Server) apiAct(w http.ResponseWriter, r *http.Request) {
	v, o, ok := s.apiOrder(w, r, func(view) (func(string) string, error) { return readOrder(r) })
	if !ok {
		return
	}
	if err := s.performAndTell(r, v.person, o); err != nil {
		s.problem(w, r, statusOf(err), err.Error(), hintOf(err))
		return
	}
	s.awaitLook(r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	snapshot, _ := s.feed.get()
	writeJSON(w, snapshot.Fleet(o.Package))
}

// readOrder reads the body of a request to act.
func readOrder(r *http.Request) (func(string) string, error) {
	if kind := r.Header.Get("Content-Type"); kind != "application/json" {
		return nil, errors.New("the body is not application/json")
	}
	var o order
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return nil, err
	}
	values := map[string]string{
		"revision": o.Revision.String(), "note": o.Note, "waves": o.Waves, "serial": strconv.FormatInt(o.Serial, 10), "manifest": o.Manifest.String(), "confirm": o.Confirm,
	}
	for name, set := range map[string]bool{"now": o.Now, "again": o.Again} {
		if set {
			values[name] = "1"
		}
	}
	return func(name string) string { return values[name] }, nil
}
