package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/serve/access"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// A house is a stage that a guard watches.
type house struct {
	*acting
	file  *access.File
	guard *access.Guard
}

func startGuarded(t *testing.T, config Config, proxy access.Proxy) house {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	file, err := access.OpenFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := access.Open(access.Options{Dir: dir, Proxy: proxy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close(); guard.Close() })
	config.Guard, config.Proxy, config.Open = guard, proxy, true
	a := startActing(t, config)
	a.config.Who = a.door.who // and not a person of the test
	return house{a, file, guard}
}

func (h house) grant(t *testing.T, r access.Request) string {
	t.Helper()
	_, secret, err := h.file.Add(t.Context(), r, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// session logs in, and returns the cookie.
func (h house) session(t *testing.T, token string) *http.Cookie {
	t.Helper()
	response, body := h.post(t, "/login", url.Values{"token": {token}})
	if response.StatusCode != http.StatusSeeOther || len(response.Cookies()) != 1 {
		t.Fatalf("got %d\n%s", response.StatusCode, body)
	}
	return response.Cookies()[0]
}

func with(cookie *http.Cookie, header ...string) func(*http.Request) {
	return func(r *http.Request) {
		if cookie != nil {
			r.AddCookie(cookie)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
	}
}

// objects are all objects of the bucket, with their ETags.
func (h house) objects(t *testing.T) string {
	t.Helper()
	listing, err := h.bucket.List(t.Context(), store.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, o := range listing.Objects {
		fmt.Fprintln(&all, o.Key, o.ETag)
	}
	return all.String()
}

// A form of another site does nothing, whoever is logged in, and to get a page changes nothing.
func TestCSRF(t *testing.T) {
	h := startGuarded(t, Config{}, access.Proxy{})
	cookie := h.session(t, h.grant(t, access.Request{Kind: access.Token, Label: "boss", Role: access.Admin}))
	path := "/p/my_site/do/jump-back"
	_, page := h.get(t, path, with(cookie))
	form := confirmed(page)
	if form.Get("serial") == "" {
		t.Fatalf("there is nothing to confirm\n%s", page)
	}
	before := h.objects(t)
	for name, header := range map[string][]string{
		"cross-site": {"Sec-Fetch-Site", "cross-site"}, "same-site": {"Sec-Fetch-Site", "same-site"}, "another origin": {"Origin", "https://example.org"},
		"no origin": {"Origin", "null"}, "another port": {"Origin", "http://localhost:1"}, "another scheme": {"Origin", "https://localhost:1"},
	} {
		for _, target := range []string{path, "/login", "/logout"} {
			response, _ := h.get(t, target, func(r *http.Request) {
				*r = *newPost(r.URL.String(), "application/x-www-form-urlencoded", form.Encode()).WithContext(r.Context())
				with(cookie, header...)(r)
			})
			if response.StatusCode != http.StatusForbidden || len(response.Cookies()) > 0 {
				t.Errorf("%s: %s: got %d", name, target, response.StatusCode)
			}
		}
	}
	for _, target := range []string{"/", "/p/my_site", "/h", "/log", path, path + "?" + form.Encode(), "/logout", "/deployment/", "/api/v1" + path + "?" + form.Encode()} {
		for _, method := range []string{"GET", "HEAD"} {
			h.get(t, target, func(r *http.Request) { r.Method = method; with(cookie)(r) })
		}
	}
	// A cookie gives no right to programs, where a form of another site would reach.
	response, _ := h.get(t, "/api/v1"+path, func(r *http.Request) {
		*r = *newPost(r.URL.String(), "application/json", `{"serial":1,"confirm":"x"}`).WithContext(r.Context())
		with(cookie)(r)
	})
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("the API takes a cookie: %d", response.StatusCode)
	}
	if now := h.objects(t); now != before {
		t.Errorf("it was written:\n%s\nbefore:\n%s", now, before)
	}
	if response, body := h.get(t, path, func(r *http.Request) {
		*r = *newPost(r.URL.String(), "application/x-www-form-urlencoded", form.Encode()).WithContext(r.Context())
		with(cookie, "Sec-Fetch-Site", "same-origin")(r)
	}); response.StatusCode != http.StatusSeeOther {
		t.Errorf("by itself: got %d\n%s", response.StatusCode, body)
	}
}

// A browser whose proxy says who it is of is not to be used by another site either.
func TestCSRFBehindAProxy(t *testing.T) {
	peers, err := access.ParsePeers("192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	h := startGuarded(t, Config{}, access.Proxy{From: peers, Header: "X-Forwarded-User"})
	h.grant(t, access.Request{Kind: access.User, Label: "ann", Role: access.Admin})
	user := func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1"; r.Header.Set("X-Forwarded-User", "ann") }
	path := "/p/my_site/do/jump-back"
	_, page := h.get(t, path, user)
	form := confirmed(page)
	if form.Get("serial") == "" {
		t.Fatalf("there is nothing to confirm\n%s", page)
	}
	before := h.objects(t)
	body := fmt.Sprintf(`{"serial":%s,"manifest":%q,"confirm":%q}`, form.Get("serial"), form.Get("manifest"), form.Get("confirm"))
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/json;", "text/plain; application/json"} {
		for target, text := range map[string]string{"/api/v1" + path: body, path: form.Encode()} {
			response, _ := h.get(t, target, func(r *http.Request) {
				*r = *newPost(r.URL.String(), kind, text).WithContext(r.Context())
				user(r)
				r.Header.Set("Sec-Fetch-Site", "cross-site")
			})
			if response.StatusCode/100 != 4 {
				t.Errorf("%s as %q: got %d", target, kind, response.StatusCode)
			}
		}
	}
	if now := h.objects(t); now != before {
		t.Error("it was written")
	}
}

// Who may set the header is the proxy alone.
func TestHeadersOfOthers(t *testing.T) {
	peers, err := access.ParsePeers("192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	h := startGuarded(t, Config{}, access.Proxy{From: peers, Header: "X-Forwarded-User"})
	h.grant(t, access.Request{Kind: access.User, Label: "ann", Role: access.Admin})
	path := "/p/my_site/do/halt"
	for name, row := range map[string]struct {
		peer   string
		header http.Header
		code   int
	}{
		"the proxy":           {"192.0.2.1:1", http.Header{"X-Forwarded-User": {"ann"}}, 200},
		"another":             {"192.0.2.2:1", http.Header{"X-Forwarded-User": {"ann"}}, 403},
		"by X-Forwarded-For":  {"192.0.2.2:1", http.Header{"X-Forwarded-User": {"ann"}, "X-Forwarded-For": {"192.0.2.1"}}, 403},
		"by Forwarded":        {"192.0.2.2:1", http.Header{"X-Forwarded-User": {"ann"}, "Forwarded": {"for=192.0.2.1"}}, 403},
		"by X-Real-IP":        {"192.0.2.2:1", http.Header{"X-Forwarded-User": {"ann"}, "X-Real-Ip": {"192.0.2.1"}}, 403},
		"in other letters":    {"192.0.2.2:1", http.Header{"x-forwarded-user": {"ann"}}, 403},
		"with an underscore":  {"192.0.2.1:1", http.Header{"X_Forwarded_User": {"ann"}}, 403},
		"twice by the proxy":  {"192.0.2.1:1", http.Header{"X-Forwarded-User": {"bob", "ann"}}, 400},
		"appended":            {"192.0.2.1:1", http.Header{"X-Forwarded-User": {"ann,bob"}}, 400},
		"no user":             {"192.0.2.1:1", http.Header{}, 403},
		"a user without role": {"192.0.2.1:1", http.Header{"X-Forwarded-User": {"bob"}}, 403},
		"loopback":            {"127.0.0.1:1", http.Header{"X-Forwarded-User": {"ann"}}, 403},
		"the socket":          {"@", http.Header{"X-Forwarded-User": {"ann"}}, 403},
	} {
		response, _ := h.get(t, path, func(r *http.Request) { r.RemoteAddr, r.Header = row.peer, row.header })
		if response.StatusCode != row.code {
			t.Errorf("%s: got %d, want %d", name, response.StatusCode, row.code)
		}
	}
	// Nor can a name be smuggled past the check of the host.
	for _, header := range []string{"X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"} {
		response, _ := h.get(t, "/", func(r *http.Request) { r.Host = "evil.example.org"; r.Header.Set(header, "localhost") })
		if response.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: got %d", header, response.StatusCode)
		}
	}
}

// Each role and each act, of a package of its own and of another one, by a session and by a token.
func TestRolesAndActs(t *testing.T) {
	h := startGuarded(t, Config{}, access.Proxy{})
	least := map[Act]access.Role{Bless: access.Deploy, JumpBack: access.Deploy, Halt: access.Stop, Resume: access.Deploy, Advance: access.Deploy, Finish: access.Deploy}
	if len(least) != len(Acts()) {
		t.Fatalf("there are the acts %v", Acts())
	}
	before := h.objects(t)
	for _, role := range append(access.Roles(), 0) {
		for _, packages := range []string{"my_*", "other"} {
			var token string
			var cookie *http.Cookie
			if role > 0 {
				token = h.grant(t, access.Request{Kind: access.Token, Label: role.String() + "-" + strings.Trim(packages, "*"), Role: role, Packages: []string{packages}})
				cookie = h.session(t, token)
			}
			for act, needs := range least {
				may := role >= needs && (packages == "my_*" || role == access.Admin)
				path := "/p/my_site/do/" + string(act) + "?revision=" + h.revisions[2].String()
				page, _ := h.get(t, path, with(cookie))
				form, _ := h.get(t, path, func(r *http.Request) {
					*r = *newPost(r.URL.String(), "application/x-www-form-urlencoded", "serial=1&confirm=x").WithContext(r.Context())
					with(cookie)(r)
				})
				var header []string
				if token != "" {
					header = []string{"Authorization", "Bearer " + token}
				}
				api, _ := h.get(t, "/api/v1"+path, func(r *http.Request) {
					*r = *newPost(r.URL.String(), "application/json", `{"revision":"`+h.revisions[2].String()+`","serial":1,"confirm":"x"}`).WithContext(r.Context())
					with(nil, header...)(r)
				})
				for name, response := range map[string]*http.Response{"page": page, "form": form, "api": api} {
					if refused := response.StatusCode == 401 || response.StatusCode == 403; refused == may {
						t.Errorf("%v of %s: %s by %s: got %d, may %v", role, packages, act, name, response.StatusCode, may)
					}
				}
			}
		}
	}
	if h.objects(t) != before {
		t.Error("something was written that nobody has confirmed")
	}
}

// A session ends with its token, at once, and so does a stream that is open.
func TestRevokedWhileOpen(t *testing.T) {
	h := startGuarded(t, Config{Ping: 20 * time.Millisecond}, access.Proxy{})
	h.door.open = false // nobody in particular sees anything
	cookie := h.session(t, h.grant(t, access.Request{Kind: access.Token, Label: "ann", Role: access.View}))
	if response, _ := h.get(t, "/", with(cookie)); response.StatusCode != 200 {
		t.Fatalf("got %d", response.StatusCode)
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", h.web.URL+"/events?page=/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Cookie", cookie.Name+"="+cookie.Value)
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != 200 {
		t.Fatal(response, err)
	}
	defer response.Body.Close()
	if _, err := h.file.Revoke(t.Context(), "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(response.Body) // it ends
	if err != nil || !strings.Contains(string(rest), "event: gone") {
		t.Errorf("the stream ends with %q (%v)", rest, err)
	}
	for _, path := range []string{"/", "/h", "/events?page=/"} {
		if response, _ := h.get(t, path, with(cookie)); response.StatusCode != 401 {
			t.Errorf("%s: got %d", path, response.StatusCode)
		}
	}
}

func TestStreamsOfAToken(t *testing.T) {
	h := startGuarded(t, Config{}, access.Proxy{})
	cookie := h.session(t, h.grant(t, access.Request{Kind: access.Token, Label: "ann", Role: access.View}))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	open := func() int {
		request, err := http.NewRequestWithContext(ctx, "GET", h.web.URL+"/events?page=/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Cookie", cookie.Name+"="+cookie.Value)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		return response.StatusCode
	}
	for i := range maxStreams {
		if code := open(); code != 200 {
			t.Errorf("stream %d: got %d", i+1, code)
		}
	}
	if code := open(); code != http.StatusTooManyRequests {
		t.Errorf("one more: got %d", code)
	}
	stop()
	counted := func() int {
		h.door.streams.mutex.Lock()
		defer h.door.streams.mutex.Unlock()
		return len(h.door.streams.open)
	}
	for counted() > 0 { // else the test never ends
		time.Sleep(time.Millisecond)
	}
}

func TestLogin(t *testing.T) {
	h := startGuarded(t, Config{}, access.Proxy{})
	token := h.grant(t, access.Request{Kind: access.Token, Label: "ann", Role: access.View})
	far := func(r *http.Request) {
		*r = *newPost(r.URL.String(), "application/x-www-form-urlencoded", "token="+token).WithContext(r.Context())
		r.RemoteAddr = "192.0.2.9:1"
	}
	if response, _ := h.get(t, "/login", far); response.StatusCode != 403 || len(response.Cookies()) > 0 {
		t.Errorf("over http from afar: got %d", response.StatusCode)
	}
	for _, next := range []string{"//example.org", "https://example.org/", `/\example.org`, "/%2f/example.org/..//example.org", "javascript:alert(1)"} {
		response, _ := h.post(t, "/login", url.Values{"token": {token}, "next": {next}})
		if to, err := url.Parse(response.Header.Get("Location")); err != nil || to.Host != "" || to.Scheme != "" || strings.HasPrefix(to.Path, "//") {
			t.Errorf("next %q leads to %q", next, response.Header.Get("Location"))
		}
	}
	now := time.Now()
	h.door.failures = access.NewLimiter(access.FailuresPerMinute, func() time.Time { return now })
	codes := make(map[int]int)
	for range 10 {
		response, body := h.post(t, "/login", url.Values{"token": {"ftl_wrong"}})
		codes[response.StatusCode]++
		if strings.Contains(body, "ftl_wrong") || len(response.Cookies()) > 0 {
			t.Errorf("got %v\n%s", response.Cookies(), body)
		}
	}
	if codes[401] != access.FailuresPerMinute || codes[429] != 10-access.FailuresPerMinute {
		t.Errorf("got %v", codes)
	}
	if response, _ := h.post(t, "/login", url.Values{"token": {token}}); response.StatusCode != http.StatusSeeOther {
		t.Errorf("a good one after that: got %d", response.StatusCode)
	}
}

// What markup would do where it gets through: make an element or an attribute, or leave a text, a
// comment or a URL.
var markups = []string{
	`<xss-probe>`, `"><xss-probe>`, `'><xss-probe>`, `</title><xss-probe>`, `</textarea></script></style><xss-probe>`, `--><xss-probe>`, `<![CDATA[<xss-probe>]]>`,
	`" onxss="1`, `' onxss='1`, ` onxss=1 `, "\" \u00a0onxss=1", `javascript:xss`, `data:text/html,<xss-probe>`, `{{.}}<xss-probe>`, "\x00<xss-probe>", "\r\n\r\n<xss-probe>", "&lt;xss-probe&gt;",
}

// checkPage returns what is wrong with a page, if anything got through.
func checkPage(text string) error {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return err
	}
	for n := range root.Descendants() {
		switch {
		case n.Type == html.CommentNode && strings.Contains(n.Data, "xss"):
			return fmt.Errorf("a comment: %s", n.Data)
		case n.Type != html.ElementNode:
			continue
		case n.Data == "xss-probe" || n.Data == "base" || n.Data == "iframe" || n.Data == "object":
			return fmt.Errorf("the element %s", n.Data)
		}
		for _, a := range n.Attr {
			value := strings.ToLower(strings.TrimSpace(a.Val))
			isURL := a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "formaction"
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc":
				return fmt.Errorf("the attribute %s=%q of %s", a.Key, a.Val, n.Data)
			case isURL && (strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "data:") || strings.HasPrefix(value, "//")):
				return fmt.Errorf("the URL %s=%q of %s", a.Key, a.Val, n.Data)
			case n.Data == "script" && a.Key == "src" && !strings.HasPrefix(value, "/static/"):
				return fmt.Errorf("a script from %s", a.Val)
			}
		}
		if n.Data == "script" && n.FirstChild != nil {
			return fmt.Errorf("a script in the page: %s", n.FirstChild.Data)
		}
	}
	return nil
}

func TestMarkupThatGetsThroughIsSeen(t *testing.T) {
	for _, page := range []string{
		`<p><xss-probe>`, `<p onxss="1">`, `<a href="javascript:xss">`, `<script>xss</script>`, `<!-- xss -->`, `<script src="https://example.org/x.js"></script>`, `<p style="x">`,
	} {
		if checkPage(page) == nil {
			t.Errorf("%s is not seen", page)
		}
	}
	if err := checkPage(`<p title="&lt;xss-probe&gt;">&lt;xss-probe&gt; javascript:xss</p><script src="/static/1/ftl.js"></script>`); err != nil {
		t.Error(err)
	}
}

// Every text that a host, a hook, a note or a blessing can bring, one after the other, has each
// kind of markup.
func TestMarkupInEachField(t *testing.T) {
	pages := []string{"/", "/p/my_site", "/p/api", "/p/my_site/1795260001", "/h", "/log", "/h?state=failing"}
	number := len(textsOf(sample(t)))
	if number < 100 {
		t.Fatalf("only %d texts were found", number)
	}
	// All fields have some markup in each round; each field has another one in each, and has had
	// all of them in the end.
	for round, markup := range markups {
		s := sample(t)
		for i, put := range textsOf(s) {
			put(markups[(i+round)%len(markups)])
		}
		for i := range s.Hosts {
			s.Hosts[i].Host = fmt.Sprint(markup, i)
		}
		s = newSnapshot(s.ID, s.Date, s.Hosts, s.Packages)
		all := pages
		for _, h := range s.Hosts[:3] {
			all = append(all, "/h/"+url.PathEscape(h.Name()))
		}
		for _, address := range append(all, "/h?text="+url.QueryEscape(markup), "/h?label="+url.QueryEscape(markup), "/h?package="+url.QueryEscape(markup), "/log?package="+url.QueryEscape(markup)) {
			r := still(t, s)
			response, body := r.get(t, address, nil)
			if response.StatusCode == http.StatusInternalServerError {
				t.Fatalf("%q: %s: got %d\n%s", markup, address, response.StatusCode, body)
			}
			if err := checkPage(body); err != nil {
				t.Errorf("%q: %s: %v", markup, address, err)
			}
			if shows := strings.Count(body, "xss"); strings.HasPrefix(address, "/h/") && shows < 10 {
				t.Errorf("%q: %s shows %d of the texts", markup, address, shows)
			}
		}
	}
}

// textsOf returns setters of all texts below a value that others write: those of hosts, markers and
// manifests.
func textsOf(s *Snapshot) (set []func(string)) {
	seen := make(map[uintptr]bool)
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if v.IsNil() || v.Kind() == reflect.Pointer && seen[v.Pointer()] {
				return
			}
			if v.Kind() == reflect.Pointer {
				seen[v.Pointer()] = true
			}
			walk(v.Elem())
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() || v.Type() == reflect.TypeFor[revision.Revision]() {
				return
			}
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			if v.Type().Elem().Kind() == reflect.String && v.CanSet() {
				set = append(set, func(text string) {
					if v.IsNil() {
						v.Set(reflect.MakeMap(v.Type()))
					}
					v.SetMapIndex(reflect.ValueOf(text).Convert(v.Type().Key()), reflect.ValueOf(text).Convert(v.Type().Elem()))
					for _, key := range v.MapKeys() {
						v.SetMapIndex(key, reflect.ValueOf(text).Convert(v.Type().Elem()))
					}
				})
			}
		case reflect.String:
			if v.CanSet() && !isOurs(v) {
				set = append(set, v.SetString)
			}
		}
	}
	walk(reflect.ValueOf(&s.Hosts).Elem())
	for _, pkg := range s.Packages {
		walk(reflect.ValueOf(pkg).Elem())
	}
	return set
}

