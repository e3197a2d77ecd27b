package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sessionLife is how long somebody stays logged in.
const sessionLife = 12 * time.Hour

// Login begins a session for whoever has a token, and returns its cookie. The cookie is signed over
// the digest of the token too, so it ends with the token. The errors are those of Token.
func (g *Guard) Login(token string) (Who, *http.Cookie, error) {
	who, err := g.Token(token)
	if err != nil {
		return Who{}, nil, err
	}
	expires := g.opts.Now().Add(sessionLife)
	value := who.ID + "." + strconv.FormatInt(expires.Unix(), 10)
	cookie := g.cookie(value + "." + g.sign(value, digestOf(token)))
	cookie.Expires = expires
	return who, cookie, nil
}

// Logout returns the cookie that ends a session in the browser that gets it.
func (g *Guard) Logout() *http.Cookie {
	cookie := g.cookie("")
	cookie.MaxAge = -1
	return cookie
}

func (g *Guard) cookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: g.cookieName(), Value: value, Path: g.opts.Base + "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// cookieName has the prefix by which a browser takes the cookie from this very host alone, where
// that can be: such a cookie is for all paths.
func (g *Guard) cookieName() string {
	if g.opts.Base == "" {
		return "__Host-ftl"
	}
	return "__Secure-ftl"
}

func (g *Guard) sign(value string, token digest) string {
	g.mu.Lock()
	key := g.key
	g.mu.Unlock()
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("ftl session\x00" + value + "\x00"))
	mac.Write(token[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Session returns who sends a request by its cookie, and false where it has none. A cookie whose
// session has ended is ErrUnknown.
func (g *Guard) Session(r *http.Request) (Who, bool, error) {
	cookies := r.CookiesNamed(g.cookieName())
	if len(cookies) == 0 {
		return Who{}, false, nil
	}
	who, err := g.session(cookies[0].Value)
	if len(cookies) > 1 {
		return Who{}, true, ErrUnknown
	}
	return who, true, err
}

func (g *Guard) session(cookie string) (Who, error) {
	live, err := g.live()
	if err != nil {
		return Who{}, err
	}
	end := strings.LastIndexByte(cookie, '.')
	id, expiry, ok := strings.Cut(cookie[:max(end, 0)], ".")
	expires, err := strconv.ParseInt(expiry, 10, 64)
	if !ok || err != nil {
		return Who{}, ErrUnknown
	}
	who, sum := Who{}, digest{}
	if id == environmentID && g.opts.Token != "" {
		who, sum = g.fromEnvironment(), g.environment
	}
	for _, k := range live {
		if k.Kind == Token && k.ID == id {
			who, sum = k.who(), *k.SHA256
		}
	}
	signed := hmac.Equal([]byte(g.sign(cookie[:end], sum)), []byte(cookie[end+1:]))
	if !signed || who.ID == "" || !g.opts.Now().Before(time.Unix(expires, 0)) {
		return Who{}, ErrUnknown
	}
	g.Used(who.ID)
	return who, nil
}

// Browser returns who sends a request of a page: by the proxy, else by the cookie, else nobody in
// particular. A session that has ended is nobody's. The error says that it could not be told.
func (g *Guard) Browser(r *http.Request) (Who, error) {
	if name, named := g.opts.Proxy.user(r); named {
		return g.user(name)
	}
	who, _, err := g.Session(r)
	if err == ErrUnknown {
		return Who{}, nil
	}
	return who, err
}

// user returns the user that the proxy names. One without a grant may look.
func (g *Guard) user(name string) (Who, error) {
	live, err := g.live()
	if err != nil {
		return Who{}, err
	}
	for _, k := range live {
		if k.Kind == User && k.Label == name {
			g.Used(k.ID)
			return k.who(), nil
		}
	}
	return Who{Name: name, Kind: User, Role: View}, nil
}
