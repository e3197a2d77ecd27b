// Package probe asks a service whether it is well, for the check hooks of hosts
// that have no other tool for it.
//
// A probe asks a URL again and again until the answer is the wanted one, or its
// time is over. What it is asked to see is all that it looks at: a status, a
// text, and whether a page over https loads anything over plain http.
package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Probe is what to ask, and what to see. URL is required; a zero duration is the
// default of the same name.
type Probe struct {
	URL      string
	Status   int    // the wanted one; 0 is 200
	Contains string // a text that the body must have
	// NoMixedContent wants every link, script and image of a page to be https,
	// if the page is.
	NoMixedContent bool
	User, Password string // of HTTP's basic authentication; no User is none

	Timeout        time.Duration // of all tries
	Interval       time.Duration // between two tries
	RequestTimeout time.Duration // of one try

	// Transport is how to connect; nil is http.DefaultTransport, which verifies
	// certificates.
	Transport http.RoundTripper
}

// The defaults of a Probe.
const (
	DefaultTimeout        = 90 * time.Second
	DefaultInterval       = 3 * time.Second
	DefaultRequestTimeout = 2 * time.Second
)

// maxBody is how many bytes of an answer are looked at.
const maxBody = 8 << 20

// Run asks until the answer is as wanted, and returns nil then. Otherwise it
// returns what was wrong with the last answer, or the context's error.
func (p Probe) Run(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, orDefault(p.Timeout, DefaultTimeout))
	defer cancel()
	var last error
	for tries := 1; ; tries++ {
		err := p.try(bounded)
		if err == nil || errors.Is(err, errHopeless) {
			return err
		}
		if last == nil || bounded.Err() == nil { // a try that was cut short says less than the one before
			last = err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-bounded.Done():
			return fmt.Errorf("probe %s: %w (%d tries in %v)", p.URL, last, tries, orDefault(p.Timeout, DefaultTimeout))
		case <-time.After(orDefault(p.Interval, DefaultInterval)):
		}
	}
}

// errHopeless is a request that can't be made, however often it is tried.
var errHopeless = errors.New("can't be asked")

// try asks once.
func (p Probe) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, orDefault(p.RequestTimeout, DefaultRequestTimeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err == nil && (request.URL.Host == "" || request.URL.Scheme != "http" && request.URL.Scheme != "https") {
		err = errors.New("it is no http or https URL with a host")
	}
	if err != nil {
		return fmt.Errorf("probe %s: %w: %w", p.URL, errHopeless, err)
	}
	request.Header.Set("User-Agent", "ftl-probe")
	if p.User != "" {
		request.SetBasicAuth(p.User, p.Password)
	}
	client := &http.Client{
		Transport: p.Transport,
		// A redirect is an answer, with a status of its own.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return p.judge(response, body)
}

// judge says what is wrong with an answer, if anything.
func (p Probe) judge(response *http.Response, body []byte) error {
	want := p.Status
	if want == 0 {
		want = http.StatusOK
	}
	switch {
	case response.StatusCode != want:
		return fmt.Errorf("the status is %s, not %d", response.Status, want)
	case !bytes.Contains(body, []byte(p.Contains)):
		return fmt.Errorf("the answer does not contain %q", p.Contains)
	case p.NoMixedContent && response.Request.URL.Scheme == "https":
		return mixedContent(body)
	}
	return nil
}

// withoutURL leaves the URL out of an error, which may have a password in it.
func withoutURL(err error) error {
	var failure interface{ Unwrap() error }
	if errors.As(err, &failure) {
		if inner := failure.Unwrap(); inner != nil {
			return inner
		}
	}
	return err
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
