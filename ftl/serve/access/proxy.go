package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Peers are addresses that are named, and the unix socket where it is.
type Peers struct {
	Prefixes []netip.Prefix
	Socket   bool
}

// ParsePeers reads addresses and networks, such as "10.0.0.5,fd00::/8", and "unix" for the unix
// socket.
func ParsePeers(text string) (p Peers, err error) {
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if word == "unix" {
			p.Socket = true
			continue
		}
		prefix, err := netip.ParsePrefix(word)
		if address, failed := netip.ParseAddr(word); failed == nil && address.Zone() == "" {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return Peers{}, fmt.Errorf("%q is neither an address, nor a network such as 10.0.0.0/8, nor unix", word)
		}
		p.Prefixes = append(p.Prefixes, prefix.Masked())
	}
	return p, nil
}

// IsZero reports whether nobody is named.
func (p Peers) IsZero() bool { return len(p.Prefixes) == 0 && !p.Socket }

// Has reports whether an address is named. The zero address is the unix socket.
func (p Peers) Has(address netip.Addr) bool {
	if !address.IsValid() {
		return p.Socket
	}
	return slices.ContainsFunc(p.Prefixes, func(prefix netip.Prefix) bool { return prefix.Contains(address.Unmap()) })
}

// Proxy is the reverse proxy that is believed, and only where it is the socket's peer.
type Proxy struct {
	From   Peers
	Header string // in which it names the user; "" for none
}

// Validate returns why a proxy can't be believed.
func (p Proxy) Validate() error {
	switch {
	case p.Header != "" && p.From.IsZero():
		return errors.New("a header is to be trusted, and no proxy is named that sets it")
	case p.Header != "" && slices.Contains(forwarded, http.CanonicalHeaderKey(p.Header)), p.Header != "" && !isHeaderName(p.Header):
		return fmt.Errorf("%q is no header that names a user", p.Header)
	}
	return nil
}

// isHeaderName reports whether a proxy that treats _ like - can't be made to set the header by
// another name.
func isHeaderName(name string) bool {
	for _, c := range []byte(name) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Cookie", "Host", "Origin", "Referer", "Connection":
		return false
	}
	return true
}

// forwarded are the headers by which a proxy says whom it speaks for.
var forwarded = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-Ip",
}

// An origin is where a request comes from.
type origin struct {
	client netip.Addr // zero for the unix socket
	user   string     // that the proxy names
	named  bool
	secure bool // it came by https as far as the proxy
}

type originKey struct{}

// Believe wraps a handler. Whatever a proxy may say is taken out of each request, and kept for
// Client, Secure and Guard.Browser where the proxy is believed.
func (p Proxy) Believe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := origin{client: peerOf(r), secure: r.TLS != nil}
		if p.From.Has(from.client) {
			if !p.believe(&from, r.Header) {
				http.Error(w, "the proxy contradicts itself", http.StatusBadRequest)
				return
			}
		}
		strip(r.Header, append(slices.Clone(forwarded), http.CanonicalHeaderKey(p.Header)))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), originKey{}, from)))
	})
}

// believe takes what the proxy says, and returns false where it can't be made sense of: a header
// that stands there twice was set by the client too.
func (p Proxy) believe(from *origin, header http.Header) bool {
	for _, name := range []string{p.Header, "X-Forwarded-Proto", "X-Real-Ip"} {
		if name != "" && len(header.Values(name)) > 1 {
			return false
		}
	}
	if p.Header != "" {
		from.user = header.Get(p.Header)
		from.named = from.user != ""
		if from.named && !isUserName(from.user) {
			return false
		}
	}
	if proto := header.Get("X-Forwarded-Proto"); proto != "" {
		from.secure = proto == "https"
	}
	from.client = p.clientOf(from.client, header.Values("X-Forwarded-For"))
	return true
}

// clientOf returns the last address that no proxy of ours has: those before it, the client may have
// invented.
func (p Proxy) clientOf(peer netip.Addr, lines []string) netip.Addr {
	chain := strings.Split(strings.Join(lines, ","), ",")
	client := peer
	for _, word := range slices.Backward(chain) {
		address, err := netip.ParseAddr(strings.TrimSpace(word))
		if err != nil {
			break
		}
		client = address.Unmap()
		if !p.From.Has(client) {
			break
		}
	}
	return client
}

// isUserName refuses names that could not stand in a marker, or could be taken for others.
func isUserName(name string) bool {
	if len(name) > 128 {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == ',' })
}

// strip takes headers out, also under names that some take for the same.
func strip(header http.Header, names []string) {
	for name := range header {
		if slices.Contains(names, http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))) {
			delete(header, name)
		}
	}
}

// peerOf returns the address of the socket's peer, zero for a unix socket.
func peerOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}

// Client returns the address that a request comes from, zero for the unix socket. Behind a proxy
// that is believed, it is the one that the proxy tells.
func Client(r *http.Request) netip.Addr { return originOf(r).client }

// Secure reports whether a request came by https.
func Secure(r *http.Request) bool { return originOf(r).secure }

func originOf(r *http.Request) origin {
	if from, ok := r.Context().Value(originKey{}).(origin); ok {
		return from
	}
	return origin{client: peerOf(r), secure: r.TLS != nil}
}

// user returns whom the proxy names.
func (Proxy) user(r *http.Request) (string, bool) {
	from := originOf(r)
	return from.user, from.named
}