// isOurs reports whether a text is one of a few words, without which a page has nothing to show.
func isOurs(v reflect.Value) bool {
	switch v.Type() {
	case reflect.TypeFor[ftl.Condition](), reflect.TypeFor[ftl.State](), reflect.TypeFor[catalog.ListedState]():
		return true
	}
	return false
}

// A state that no ftl of today knows is shown as what it is.
func TestMarkupInStates(t *testing.T) {
	for _, markup := range markups {
		h := failing("web-1")
		h.Packages[0].Condition = ftl.Condition(markup)
		h.Packages[0].Steps[0].State, h.Packages[0].Decisions[0].Condition = ftl.State(markup), ftl.Condition(markup)
		pkg := blessed(entry(newSite, 7, time.Hour))
		pkg.Revisions[0].State = catalog.ListedState(markup)
		r := still(t, newSnapshot("x", noon, []fleet.Host{h}, []*Package{pkg}))
		for _, address := range []string{"/", "/p/my_site", "/h", "/h/web-1", "/log"} {
			if response, body := r.get(t, address, nil); response.StatusCode != 200 || checkPage(body) != nil {
				t.Errorf("%q: %s: got %d, %v", markup, address, response.StatusCode, checkPage(body))
			}
		}
	}
}

// What a request brings is no markup either: a note that is to be confirmed, where to go after a
// login, an address.
func TestMarkupOfRequests(t *testing.T) {
	h := startGuarded(t, Config{}, access.Proxy{})
	cookie := h.session(t, h.grant(t, access.Request{Kind: access.Token, Label: "boss", Role: access.Admin}))
	for _, markup := range markups {
		q := url.QueryEscape(markup)
		for _, address := range []string{
			"/login?next=" + q, "/p/my_site/do/bless?revision=" + h.revisions[2].String() + "&now=1&note=" + q, "/p/my_site/do/bless?waves=" + q,
			"/p/my_site/do/bless?revision=" + q, "/p/my_site/do/" + url.PathEscape(markup), "/p/" + url.PathEscape(markup), "/" + url.PathEscape(markup), "/p/my_site/" + url.PathEscape(markup),
		} {
			response, body := h.get(t, address, with(cookie))
			if err := checkPage(body); err != nil || response.StatusCode == 500 {
				t.Errorf("%q: %s: got %d, %v", markup, address, response.StatusCode, err)
			}
		}
		if response, body := h.post(t, "/login", url.Values{"token": {markup}, "next": {markup}}); checkPage(body) != nil {
			t.Errorf("%q: login: got %d, %v", markup, response.StatusCode, checkPage(body))
		}
	}
}

