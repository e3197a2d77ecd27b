// Package webhook lets CI bless a revision over HTTP: POST /deployment/.
//
// A request proves in one of three ways that it is of somebody who may: a signature of Standard
// Webhooks, a signature as GitHub sends it, or a token. It says which package and revision, and is
// answered at once, or, where that is asked for, when the hosts run the revision or it is clear
// that they will not.
//
// The body of an older deploy service is spoken too, so that its clients work unchanged: it names a
// commit, and always waits.
//
// What is signed can be sent again by somebody who has overheard it. So a signature of Standard
// Webhooks is good for some minutes and once; a body that says no time does nothing that it could
// not have done when it was sent first, see [Hook.fresh].
package webhook

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/ftl/serve/access"
	"github.com/rhettg/ftl/revision"
)

// Limits of what is asked for.
const (
	MaxBody     = 64 << 10
	MaxWaiters  = 32 // requests that wait for hosts, at the same time
	DefaultWait = 900 * time.Second

	sendTime  = 10 * time.Second // to take an answer
	blessTime = time.Minute      // to bless, also where the sender has gone
	tolerance = 5 * time.Minute  // between our clock and the sender's
)

// Config is what a Hook is made of. Bucket, Guard and Master are required.
type Config struct {
	Bucket *catalog.Catalog
	Guard  *access.Guard
	// Master returns who writes the bucket in the name of somebody.
	Master func(by string) *master.Master
	// Hosts returns the reports of the hosts and the bucket's clock; nil reads them in the bucket.
	Hosts func(context.Context) ([]fleet.Host, time.Time, error)
	// ReadOnly is why nothing can be blessed here; "" where it can.
	ReadOnly string

	AllowFrom  access.Peers     // that may send requests; zero is everybody
	ProbeHosts []string         // as "app.example.org:443", that may be asked whether they are well
	Base       string           // the path before all of serve's own, such as "/ftl"; "" for none
	Rollout    *rollout.Options // the waves of a request that names none; nil is all hosts at once

	Wait time.Duration // how long the older form waits; 0 is DefaultWait
	Now  func() time.Time
	Log  *slog.Logger // nil: nobody listens
}

// Hook is the handler of POST /deployment/.
type Hook struct {
	Config
	failures *access.Limiter // by address
	requests *access.Limiter // by token or secret
	waiters  chan struct{}
	pauses   pauses

	mu      sync.Mutex
	turns   map[revision.Package]chan struct{} // of whoever blesses
	reading sync.Mutex                         // of the reports
	fleet   fleet.Fleet
	swept   time.Time // when seen objects were looked through
}

// New returns a hook.
func New(config Config) *Hook {
	h := &Hook{
		Config: config, waiters: make(chan struct{}, MaxWaiters), turns: make(map[revision.Package]chan struct{}), pauses: usualPauses,
		fleet: fleet.Fleet{Catalog: config.Bucket},
	}
	if h.Now == nil {
		h.Now = time.Now
	}
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	h.Wait = cmp.Or(h.Wait, DefaultWait)
	h.failures = access.NewLimiter(access.FailuresPerMinute, h.Now)
	h.requests = access.NewLimiter(access.WebhooksPerMinute, h.Now)
	return h
}

