package access

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// Of whom a request is that has these headers and comes from this peer, behind a proxy at 10.0.0.5.
func TestProxy(t *testing.T) {
	peers, err := ParsePeers("10.0.0.5, fd00::/8")
	if err != nil {
		t.Fatal(err)
	}
	proxy := Proxy{From: peers, Header: "X-Forwarded-User"}
	const proxyPeer, elsewhere = "10.0.0.5:1234", "10.0.0.6:1234"
	tests := []struct {
		name, peer string
		header     http.Header
		user       string // "!" where the request is refused
		client     string
		secure     bool
	}{
		{"no header", proxyPeer, nil, "", "10.0.0.5", false},
		{"named", proxyPeer, http.Header{"X-Forwarded-User": {"ann"}}, "ann", "10.0.0.5", false},
		{"by another", elsewhere, http.Header{"X-Forwarded-User": {"ann"}}, "", "10.0.0.6", false},
		{"by the client too", proxyPeer, http.Header{"X-Forwarded-User": {"root", "ann"}}, "!", "", false},
		{"both in one", proxyPeer, http.Header{"X-Forwarded-User": {"root, ann"}}, "!", "", false},
		{"in other letters", elsewhere, http.Header{"x-forwarded-user": {"ann"}}, "", "10.0.0.6", false},
		{"with underscores", elsewhere, http.Header{"X_Forwarded_User": {"ann"}}, "", "10.0.0.6", false},
		{"underscores by the proxy", proxyPeer, http.Header{"X_Forwarded_User": {"ann"}}, "", "10.0.0.5", false},
		{"a line break", proxyPeer, http.Header{"X-Forwarded-User": {"ann\nroot"}}, "!", "", false},
		{"a quote", proxyPeer, http.Header{"X-Forwarded-User": {`ann"`}}, "!", "", false},
		{"too long", proxyPeer, http.Header{"X-Forwarded-User": {strings.Repeat("a", 129)}}, "!", "", false},
		{"client told", proxyPeer, http.Header{"X-Forwarded-For": {"192.0.2.1"}}, "", "192.0.2.1", false},
		{"client invented", proxyPeer, http.Header{"X-Forwarded-For": {"127.0.0.1, 192.0.2.1"}}, "", "192.0.2.1", false},
		{"client invented in a line", proxyPeer, http.Header{"X-Forwarded-For": {"127.0.0.1", "192.0.2.1"}}, "", "192.0.2.1", false},
		{"through two of ours", proxyPeer, http.Header{"X-Forwarded-For": {"192.0.2.1, fd00::1"}}, "", "192.0.2.1", false},
		{"client of another", elsewhere, http.Header{"X-Forwarded-For": {"127.0.0.1"}}, "", "10.0.0.6", false},
		{"nonsense", proxyPeer, http.Header{"X-Forwarded-For": {"127.0.0.1, unknown"}}, "", "10.0.0.5", false},
		{"https", proxyPeer, http.Header{"X-Forwarded-Proto": {"https"}}, "", "10.0.0.5", true},
		{"https twice", proxyPeer, http.Header{"X-Forwarded-Proto": {"https", "http"}}, "!", "", false},
		{"https of another", elsewhere, http.Header{"X-Forwarded-Proto": {"https"}}, "", "10.0.0.6", false},
		{"mapped", "[::ffff:10.0.0.5]:1", http.Header{"X-Forwarded-User": {"ann"}}, "ann", "10.0.0.5", false},
		{"unix socket", "@", http.Header{"X-Forwarded-User": {"ann"}}, "", "invalid IP", false},
	}
	g, file, _ := open(t, Options{Proxy: proxy})
	add(t, file, Request{Kind: User, Label: "ann", Role: Deploy, Packages: []string{"*"}})
	for _, test := range tests {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header = test.peer, test.header.Clone()
		if r.Header == nil {
			r.Header = http.Header{}
		}
		user, client, secure := "!", "", false
		proxy.Believe(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			who, err := g.Browser(r)
			if err != nil {
				t.Error(err)
			}
			if (who.Role == Deploy) != (who.Name == "ann") {
				t.Errorf("%s: %q has the role %v", test.name, who.Name, who.Role)
			}
			if len(r.Header) > 0 {
				t.Errorf("%s: what a proxy says is still there: %v", test.name, r.Header)
			}
			user, client, secure = who.Name, Client(r).String(), Secure(r)
		})).ServeHTTP(httptest.NewRecorder(), r)
		if user != test.user || client != test.client || secure != test.secure {
			t.Errorf("%s: got %q, %s, %v, want %q, %s, %v", test.name, user, client, secure, test.user, test.client, test.secure)
		}
	}
}

func TestUsersWithoutAGrantMayLook(t *testing.T) {
	peers, _ := ParsePeers("unix")
	proxy := Proxy{From: peers, Header: "Remote-User"}
	g, _, _ := open(t, Options{Proxy: proxy})
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "@"
	r.Header.Set("Remote-User", "bob")
	proxy.Believe(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if who, err := g.Browser(r); err != nil || who.Name != "bob" || who.Role != View {
			t.Errorf("got %v, %v", who, err)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

func TestProxiesThatAreRefused(t *testing.T) {
	peers, err := ParsePeers("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for _, proxy := range []Proxy{
		{Header: "X-Forwarded-User"}, {From: peers, Header: "X-Forwarded-For"}, {From: peers, Header: "X_User"},
		{From: peers, Header: "Cookie"}, {From: peers, Header: "authorization"}, {From: peers, Header: "a b"},
	} {
		if proxy.Validate() == nil {
			t.Errorf("%v is taken", proxy)
		}
	}
	for _, text := range []string{"", "10.0.0.0/33", "proxy", "10.0.0.1,", "fe80::1%eth0"} {
		if peers, err := ParsePeers(text); err == nil {
			t.Errorf("%q gives %v", text, peers)
		}
	}
	if !peers.Has(netip.MustParseAddr("10.1.2.3")) || peers.Has(netip.MustParseAddr("11.0.0.1")) || peers.Has(netip.Addr{}) {
		t.Error("10.0.0.0/8 is not what it says")
	}
}
