package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// acting is a stage with three revisions, of which the second is rolled out to ten hosts, and a
// person who may do what a test says.
type acting struct {
	stage
	revisions []revision.Revision
	may       func(Act, revision.Package) bool
}

func startActing(t *testing.T, config Config) *acting {
	t.Helper()
	a := &acting{may: func(Act, revision.Package) bool { return true }}
	config.Who = func(*http.Request) (Person, error) {
		return Person{Name: "alice", By: "serve:alice", Looks: true, Output: true, May: func(act Act, pkg revision.Package) bool { return a.may(act, pkg) }}, nil
	}
	config.Master = func(by string) *master.Master { return &master.Master{Bucket: a.bucket, By: by} }
	a.stage = start(t, config)
	var members []rollout.Member
	for i := range 10 {
		name := fmt.Sprintf("web-%d", i)
		a.report(t, name, ftl.OK)
		members = append(members, rollout.Member{Host: name})
	}
	m := &master.Master{Bucket: a.bucket, By: "ops@build1"}
	for i := range 3 {
		file := filepath.Join(t.TempDir(), "my_site.txt")
		if err := os.WriteFile(file, []byte(strings.Repeat("x", i+1)), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := m.Spool(t.Context(), file, master.SpoolOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a.revisions = append(a.revisions, r)
	}
	for i, opts := range []master.JumpOptions{{}, {Rollout: &rollout.Options{}, Fleet: master.Fleet{Members: members, OK: 10}}} {
		if err := m.Jump(t.Context(), a.revisions[i], opts); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, a.stage, func(s *Snapshot) bool {
		pkg, found := s.Package(newSite.Package())
		return found && len(pkg.Marker.Entries) == 2 && len(s.Hosts) == 10
	})
	return a
}

func (a *acting) marker(t *testing.T) catalog.Marker {
	t.Helper()
	marker, err := a.bucket.Marker(t.Context(), newSite.Package())
	if err != nil {
		t.Fatal(err)
	}
	return marker
}

func (a *acting) post(t *testing.T, path string, form url.Values) (*http.Response, string) {
	t.Helper()
	return a.get(t, path, func(r *http.Request) {
		*r = *newPost(r.URL.String(), "application/x-www-form-urlencoded", form.Encode()).WithContext(r.Context())
	})
}

func newPost(address, kind, body string) *http.Request {
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", kind)
	return r
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// confirmed returns the form of a confirm page.
func confirmed(body string) url.Values {
	form := url.Values{}
	_, body, _ = strings.Cut(body, `<form method="post"`)
	for _, field := range hiddenField.FindAllStringSubmatch(body, -1) {
		form.Set(field[1], field[2])
	}
	return form
}

// Each act asks first, then writes what it has shown, in the name of the person.
func TestActs(t *testing.T) {
	for _, row := range []struct {
		act   Act
		query string
		check func(*acting, catalog.Entry) bool
	}{
		{Bless, "?note=third", func(a *acting, e catalog.Entry) bool {
			return e.Revision == a.revisions[2] && e.Note == "third" && e.Rollout == nil
		}},
		{Bless, "?waves=1,50%25", func(a *acting, e catalog.Entry) bool {
			return e.Revision == a.revisions[2] && e.Rollout != nil && len(e.Rollout.Waves) == 3
		}},
		{JumpBack, "?note=broken", func(a *acting, e catalog.Entry) bool {
			return e.Revision == a.revisions[0] && e.Kind == catalog.KindJumpBack
		}},
		{Resume, "", func(a *acting, e catalog.Entry) bool { return e.Revision == a.revisions[1] && e.Rollout != nil }},
		{Finish, "", func(a *acting, e catalog.Entry) bool { return e.Revision == a.revisions[1] && e.Rollout == nil }},
	} {
		a := startActing(t, Config{})
		path := "/p/my_site/do/" + string(row.act)
		query := row.query
		if row.act == Bless {
			query += "&now=1&revision=" + a.revisions[2].String()
		}
		before := a.marker(t)
		response, body := a.get(t, path+query, nil)
		if response.StatusCode != 200 || !strings.Contains(body, "manifest=") || !strings.Contains(body, "by=serve:alice") {
			t.Fatalf("%s: got %d\n%s", row.act, response.StatusCode, body)
		}
		if now := a.marker(t); now.ETag != before.ETag {
			t.Fatalf("%s: it was written before it was confirmed", row.act)
		}
		response, body = a.post(t, path, confirmed(body))
		newest, _ := a.marker(t).Newest()
		if response.StatusCode != http.StatusSeeOther || newest.By != "serve:alice" || !row.check(a, newest) || newest.Serial <= before.Entries[0].Serial {
			t.Errorf("%s: got %d, %v\n%s", row.act, response.StatusCode, newest, body)
		}
		s, _ := a.Latest()
		if pkg, _ := s.Package(newSite.Package()); pkg.Marker.Entries[0].Serial != newest.Serial {
			t.Errorf("%s: the page that comes next does not show it", row.act)
		}
	}
}

func TestHaltByPage(t *testing.T) {
	a := startActing(t, Config{NoKey: "hosts want signatures, and there is no key here"})
	response, body := a.get(t, "/p/my_site/do/halt", nil)
	if response.StatusCode != 200 {
		t.Fatalf("got %d\n%s", response.StatusCode, body)
	}
	before := a.marker(t)
	if response, body := a.post(t, "/p/my_site/do/halt", confirmed(body)); response.StatusCode != http.StatusSeeOther {
		t.Fatalf("got %d\n%s", response.StatusCode, body)
	}
	votes, err := a.bucket.Votes(t.Context(), newSite.Package(), before.Entries[0].Serial)
	if err != nil || len(votes.Votes) != 1 || votes.Votes[0].Host != rollout.Operator || a.marker(t).ETag != before.ETag {
		t.Errorf("got %v, %v", votes, err)
	}
	if response, _ := a.get(t, "/p/my_site/do/resume", nil); response.StatusCode != http.StatusForbidden {
		t.Errorf("without a key: got %d", response.StatusCode)
	}
}

// Where the bucket has changed since the page was shown, nothing is written, and the new state is
// to be confirmed.
func TestWhatIsConfirmedIsWritten(t *testing.T) {
	a := startActing(t, Config{})
	path := "/p/my_site/do/bless"
	_, body := a.get(t, path+"?now=1&revision="+a.revisions[2].String(), nil)
	form := confirmed(body)
	for name, value := range map[string]string{"note": "another", "serial": "1", "manifest": strings.Repeat("0", 64), "waves": "1", "confirm": "x", "revision": a.revisions[0].String()} {
		changed := url.Values{}
		for k, v := range form {
			changed[k] = slices.Clone(v)
		}
		changed.Set(name, value)
		before := a.marker(t)
		response, body := a.post(t, path, changed)
		if response.StatusCode != http.StatusConflict || !strings.Contains(body, "nothing was written") || a.marker(t).ETag != before.ETag {
			t.Errorf("another %s: got %d", name, response.StatusCode)
		}
	}
	m := &master.Master{Bucket: a.bucket, By: "bob@laptop"}
	if err := m.JumpBack(t.Context(), newSite.Package(), ""); err != nil {
		t.Fatal(err)
	}
	before := a.marker(t)
	response, body := a.post(t, path, form)
	if response.StatusCode != http.StatusConflict || a.marker(t).ETag != before.ETag {
		t.Errorf("after another blessing: got %d\n%s", response.StatusCode, body)
	}
	if response, _ := a.post(t, path, confirmed(body)); response.StatusCode != http.StatusSeeOther {
		t.Errorf("confirmed anew: got %d", response.StatusCode)
	}
}

// Who may not act sees no buttons but commands, and a form of theirs does nothing.
func TestActsOfOthers(t *testing.T) {
	for name, change := range map[string]func(*acting, *Config){
		"no right":  func(a *acting, _ *Config) { a.may = func(Act, revision.Package) bool { return false } },
		"read only": func(_ *acting, c *Config) { c.ReadOnly = "the bucket can only be read" },
		"no master": func(_ *acting, c *Config) { c.Master = nil },
	} {
		a := startActing(t, Config{})
		change(a, &a.config)
		before := a.marker(t)
		_, body := a.get(t, "/p/my_site", nil)
		if strings.Contains(body, "/do/") || !strings.Contains(body, "ftl rollout halt my_site") || !strings.Contains(body, "ftl jump --master "+a.revisions[2].String()) {
			t.Errorf("%s: got %s", name, body)
		}
		for _, act := range Acts() {
			path := "/p/my_site/do/" + string(act) + "?revision=" + a.revisions[2].String()
			if response, _ := a.get(t, path, nil); response.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s: got %d", name, act, response.StatusCode)
			}
			if response, _ := a.post(t, path, url.Values{}); response.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s: got %d", name, act, response.StatusCode)
			}
			response, _ := a.get(t, "/api/v1"+path, func(r *http.Request) {
				*r = *newPost(r.URL.String(), "application/json", `{"revision":"`+a.revisions[2].String()+`","serial":0,"confirm":""}`).WithContext(r.Context())
			})
			if response.StatusCode != http.StatusForbidden {
				t.Errorf("%s: API: %s: got %d", name, act, response.StatusCode)
			}
		}
		if a.marker(t).ETag != before.ETag {
			t.Errorf("%s: it was written", name)
		}
	}
}

func TestActsThatMakeNoSense(t *testing.T) {
	a := startActing(t, Config{})
	for path, code := range map[string]int{
		"/p/my_site/do/purge": 404,
		"/p/none/do/halt":     404,
		"/p/my_site/do/bless": 404,
		"/p/my_site/do/bless?revision=api.2026112130000xy":                      404,
		"/p/my_site/do/bless?revision=my_site.2026112130000xy&now=1":            422,
		"/p/my_site/do/bless?now=1&waves=x&revision=" + a.revisions[2].String(): 409,
		"/p/my_site/do/bless?revision=" + a.revisions[2].String():               409, // a rollout is not over
		"/p/my_site/do/halt?serial=x":                                           404,
	} {
		if response, body := a.get(t, path, nil); response.StatusCode != code {
			t.Errorf("%s: got %d, want %d\n%s", path, response.StatusCode, code, body)
		}
	}
	large := url.Values{"note": {strings.Repeat("x", maxBody)}}
	if response, _ := a.post(t, "/p/my_site/do/jump-back", large); response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: got %d", response.StatusCode)
	}
}

