package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/probe"
)

// checkURL refuses a URL to be asked that is not on the list. A sender could make us ask any
// service that is near us otherwise.
func (h *Hook) checkURL(text string) error {
	target, err := url.Parse(text)
	switch {
	case err != nil, target.Scheme != "http" && target.Scheme != "https", target.Hostname() == "":
		return errors.New("healthcheck_url is no http or https URL with a host")
	case target.User != nil:
		return errors.New("healthcheck_url must not have a user")
	}
	allowed := slices.ContainsFunc(h.ProbeHosts, func(host string) bool {
		return strings.EqualFold(host, net.JoinHostPort(target.Hostname(), portOf(target))) ||
			target.Port() == "" && strings.EqualFold(host, target.Hostname())
	})
	if !allowed {
		return errors.New("healthcheck_url is on a host that is not allowed here")
	}
	return nil
}

func portOf(target *url.URL) string {
	switch {
	case target.Port() != "":
		return target.Port()
	case target.Scheme == "https":
		return "443"
	}
	return "80"
}

// healthy asks a URL until it answers well, at most for a time. The error tells its status alone.
func (h *Hook) healthy(ctx context.Context, text string, most time.Duration) error {
	target, err := url.Parse(text)
	if err != nil {
		return errors.New("it is no URL")
	}
	asked, err := resolved(ctx, target)
	if err != nil {
		return err
	}
	defer asked.transport.CloseIdleConnections()
	p := probe.Probe{URL: text, Timeout: min(most, probe.DefaultTimeout), Interval: h.pauses.probe, Transport: asked}
	switch err := p.Run(ctx); {
	case err == nil:
		return nil
	case asked.status != 0:
		return fmt.Errorf("its last answer had the status %d", asked.status)
	}
	return errors.New("it does not answer")
}

// A pinned transport asks the addresses that a name had when it was looked up, without a proxy. It
// keeps the status of the last answer, and nothing else of it.
type pinned struct {
	transport *http.Transport
	status    int
}

func (p *pinned) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	p.status = response.StatusCode
	response.Body.Close()
	response.Body = http.NoBody
	return response, nil
}

// metadata is where a cloud keeps credentials for its machines, beside the link-local address.
var metadata = netip.MustParseAddr("fd00:ec2::254")

// resolved looks a host up, once: a name could lead elsewhere the next time.
func resolved(ctx context.Context, target *url.URL) (*pinned, error) {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", target.Hostname())
	if err != nil {
		return nil, errors.New("its host can't be looked up")
	}
	addresses = slices.DeleteFunc(addresses, func(a netip.Addr) bool { return !mayAsk(a) })
	if len(addresses) == 0 {
		return nil, errors.New("its host has no address that may be asked")
	}
	dialer := &net.Dialer{Timeout: probe.DefaultRequestTimeout}
	return &pinned{transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var failed error
			for _, address := range addresses {
				conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(address.Unmap().String(), portOf(target)))
				if err == nil {
					return conn, nil
				}
				failed = err
			}
			return nil, failed
		},
	}}, nil
}

func mayAsk(a netip.Addr) bool {
	a = a.Unmap()
	return !a.IsLinkLocalUnicast() && !a.IsMulticast() && !a.IsUnspecified() && a != metadata
}