// serving is a server at an address of its own, as ftl serve runs it.
func serving(t *testing.T, config Config) (address string, s *Server) {
	t.Helper()
	address, s, _ = servingUntil(t, config)
	return address, s
}

// servingUntil is serving until it is told to end.
func servingUntil(t *testing.T, config Config) (address string, s *Server, stop func()) {
	t.Helper()
	bucket, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if config.Bucket == nil {
		config.Bucket = &catalog.Catalog{Bucket: bucket}
	}
	if s, err = New(config); err != nil {
		t.Fatal(err)
	}
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), s, stop
}

// exchange sends bytes as they are, and returns what is answered until the server closes the
// connection.
func exchange(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn) // which a reset may end
	return string(answer)
}

// No path leads out of what the server has.
func TestTraversal(t *testing.T) {
	address, _ := serving(t, Config{})
	for _, path := range []string{
		"/../../../../etc/passwd", "/static/../../../etc/passwd", "/static/x/..%2f..%2f..%2fetc%2fpasswd", "/static/x/%2e%2e/%2e%2e/serve.go", "/static/..%5c..%5cserve.go/x",
		"/h/..%2f..%2fetc%2fpasswd", "/p/..%2f_ftl%2fepoch", "/p/_ftl", "/api/v1/h/..%2f..%2f_ftl%2fepoch", "/api/v1/p/..%2f..", "//etc/passwd", "/static//etc/passwd", "/\\..\\..\\etc",
		"/events?page=/../../etc/passwd", "/events?page=//example.org/", "/events?page=http://169.254.169.254/", "/static/x/ftl.css%00.js", "http://169.254.169.254/latest", "*",
	} {
		answer := exchange(t, address, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		status, _, _ := strings.Cut(answer, "\r\n")
		if strings.Contains(answer, "root:") || strings.Contains(answer, "package serve") || strings.HasPrefix(status, "HTTP/1.1 200") || strings.HasPrefix(status, "HTTP/1.1 5") {
			t.Errorf("%s: got %s", path, answer)
		}
	}
}

// Two readings of one request are none.
func TestRequestSmuggling(t *testing.T) {
	address, _ := serving(t, Config{})
	for name, request := range map[string]string{
		"two lengths":         "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"a length and chunks": "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"a negative length":   "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
		"two hosts":           "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.org\r\n\r\n",
		"no host":             "GET / HTTP/1.1\r\n\r\n",
		"a blank in a name":   "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-User : ann\r\n\r\n",
		"a folded line":       "GET / HTTP/1.1\r\nHost: localhost\r\n evil\r\n\r\n",
		"another host":        "GET / HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n",
		"an absolute target":  "GET http://evil.example.org/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	} {
		answer := exchange(t, address, request)
		if status, _, _ := strings.Cut(answer, "\r\n"); !strings.HasPrefix(status, "HTTP/1.1 4") && !strings.HasPrefix(status, "HTTP/1.1 501") {
			t.Errorf("%s: got %q", name, status)
		}
	}
}

func TestOversized(t *testing.T) {
	h := startGuarded(t, Config{}, access.Proxy{})
	address, _ := serving(t, Config{Guard: h.guard, Open: true})
	long := strings.Repeat("x", maxBody+1)
	for name, row := range map[string]struct{ request, want string }{
		"headers":         {"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", "431"},
		"an address":      {"GET /" + strings.Repeat("x", 40<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "431"},
		"a login":         {fmt.Sprintf("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(long), long), "413"},
		"a login in bits": {fmt.Sprintf("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(long), long), "413"},
	} {
		if answer := exchange(t, address, row.request); !strings.HasPrefix(answer, "HTTP/1.1 "+row.want) {
			t.Errorf("%s: got %.200s", name, answer)
		}
	}
}

// Whoever sends a request byte by byte, or begins one and waits, is not waited for, and keeps
// nobody else waiting.
func TestSlowRequests(t *testing.T) {
	h := startGuarded(t, Config{}, access.Proxy{})
	address, s := serving(t, Config{Guard: h.guard, Open: true})
	s.bodyLimit.Store(int64(100 * time.Millisecond))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { exchange(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ") }) // until headerLimit
		all.Go(func() {
			answer := exchange(t, address, "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ntoken=")
			if strings.HasPrefix(answer, "HTTP/1.1 2") || strings.HasPrefix(answer, "HTTP/1.1 3") {
				t.Errorf("got %.200s", answer)
			}
		})
	}
	answer := exchange(t, address, "GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 200") {
		t.Errorf("somebody else: got %.200s", answer)
	}
	all.Wait() // each ends by itself
}

// counting is a bucket that counts its requests.
type counting struct {
	store.Bucket
	requests atomic.Int64
}

func (c *counting) List(ctx context.Context, opts store.ListOptions) (store.Listing, error) {
	c.requests.Add(1)
	return c.Bucket.List(ctx, opts)
}

func (c *counting) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	c.requests.Add(1)
	return c.Bucket.Get(ctx, key, opts)
}

// A thousand viewers cost the bucket what one does, all get what is new, and all end with the
// server.
func TestThousandStreams(t *testing.T) {
	const viewers = 1000
	dir, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bucket := &counting{Bucket: dir}
	address, s, stop := servingUntil(t, Config{Bucket: &catalog.Catalog{Bucket: bucket}})
	var all sync.WaitGroup
	var first, second atomic.Int64
	ended := make(chan struct{}, viewers)
	for range viewers {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /events?page=/h HTTP/1.1\r\nHost: localhost\r\n\r\n")
		all.Go(func() {
			defer conn.Close()
			lines := bufio.NewScanner(conn)
			lines.Buffer(nil, 1<<20)
			begun := false
			for lines.Scan() {
				switch {
				case strings.Contains(lines.Text(), "web-new"):
					second.Add(1)
				case strings.HasPrefix(lines.Text(), "data: {") && !begun:
					begun = true
					first.Add(1)
				}
			}
			ended <- struct{}{}
		})
	}
	await := func(what string, good func() bool) {
		t.Helper()
		for range 6000 {
			if good() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%s: %d streams, %d and %d events", what, s.feed.streams.Load(), first.Load(), second.Load())
	}
	await("at first", func() bool { return s.feed.streams.Load() == viewers && first.Load() == viewers })
	before, _ := s.Latest()
	requests := bucket.requests.Load()
	report := catalog.Report{Host: "web-new", Packages: []catalog.PackageReport{{Status: ftl.Status{Package: newSite.Package(), Condition: ftl.OK}}}}
	if _, err := s.config.Bucket.PutReport(t.Context(), catalog.NodeOf("web-new"), report); err != nil {
		t.Fatal(err)
	}
	s.Look()
	await("a host more", func() bool { return second.Load() == viewers })
	after, _ := s.Latest()
	if after.ID == before.ID {
		t.Error("the snapshot is the same")
	}
	if used := bucket.requests.Load() - requests; used > 200 {
		t.Errorf("it took %d requests to tell %d viewers", used, viewers)
	}
	stop()
	all.Wait()
	if len(ended) != viewers {
		t.Errorf("%d of %d streams have ended", len(ended), viewers)
	}
}