// The same by the API: ask what would be written, then confirm it.
func TestActByAPI(t *testing.T) {
	a := startActing(t, Config{})
	path := "/api/v1/p/my_site/do/jump-back"
	response, body := a.get(t, path+"?note=broken", nil)
	var offered map[string]any
	if err := json.Unmarshal([]byte(body), &offered); err != nil || response.StatusCode != 200 {
		t.Fatalf("got %d, %v: %s", response.StatusCode, err, body)
	}
	send := func(values map[string]any) *http.Response {
		text, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		response, _ := a.get(t, path, func(r *http.Request) {
			*r = *newPost(r.URL.String(), "application/json", string(text)).WithContext(r.Context())
		})
		return response
	}
	order := map[string]any{"note": "broken", "serial": offered["serial"], "manifest": offered["manifest"], "confirm": offered["confirm"]}
	if response := send(map[string]any{"serial": 1, "confirm": "x"}); response.StatusCode != 409 || response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("not confirmed: got %d", response.StatusCode)
	}
	if response := send(map[string]any{"junk": 1}); response.StatusCode != 400 {
		t.Errorf("junk: got %d", response.StatusCode)
	}
	if response := send(order); response.StatusCode != http.StatusAccepted {
		t.Errorf("got %d", response.StatusCode)
	}
	if newest, _ := a.marker(t).Newest(); newest.By != "serve:alice" || newest.Note != "broken" {
		t.Errorf("got %v", newest)
	}
	if response := send(order); response.StatusCode != 409 {
		t.Errorf("twice: got %d", response.StatusCode)
	}
}

// Words from outside are one word of a command each, whatever they are.
func TestCommandsToCopy(t *testing.T) {
	for want, o := range map[string]order{
		"ftl jump --master my_site.2026112142296Wq":                                       {Act: Bless, Revision: newSite},
		"ftl jump --master my_site.2026112142296Wq --rollout 1,5%/30m '--note=a; rm -rf'": {Act: Bless, Revision: newSite, Waves: "1,5%/30m", Note: "a; rm -rf"},
		"ftl jump-back --master my_site --note=-x":                                        {Act: JumpBack, Package: newSite.Package(), Note: "-x"},
		"ftl rollout halt my_site":                                                        {Act: Halt, Package: newSite.Package(), Note: "x"},
	} {
		if got := o.command(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