// Health answers whether serve runs, as the older service does.
func Health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"status":"OK"}`+"\n")
}

// ServeHTTP answers a request. The checks have an order: what costs least and tells least comes
// first, and nothing of the body is looked at before the proof.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, refused := h.read(w, r)
	if refused == nil {
		var who access.Who
		var proof proof
		who, proof, refused = h.prove(r, body)
		if refused == nil {
			h.answer(w, r, h.handle(r, who, proof, body))
			return
		}
	}
	h.log(r, access.Who{}, nil, refused)
	refused.write(w)
}

// read checks what can be checked without the body, and reads it.
func (h *Hook) read(w http.ResponseWriter, r *http.Request) ([]byte, *problem) {
	if !h.AllowFrom.IsZero() && !h.AllowFrom.Has(access.Client(r)) {
		return nil, refuse(http.StatusForbidden, "this address may not send requests")
	}
	if r.Method != http.MethodPost {
		p := refuse(http.StatusMethodNotAllowed, "only POST does something here")
		p.header = http.Header{"Allow": {http.MethodPost}}
		return nil, p
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || media != "application/json" || charset != "" && charset != "utf-8" && charset != "UTF-8" {
		return nil, refuse(http.StatusUnsupportedMediaType, "the body has to be application/json")
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, refuse(http.StatusUnsupportedMediaType, "the body has to be as it is, without an encoding")
	}
	// Of a body that does not come, nobody waits for the rest. Some writers know no deadline.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(h.pauses.body))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err == nil {
		_ = control.SetReadDeadline(time.Time{}) // else the server itself would wait for the rest
	}
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return nil, refuse(http.StatusRequestEntityTooLarge, "the body is longer than 64 KiB")
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the body did not come as a whole")
	}
	return body, nil
}

// prove tells who has sent a request. Only failures are limited: a good proof is never refused for
// the bad ones of others, who may share an address with it.
func (h *Hook) prove(r *http.Request, body []byte) (access.Who, proof, *problem) {
	who, proof, err := h.check(r, body)
	switch {
	case err == nil:
	case errors.Is(err, access.ErrUnknown):
		if wait, ok := h.failures.Allow(access.AddressKey(access.Client(r))); !ok {
			return who, proof, tooOften("too many requests without a proof", wait)
		}
		p := refuse(http.StatusUnauthorized, "a proof is missing, or is not good")
		p.header = http.Header{"WWW-Authenticate": {"Bearer"}}
		return who, proof, p
	default:
		h.Log.Error("proofs can't be checked", "error", err.Error())
		return who, proof, refuse(http.StatusServiceUnavailable, "proofs can't be checked now")
	}
	if wait, ok := h.requests.Allow(who.ID); !ok {
		return who, proof, tooOften("too many requests", wait)
	}
	return who, proof, nil
}

// A result is what a request came to.
type result struct {
	*problem // nil: it is done, as follows
	who      access.Who
	request  *request // nil where it was not understood
	entry    catalog.Entry
	already  bool // it was blessed before
	lines    *lines
	base     string      // of Config
	followed *deployment // to wait for; nil: nobody waits
}

// handle does what a request asks for, up to the blessing.
func (h *Hook) handle(r *http.Request, who access.Who, p proof, body []byte) (res result) {
	res.who, res.lines, res.base = who, &lines{now: h.Now}, h.Base
	request, err := parseRequest(body)
	if err != nil {
		res.problem = refuse(http.StatusUnprocessableEntity, err.Error())
		return res
	}
	res.request = request
	if request.wait, err = h.waitOf(r, request); err != nil {
		res.problem = refuse(http.StatusUnprocessableEntity, err.Error())
		return res
	}
	if !who.May(access.Deploy, request.pkg) {
		res.problem = refuse(http.StatusForbidden, "this proof is not good for "+request.pkg.String())
		return res
	}
	if request.healthcheck != "" {
		if err := h.checkURL(request.healthcheck); err != nil {
			res.problem = refuse(http.StatusUnprocessableEntity, err.Error())
			return res
		}
	}
	if h.ReadOnly != "" {
		res.problem = refuse(http.StatusServiceUnavailable, h.ReadOnly)
		return res
	}
	h.bless(r.Context(), p, body, &res)
	return res
}

// waitOf returns for how long to wait, 0 for not at all.
func (h *Hook) waitOf(r *http.Request, request *request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	switch {
	case request.older:
		return h.Wait, nil
	case text == "":
		return 0, nil
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 1 || seconds > 3600 {
		return 0, errors.New("wait has to be a number of seconds from 1 to 3600")
	}
	return time.Duration(seconds) * time.Second, nil
}

// answer sends what a request came to, after waiting for the hosts where that is asked for.
func (h *Hook) answer(w http.ResponseWriter, r *http.Request, res result) {
	var out answerer = plain{w}
	if res.problem == nil && res.followed != nil {
		select {
		case h.waiters <- struct{}{}:
			defer func() { <-h.waiters }()
			if streams(r) && !res.request.older {
				out = newStream(w, res.lines)
			}
			res.verdict(h.follow(r.Context(), res.followed, res.lines))
		default:
			res.problem = refuse(http.StatusServiceUnavailable, "too many requests wait for hosts; it is blessed")
			res.problem.header = http.Header{"Retry-After": {"30"}}
		}
	}
	h.log(r, res.who, res.request, res.problem)
	// Who does not read the answer is not waited for. The connection may be used again after it.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(sendTime))
	out.send(res)
	_ = control.Flush()
	_ = control.SetWriteDeadline(time.Time{})
}

// verdict takes what waiting came to.
func (r *result) verdict(v verdict) {
	if v.status != http.StatusOK {
		r.problem = refuse(v.status, v.err)
		r.lines.error(v.err)
	}
}

func (h *Hook) log(r *http.Request, who access.Who, request *request, refused *problem) {
	attrs := []any{"client", access.Client(r).String(), "who", who.Name}
	if request != nil {
		attrs = append(attrs, "package", request.pkg.String())
	}
	if refused != nil {
		h.Log.Warn("deployment refused", append(attrs, "status", refused.Status, "why", refused.Detail)...)
		return
	}
	h.Log.Info("deployment", attrs...)
}
