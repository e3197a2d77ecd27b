// Package probe asks a service whether it is well, for the check hooks of hosts
// that have no other tool for it.
//
// A probe asks a URL again and again until the answer is the wanted one, or its
// time is over. It checks nothing but what it is asked to: a status, a text, and
// whether a page over https loads anything over http.
//
// A URL may hold secrets, in its user name, its password and its query. No error
// tells any of these.
package probe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Probe is what to ask, and which answer is wanted. URL is required; a zero
// duration is the default of the same name.
type Probe struct {
	URL      string
	Status   int    // the wanted one; 0 is 200
	Contains string // a text that the body must have
	// NoMixedContent wants whatever an https page loads to be https.
	NoMixedContent bool
	User, Password string      // of HTTP's basic authentication; no User is none
	Header         http.Header // of each request

	Timeout        time.Duration // of all tries
	Interval       time.Duration // between two tries
	RequestTimeout time.Duration // of one try

	// Transport is how to connect; nil is http.DefaultTransport, which verifies
	// certificates.
	Transport http.RoundTripper
}

// The defaults of a Probe. A check has a minute, so that a probe in it gives up
// before that, and can tell why.
const (
	DefaultTimeout        = 50 * time.Second
	DefaultInterval       = 3 * time.Second
	DefaultRequestTimeout = 2 * time.Second
)

// maxBody is how many bytes of an answer are read.
const maxBody = 8 << 20

// Validate returns why the probe can't be made, however often it is tried.
func (p Probe) Validate() error {
	target, err := url.Parse(p.URL)
	if err != nil { // which quotes parts of the URL
		return errors.New("the URL can't be parsed; special characters in it have to be escaped, as in %20")
	}
	if target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return errors.New("it is no http or https URL with a host")
	}
	if p.Status != 0 && (p.Status < 100 || p.Status > 599) {
		return fmt.Errorf("there is no status %d", p.Status)
	}
	for name, values := range p.Header {
		for _, value := range values {
			if !headerName.MatchString(name) || strings.ContainsFunc(value, isControl) {
				return errors.New("a header can't be sent: it has a name, a colon and a value, in one line")
			}
		}
	}
	for _, d := range []time.Duration{p.Timeout, p.Interval, p.RequestTimeout} {
		if d < 0 {
			return fmt.Errorf("the duration %v is negative", d)
		}
	}
	return nil
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// Run asks until the answer is as wanted, and returns nil then. Otherwise it
// returns what was wrong with the last answer. If ctx ends first, the error wraps
// its cause and says what the last answer was.
func (p Probe) Run(ctx context.Context) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	began, timeout := time.Now(), cmp.Or(p.Timeout, DefaultTimeout)
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last := errNoAnswer
	for tries := 1; ; tries++ {
		err := p.try(bounded)
		if err == nil {
			return nil
		}
		// A try that was cut short says less than the one before.
		if bounded.Err() == nil || last == errNoAnswer && ctx.Err() == nil {
			last = err
		}
		select {
		case <-time.After(cmp.Or(p.Interval, DefaultInterval)):
			continue
		case <-bounded.Done(): // as it is when ctx is
		}
		if ctx.Err() != nil {
			return fmt.Errorf("probe %s: %w; the last try: %w (%d tries in %v)",
				p.shown(), context.Cause(ctx), last, tries, time.Since(began).Round(time.Millisecond))
		}
		return fmt.Errorf("probe %s: %w (%d tries in %v)", p.shown(), last, tries, timeout)
	}
}

// errNoAnswer is what there is to say before the first try has ended.
var errNoAnswer = errors.New("there was no answer")

// shown is the URL without what may be a secret.
func (p Probe) shown() string {
	target, err := url.Parse(p.URL)
	if err != nil {
		return "the URL"
	}
	target.User = nil
	if target.RawQuery != "" {
		target.RawQuery = "…"
	}
	return target.String()
}

// try asks once.
func (p Probe) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.RequestTimeout, DefaultRequestTimeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		return withoutURL(err)
	}
	request.Header.Set("User-Agent", "ftl-probe")
	for name, values := range p.Header {
		request.Header[name] = values
	}
	if host := p.Header.Get("Host"); host != "" {
		request.Host = host
	}
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

// withoutURL leaves the URL out of an error.
func withoutURL(err error) error {
	if failure, ok := errors.AsType[*url.Error](err); ok {
		return failure.Err
	}
	return err
}
