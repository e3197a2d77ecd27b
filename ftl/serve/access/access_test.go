package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// A clock is one that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

// open makes a guard over a directory of its own.
func open(t *testing.T, opts Options) (*Guard, *File, *clock) {
	t.Helper()
	c := &clock{start}
	opts.Dir, opts.Now = filepath.Join(t.TempDir(), "state"), c.now
	file, err := OpenFile(opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close(); g.Close() })
	return g, file, c
}

func add(t *testing.T, file *File, r Request) (Grant, string) {
	t.Helper()
	grant, secret, err := file.Add(t.Context(), r, start)
	if err != nil {
		t.Fatal(err)
	}
	return grant, secret
}

func TestToken(t *testing.T) {
	g, file, c := open(t, Options{})
	grant, token := add(t, file, Request{Kind: Token, Label: "ci", Role: Deploy, Packages: []string{"my_*"}, By: "ops@build1"})
	if !tokenForm.MatchString(token) {
		t.Errorf("the token %s is not of the form that scanners know", token)
	}
	who, err := g.Token(token)
	if want := (Who{Name: "ci", Kind: Token, ID: grant.ID, Role: Deploy, Packages: []string{"my_*"}}); err != nil || fmt.Sprint(who) != fmt.Sprint(want) {
		t.Errorf("got %v and %v, want %v", who, err, want)
	}
	if who.By() != "serve:ci" {
		t.Errorf("the marker would say %q", who.By())
	}
	text, err := os.ReadFile(file.pathOf(grantsName))
	if err != nil || strings.Contains(string(text), token[len("ftl_12345678_"):len("ftl_12345678_")+secretLength]) {
		t.Errorf("the file has the secret itself (%v):\n%s", err, text)
	}
	info, err := os.Stat(file.pathOf(grantsName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v (%v)", info.Mode(), err)
	}
	c.pass(DefaultLife)
	if _, err := g.Token(token); err != ErrUnknown {
		t.Errorf("an expired token gives %v", err)
	}
}

func TestTokensThatAreNone(t *testing.T) {
	g, file, _ := open(t, Options{})
	grant, token := add(t, file, Request{Kind: Token, Label: "ci", Role: Admin})
	_, hook := add(t, file, Request{Kind: Webhook, Label: "hook", Role: Deploy, Packages: []string{"*"}})
	user, _ := add(t, file, Request{Kind: User, Label: "eve", Role: Admin})
	other, _ := newToken()
	body := "ftl_" + grant.ID + "_" + strings.Repeat("0", secretLength)
	forged := "ftl_" + user.ID + "_" + strings.Repeat("0", secretLength)
	for name, text := range map[string]string{
		"nothing": "", "the id alone": "ftl_" + grant.ID, "another": other, "cut": token[:len(token)-1], "longer": token + "0",
		"other secret": body + "_" + checksum(body), "of a user": forged + "_" + checksum(forged), "a webhook's": hook, "a digest": digestText(token),
		"upper case": strings.ToUpper(token), "a space": " " + token, "a NUL": token + "\x00", "environment": environmentID,
		"zero digest": string(make([]byte, 32)),
	} {
		if who, err := g.Token(text); err != ErrUnknown || who.Role != 0 {
			t.Errorf("%s: got %v, %v", name, who, err)
		}
	}
	if _, err := g.Token(token); err != nil {
		t.Error(err)
	}
}

func digestText(token string) string {
	text, _ := digestOf(token).MarshalText()
	return string(text)
}

func TestRevokedAtOnce(t *testing.T) {
	g, file, _ := open(t, Options{})
	_, token := add(t, file, Request{Kind: Token, Label: "ops", Role: Deploy, Packages: []string{"*"}})
	_, cookie, err := g.Login(token)
	if err != nil {
		t.Fatal(err)
	}
	if who, known, err := g.Session(withCookies(cookie)); err != nil || !known || who.Name != "ops" {
		t.Errorf("the session is %v, %v, %v", who, known, err)
	}
	if _, err := file.Revoke(t.Context(), "ops", start); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Token(token); err != ErrUnknown {
		t.Errorf("the token gives %v", err)
	}
	if _, known, err := g.Session(withCookies(cookie)); err != ErrUnknown || !known {
		t.Errorf("the session gives %v", err)
	}
	// A new token of the same id would not revive the session.
	if _, err := file.Revoke(t.Context(), "ops", start); err == nil {
		t.Error("it can be revoked twice")
	}
}

func withCookies(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func TestSession(t *testing.T) {
	g, file, c := open(t, Options{Token: strings.Repeat("a1b2c3d4e5", 4)})
	_, token := add(t, file, Request{Kind: Token, Label: "ops", Role: Deploy, Packages: []string{"*"}})
	admin, _ := add(t, file, Request{Kind: Token, Label: "boss", Role: Admin})
	_, cookie, err := g.Login(token)
	if err != nil {
		t.Fatal(err)
	}
	if cookie.Name != "__Host-ftl" || cookie.Path != "/" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("the cookie is %v", cookie)
	}
	parts := strings.Split(cookie.Value, ".")
	for name, value := range map[string]string{
		"another id": admin.ID + "." + parts[1] + "." + parts[2], "longer life": parts[0] + ".99999999999." + parts[2],
		"environment": environmentID + "." + parts[1] + "." + parts[2], "no signature": parts[0] + "." + parts[1] + ".",
		"nothing": "", "dots": "...", "no dot": "abc", "unknown id": "00000000." + parts[1] + "." + g.sign("00000000."+parts[1], digest{}),
	} {
		if who, known, err := g.Session(withCookies(&http.Cookie{Name: cookie.Name, Value: value})); err != ErrUnknown || !known || who.Role != 0 {
			t.Errorf("%s: got %v, %v, %v", name, who, known, err)
		}
	}
	if _, _, err := g.Session(withCookies(cookie, cookie)); err != ErrUnknown {
		t.Errorf("two cookies give %v", err)
	}
	if _, known, err := g.Session(withCookies()); known || err != nil {
		t.Errorf("no cookie gives %v, %v", known, err)
	}
	c.pass(sessionLife)
	if _, _, err := g.Session(withCookies(cookie)); err != ErrUnknown {
		t.Errorf("an old session gives %v", err)
	}
	if _, _, err := g.Login("ftl_no"); err != ErrUnknown {
		t.Errorf("a wrong token gives %v", err)
	}
}

func TestSessionsOfTheEnvironmentEndWithIt(t *testing.T) {
	first, second := strings.Repeat("a1b2c3d4e5", 4), strings.Repeat("f6g7h8i9j0", 4)
	g, file, c := open(t, Options{Token: first})
	who, cookie, err := g.Login(first)
	if err != nil || who.Role != Admin {
		t.Fatal(who, err)
	}
	for _, token := range []string{second, ""} {
		again, err := Open(Options{Dir: file.path, Token: token, Now: c.now})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if who, _, err := again.Session(withCookies(cookie)); err != ErrUnknown {
			t.Errorf("with the token %q the session is of %v (%v)", token, who, err)
		}
	}
	same, err := Open(Options{Dir: file.path, Token: first, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	if _, _, err := same.Session(withCookies(cookie)); err != nil {
		t.Errorf("after a restart the session gives %v", err)
	}
}

func TestBearer(t *testing.T) {
	g, file, _ := open(t, Options{})
	_, token := add(t, file, Request{Kind: Token, Label: "ci", Role: View})
	tests := []struct {
		headers []string
		known   bool
		err     error
	}{
		{nil, false, nil},
		{[]string{"Bearer " + token}, true, nil},
		{[]string{"bearer " + token}, true, nil},
		{[]string{"Basic " + token}, true, ErrUnknown},
		{[]string{"Bearer " + token, "Bearer " + token}, true, ErrUnknown},
		{[]string{"Bearer"}, true, ErrUnknown},
	}
	for _, test := range tests {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = test.headers
		if _, known, err := g.Bearer(r); known != test.known || err != test.err {
			t.Errorf("%q: got %v, %v, want %v, %v", test.headers, known, err, test.known, test.err)
		}
	}
}

// Each role and each act, with a package of its own and another one.
func TestRoleMatrix(t *testing.T) {
	mine, other := parsePackage(t, "my_site"), parsePackage(t, "other")
	may := map[Role]string{ // view, stop, deploy, admin of mine; then of the other
		0: "---- ----", View: "v--- v---", Stop: "vs-- v---", Deploy: "vsd- v---", Admin: "vsda vsda",
	}
	for role, want := range may {
		who := Who{Name: "x", Role: role, Packages: []string{"my_*"}}
		var got strings.Builder
		for i, pkg := range []revision.Package{mine, other} {
			if i > 0 {
				got.WriteByte(' ')
			}
			for k, act := range Roles() {
				if who.May(act, pkg) {
					got.WriteByte("vsda"[k])
				} else {
					got.WriteByte('-')
				}
			}
		}
		if got.String() != want {
			t.Errorf("%v may %s, want %s", role, got.String(), want)
		}
	}
	if (Who{Role: Admin}).May(0, mine) {
		t.Error("an act that needs no role is allowed")
	}
}

func parsePackage(t *testing.T, name string) revision.Package {
	t.Helper()
	pkg, err := revision.ParsePackage(name)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

func TestRequestsThatAreRefused(t *testing.T) {
	_, file, _ := open(t, Options{})
	add(t, file, Request{Kind: Token, Label: "twice", Role: View})
	add(t, file, Request{Kind: User, Label: "ann@example.org", Role: View})
	for range 2 {
		add(t, file, Request{Kind: Webhook, Label: "hook", Role: Deploy, Packages: []string{"a"}})
	}
	tests := []struct {
		request Request
		want    string
	}{
		{Request{Kind: Token, Label: "", Role: View}, "is no label"},
		{Request{Kind: Token, Label: "a b", Role: View}, "is no label"},
		{Request{Kind: Token, Label: "<b>", Role: View}, "is no label"},
		{Request{Kind: Token, Label: "a"}, "the role is missing"},
		{Request{Kind: Token, Label: "a", Role: Deploy}, "none are named"},
		{Request{Kind: Token, Label: "a", Role: Stop, Packages: []string{"["}}, "no pattern"},
		{Request{Kind: Token, Label: "a", Role: View, Life: MaxLife + 1}, "is no life"},
		{Request{Kind: Token, Label: "a", Role: View, Life: -1}, "is no life"},
		{Request{Kind: Token, Label: "twice", Role: View}, "there is a token"},
		{Request{Kind: User, Label: "ann@example.org", Role: Stop, Packages: []string{"*"}}, "has the role view already"},
		{Request{Kind: Webhook, Label: "hook", Role: Deploy, Packages: []string{"a"}}, "has two secrets"},
		{Request{Kind: Webhook, Label: "other", Role: Stop, Packages: []string{"a"}}, "needs the role deploy"},
	}
	for _, test := range tests {
		if _, _, err := file.Add(t.Context(), test.request, start); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %q", test.request, err, test.want)
		}
	}
}

func TestRevoke(t *testing.T) {
	g, file, c := open(t, Options{})
	first, _ := add(t, file, Request{Kind: Webhook, Label: "hook", Role: Deploy, Packages: []string{"a"}})
	second, secret := add(t, file, Request{Kind: Webhook, Label: "hook", Role: Deploy, Packages: []string{"a"}})
	if _, err := file.Revoke(t.Context(), "hook", start); err == nil || !strings.Contains(err.Error(), "names 2") {
		t.Errorf("got %v, want that the label names two", err)
	}
	if failure, known := errors.AsType[*ftl.Error](revoke(t, file, "nobody")); !known || failure.Kind != ftl.NotFound {
		t.Error("an unknown label is not ftl.NotFound")
	}
	if err := revoke(t, file, first.ID); err != nil {
		t.Fatal(err)
	}
	secrets, err := g.WebhookSecrets()
	if err != nil || len(secrets) != 1 || secrets[0].ID != second.ID || secrets[0].Secret != secret {
		t.Errorf("got %v, %v, want the second", secrets, err)
	}
	text, _ := os.ReadFile(file.pathOf(grantsName))
	if strings.Count(string(text), webhookPrefix) != 1 {
		t.Errorf("a revoked secret stays:\n%s", text)
	}
	c.pass(keptFor + time.Hour)
	if _, _, err := file.Add(t.Context(), Request{Kind: User, Label: "ann", Role: View}, c.at); err != nil {
		t.Fatal(err)
	}
	grants, err := file.Grants()
	if err != nil || slices.ContainsFunc(grants, func(g Grant) bool { return g.ID == first.ID }) {
		t.Errorf("a month later there is still %v (%v)", grants, err)
	}
}

func revoke(t *testing.T, file *File, name string) error {
	t.Helper()
	_, err := file.Revoke(t.Context(), name, start)
	return err
}

func TestUsedAtMostHourly(t *testing.T) {
	g, file, c := open(t, Options{})
	_, token := add(t, file, Request{Kind: Token, Label: "ci", Role: View})
	used := func() time.Time {
		t.Helper()
		if _, err := g.Token(token); err != nil {
			t.Fatal(err)
		}
		grants, err := file.Grants()
		if err != nil {
			t.Fatal(err)
		}
		return grants[0].Used.Time
	}
	c.pass(time.Minute)
	first := used()
	if !first.Equal(start.Add(time.Minute)) {
		t.Errorf("it was used at %v", first)
	}
	c.pass(30 * time.Minute)
	if again := used(); !again.Equal(first) {
		t.Errorf("half an hour later it says %v", again)
	}
	c.pass(31 * time.Minute)
	if later := used(); !later.Equal(c.at) {
		t.Errorf("an hour later it says %v", later)
	}
}

func TestManyChangeTheFileAtOnce(t *testing.T) {
	g, file, _ := open(t, Options{})
	_, token := add(t, file, Request{Kind: Token, Label: "first", Role: View})
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_, _, err := file.Add(context.WithoutCancel(t.Context()), Request{Kind: Token, Label: fmt.Sprint("ci", i), Role: View}, start)
			if err != nil {
				t.Error(err)
			}
			if _, err := g.Token(token); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if grants, err := file.Grants(); err != nil || len(grants) != 21 {
		t.Errorf("there are %d grants (%v), want 21", len(grants), err)
	}
}

// What can't be read gives no right to anybody, and is not taken for a file without grants.
func TestUnreadable(t *testing.T) {
	g, file, _ := open(t, Options{})
	_, token := add(t, file, Request{Kind: Token, Label: "ci", Role: Admin})
	good, err := os.ReadFile(file.pathOf(grantsName))
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string, mode os.FileMode) {
		t.Helper()
		os.Remove(file.pathOf(grantsName))
		if err := os.WriteFile(file.pathOf(grantsName), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file.pathOf(grantsName), mode); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, text string
		mode       os.FileMode
	}{
		{"cut", string(good[:len(good)/2]), 0o600},
		{"empty", "", 0o600},
		{"read by others", string(good), 0o644},
		{"of a newer ftl", strings.Replace(string(good), `"format": 1`, `"format": 2`, 1), 0o600},
		{"with a field more", strings.Replace(string(good), `"label"`, `"more": 1, "label"`, 1), 0o600},
		{"without a digest", strings.Replace(string(good), `"sha256"`, `"secret"`, 1), 0o600},
		{"with a placeholder", strings.ReplaceAll(strings.Replace(string(good), `"sha256": "`, `"secret": "changeme`, 1), `"kind": "token"`, `"kind": "webhook"`), 0o600},
	}
	for _, test := range tests {
		write(test.text, test.mode)
		if who, err := g.Token(token); err == nil || err == ErrUnknown || who.Role != 0 {
			t.Errorf("%s: got %v, %v", test.name, who, err)
		}
		if has, err := g.HasGrants(); err == nil {
			t.Errorf("%s: it says %v, and no error", test.name, has)
		}
		if again, err := Open(Options{Dir: file.path}); err == nil {
			again.Close()
			t.Errorf("%s: serve would begin", test.name)
		}
	}
	write(string(good), 0o600)
	if _, err := g.Token(token); err != nil {
		t.Errorf("with the file as it was: %v", err)
	}
	os.Remove(file.pathOf(grantsName))
	os.Symlink("/etc/passwd", file.pathOf(grantsName))
	if _, err := g.Token(token); err == nil || err == ErrUnknown {
		t.Errorf("a link gives %v", err)
	}
}

// The first token may be made while serve runs.
func TestDirectoryThatComesLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	g, err := Open(Options{Dir: dir, Later: true, Now: (&clock{start}).now})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if has, err := g.HasGrants(); err != nil || has {
		t.Errorf("got %v, %v", has, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made")
	}
	file, err := OpenFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, token := add(t, file, Request{Kind: Token, Label: "ann", Role: View})
	if _, cookie, err := g.Login(token); err != nil {
		t.Error(err)
	} else if _, _, err := g.Session(withCookies(cookie)); err != nil {
		t.Error(err)
	}
}

func TestDirectoryOfOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(dir); err == nil || !strings.Contains(err.Error(), "others may look into") {
		t.Errorf("got %v", err)
	}
	if os.Geteuid() != 0 {
		return
	}
	os.Chmod(dir, 0o700)
	if err := os.Chown(dir, 65534, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(dir); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("got %v", err)
	}
}

func TestCheckSecret(t *testing.T) {
	token, _ := newToken()
	for _, good := range []string{token, newWebhookSecret(), "N3xuGn7p0Zr4qWvT1sYbK8cLmD5eHfJ2"} {
		if err := CheckSecret(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "CHANGEME": "placeholder", "secret": "placeholder", "change-me-change-me-change-me-change-me": "placeholder",
		"your-secret-token-here-your-secret-token-here": "placeholder", "N3xuGn7p0Zr4qWvT1sYbK8cLmD5eHfJ": "31 bytes",
		strings.Repeat("ab1", 20): "different", "<CHANGEME_0123456789_0123456789_0123>": "placeholder",
	} {
		if err := CheckSecret(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	for _, token := range []string{"CHANGEME", "secret", "short"} {
		if _, err := Open(Options{Token: token}); err == nil {
			t.Errorf("serve would begin with the token %q", token)
		}
	}
}

func TestLimiter(t *testing.T) {
	c := &clock{start}
	l := NewLimiter(FailuresPerMinute, c.now)
	for i := range FailuresPerMinute {
		if _, ok := l.Allow("a"); !ok {
			t.Errorf("the %d. is refused", i+1)
		}
	}
	wait, ok := l.Allow("a")
	if ok || wait != 12*time.Second {
		t.Errorf("got %v, %v, want to wait for 12s", wait, ok)
	}
	if _, ok := l.Allow("b"); !ok {
		t.Error("another address is refused")
	}
	c.pass(wait)
	if _, ok := l.Allow("a"); !ok {
		t.Error("after the wait it is refused")
	}
	for i := range 3 * MaxLimited {
		l.Allow(fmt.Sprint(i))
	}
	if len(l.byKey) != MaxLimited || l.recent.Len() != MaxLimited {
		t.Errorf("it remembers %d and %d, want %d", len(l.byKey), l.recent.Len(), MaxLimited)
	}
}

func TestAddressKey(t *testing.T) {
	same := AddressKey(netip.MustParseAddr("2001:db8:1:2::1")) == AddressKey(netip.MustParseAddr("2001:db8:1:2:ffff::9"))
	other := AddressKey(netip.MustParseAddr("2001:db8:1:2::1")) == AddressKey(netip.MustParseAddr("2001:db8:1:3::1"))
	if !same || other {
		t.Errorf("a network of 64 bits counts as one: %v, another as the same: %v", same, other)
	}
}
