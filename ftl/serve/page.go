package serve

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/rhettg/ftl/revision"
)

//go:embed templates static openapi.json
var files embed.FS

// A pageFunc makes a page of a snapshot and a URL. What is not there is a *missing.
type pageFunc func(view) (page, error)

// A page is a list of fragments, each of which a browser replaces by itself when it changes.
type page struct {
	Title     string
	Nav       string // the entry of the navigation that it belongs to
	Fragments []fragment
}

// A fragment is HTML under an id: a template, and what it shows.
type fragment struct {
	ID    string
	Label string // for those who can't see it
	Data  any
	HTML  template.HTML // made by the renderer

	template string
}

// Class is that of the element around the fragment.
func (f fragment) Class() string { return f.template }

// A view is what a page is made of.
type view struct {
	*Snapshot
	person   Person
	readOnly string // why nobody may act
	noKey    string // why nobody may bless
	query    url.Values
	path     func(name string) string // a part of the path
}

// missing says that there is no such thing to show.
type missing struct{ what string }

func (m *missing) Error() string { return m.what }

func (s *Server) view(snapshot *Snapshot, person Person, r *http.Request) view {
	return view{Snapshot: snapshot, person: person, readOnly: s.readOnly(), noKey: s.config.NoKey, query: r.URL.Query(), path: r.PathValue}
}

// wanted returns the package that the path names.
func (v view) wanted() (*Package, error) {
	name, err := revision.ParsePackage(v.path("package"))
	if err != nil {
		return nil, &missing{err.Error()}
	}
	pkg, found := v.Package(name)
	if !found {
		return nil, &missing{"Neither the bucket nor a host has the package " + name.String() + "."}
	}
	return pkg, nil
}

// moment is a time as a page shows it.
type moment struct {
	RFC  string // for machines
	UTC  string // for whoever wants to know exactly
	Text string // how long ago
}

// when returns a time as it is shown in this snapshot.
func (v view) when(t time.Time) moment {
	if t.IsZero() {
		return moment{Text: "never"}
	}
	return moment{RFC: t.UTC().Format(time.RFC3339), UTC: t.UTC().Format("2006-01-02 15:04:05 UTC"), Text: ago(v.Date.Sub(t))}
}

// ago says how long ago something was, so roughly that a page does not change each second.
func ago(d time.Duration) string {
	future := d < -time.Minute
	if future {
		d = -d
	}
	text := "just now"
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if n := int(d / unit.length); n > 0 {
			text = fmt.Sprintf("%d %s", n, unit.name)
			if unit.name == "day" && n > 1 {
				text += "s"
			}
			break
		}
	}
	switch {
	case text == "just now":
		return text
	case future:
		return "in " + text
	}
	return text + " ago"
}

// A layout is what stands around the fragments.
type layout struct {
	page
	Bucket, Version string
	Person          Person
	Snapshot        string  // its id
	Self            string  // path and query, for the stream
	Login           bool    // there is a page for it
	Live            bool    // the page follows the bucket
	Ping            float64 // after how many seconds the stream says that it is alive
	Status          fragment
}

func (s *Server) layout(snapshot *Snapshot, person Person, r *http.Request, shown page) layout {
	l := layout{
		page: shown, Bucket: s.config.Name, Version: s.config.Version, Person: person, Login: s.door != nil, Self: r.URL.RequestURI(), Live: snapshot != nil,
	}
	if snapshot != nil {
		l.Snapshot, l.Ping = snapshot.ID, s.ping.Seconds()
		l.Status = statusFragment(view{Snapshot: snapshot})
	}
	return l
}

// status says how old the picture is.
type status struct {
	Asof    string
	RFC     string
	Failure string
	Since   string
}

func statusFragment(v view) fragment {
	st := status{Asof: v.Date.UTC().Format("15:04:05"), RFC: v.Date.UTC().Format(time.RFC3339), Failure: v.Failure}
	if v.Failure != "" {
		st.Since = v.FailingSince.UTC().Format("15:04:05 UTC")
	}
	return fragment{ID: "status", template: "status", Data: st}
}

// A renderer makes HTML of pages.
type renderer struct {
	templates *template.Template
	base      string
	assets    map[string]asset
}

// An asset is a file that browsers keep.
type asset struct {
	version, kind string
	text          []byte
}

var assetKinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func newRenderer(base string) *renderer {
	r := &renderer{base: base, assets: make(map[string]asset)}
	entries, err := files.ReadDir("static")
	must(err)
	for _, entry := range entries {
		text, err := files.ReadFile("static/" + entry.Name())
		must(err)
		sum := sha256.Sum256(text)
		r.assets[entry.Name()] = asset{hex.EncodeToString(sum[:6]), assetKinds[path.Ext(entry.Name())], text}
	}
	r.templates = template.Must(template.New("").Funcs(template.FuncMap{
		"base":  func() string { return base },
		"asset": func(name string) string { return base + "/static/" + r.assets[name].version + "/" + name },
		"list":  func(items ...any) []any { return items },
	}).ParseFS(files, "templates/*.html"))
	return r
}

// must ends a program that is not what the compiler made.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// html makes the HTML of a fragment. Characters that can't be seen, such as those that turn the
// direction of text around, are shown as such: much of what is shown was written by others.
func (r *renderer) html(f fragment) template.HTML {
	var text bytes.Buffer
	must(r.templates.ExecuteTemplate(&text, f.template, f.Data))
	return template.HTML(strings.Map(visible, text.String()))
}

func visible(r rune) rune {
	if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
		return r
	}
	return unicode.ReplacementChar
}

func (r *renderer) fragments(fragments []fragment) []fragment {
	made := make([]fragment, len(fragments))
	for i, f := range fragments {
		f.HTML = r.html(f)
		made[i] = f
	}
	return made
}

// page answers with a whole page.
func (r *renderer) page(w http.ResponseWriter, code int, l layout) {
	l.Fragments = r.fragments(l.Fragments)
	if l.Live {
		l.Status.HTML = r.html(l.Status)
	}
	var text bytes.Buffer
	must(r.templates.ExecuteTemplate(&text, "layout", l))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(text.Bytes()) // who has gone does not miss it
}

// static answers with a file whose address changes with its content.
func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	a, found := s.render.assets[r.PathValue("name")]
	if !found || a.version != r.PathValue("version") {
		s.fail(w, r, http.StatusNotFound, "There is no such file.", "")
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", a.kind)
	_, _ = w.Write(a.text) // who has gone does not miss it
}

// problem is a page that says what went wrong.
type problem struct {
	Code        int
	Word, Why   string
	Login, Home bool
	Next        string // after a login
}

// fail answers with what went wrong.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, code int, what, why string) {
	p := page{Title: what, Fragments: []fragment{{ID: "problem", template: "problem", Data: problem{
		Code: code, Word: what, Why: why, Next: r.URL.RequestURI(), Login: s.door != nil && code == http.StatusUnauthorized, Home: code == http.StatusNotFound,
	}}}}
	s.render.page(w, code, s.layout(nil, Person{}, r, p))
}

// failWith answers with an error of a page.
func (s *Server) failWith(w http.ResponseWriter, r *http.Request, err error) {
	if gone, ok := errors.AsType[*missing](err); ok {
		s.fail(w, r, http.StatusNotFound, "That is not here.", gone.Error())
		return
	}
	s.log.Error("a page can't be made", "path", r.URL.Path, "error", err.Error())
	s.fail(w, r, http.StatusInternalServerError, "Something went wrong.", err.Error())
}
