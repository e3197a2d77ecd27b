// Package serve shows a fleet in a browser, as far as the bucket tells of it, and does there what
// the commands do.
//
// One goroutine reads the bucket, for all viewers, and makes a [Snapshot] of it, which nobody
// changes. A page is a pure function of a snapshot and a URL: it is a list of fragments, each of
// which is HTML under an id. A browser that runs JavaScript follows a stream of the fragments that
// have changed; one that does not loads the page again. The same models are what the API tells.
//
// Serve only ever writes to the bucket, by the same code as the commands, and runs no hooks.
package serve

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/serve/access"
	"github.com/rhettg/ftl/ftl/serve/notify"
	"github.com/rhettg/ftl/revision"
)

// Config is what a server is made of. Bucket is required.
type Config struct {
	Bucket  *catalog.Catalog
	Name    string   // of the bucket, for people
	Version string   // of ftl
	URL     *url.URL // where people reach it, with the path before all of its own; nil is http://localhost

	// Guard knows who may do what; nil: nobody may act. Open lets whoever reaches the server look,
	// and Output also at what hooks have printed.
	Guard        *access.Guard
	Open, Output bool
	Proxy        access.Proxy // that is believed

	// Who is for what knows better than the guard who sends a request. An error says why that is
	// nobody; it ends with 401. Nil: as the guard says; without one, everybody may look, and nobody
	// may act.
	Who func(*http.Request) (Person, error)
	// Master returns who writes the bucket in the name of somebody; nil: nobody may act.
	Master func(by string) *master.Master
	// ReadOnly is why nobody may act here, for people; "" where those may whom Who lets.
	ReadOnly string
	// NoKey is why nothing can be blessed here, such as that hosts want signatures and there is no
	// key; "" where it can. A rollout can be halted all the same.
	NoKey string
	Waves string // that the operator's blessings usually have, as --rollout has them

	// Pages are handlers for browsers, such as a login, by their patterns without the path of URL.
	// A form of another site does not reach them.
	Pages map[string]http.Handler
	// Machines are handlers for programs, such as a webhook. No cookie may give rights there.
	Machines map[string]http.Handler

	Notifier *notify.Notifier // tells others what happens; nil: nobody is told

	Log *slog.Logger // nil: none
	// Ping is how often a stream says that it is alive; 0 is 10 seconds. Proxies cut what is silent
	// for longer than 30.
	Ping time.Duration
}

// Person is whoever sends a request. The zero value is nobody in particular, who may do nothing.
type Person struct {
	Name  string // for people; "" for nobody in particular
	By    string // in the marker
	Looks bool   // may see the fleet
	// Output is set where also what hooks have printed may be seen.
	Output bool
	// May tells whether the person may do something with a package; nil: nothing.
	May func(act Act, pkg revision.Package) bool
}

func (p Person) may(act Act, pkg revision.Package) bool { return p.May != nil && p.May(act, pkg) }

// Server shows a bucket. Run reads it, and Handler answers requests.
type Server struct {
	config    Config
	base      string // the path before all of its own, without the slash at the end
	feed      *feed
	render    *renderer
	door      *door // nil: nobody can log in
	shared    *shared
	ping      time.Duration // how often a stream says that it is alive
	log       *slog.Logger
	done      chan struct{} // closed when streams are to end
	bodyLimit atomic.Int64  // nanoseconds that a body may take to come
	tried     atomic.Int64  // when reading the bucket has ended last, in Unix nanoseconds; 0 for never
}

// New returns a server.
func New(config Config) (*Server, error) {
	if config.Bucket == nil {
		return nil, errors.New("serve needs a bucket")
	}
	s := &Server{config: config, feed: newFeed(), log: config.Log, done: make(chan struct{})}
	s.bodyLimit.Store(int64(bodyLimit))
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if config.URL != nil {
		s.base = strings.TrimRight(config.URL.EscapedPath(), "/")
	}
	s.render, s.shared, s.ping = newRenderer(s.base), &shared{}, cmp.Or(config.Ping, 10*time.Second)
	if config.Guard != nil {
		s.door = &door{Guard: config.Guard, open: config.Open, output: config.Output, failures: access.NewLimiter(access.FailuresPerMinute, nil)}
		if config.Who == nil {
			s.config.Who = s.door.who
		}
	}
	return s, nil
}

// readOnly returns why nobody may act here, "" where those may who have the right.
func (s *Server) readOnly() string {
	if s.config.Master == nil && s.config.ReadOnly == "" {
		return "this server only shows"
	}
	return s.config.ReadOnly
}

// Latest returns the latest snapshot, nil before the first one, and a channel that is closed when
// there is another one.
func (s *Server) Latest() (*Snapshot, <-chan struct{}) { return s.feed.get() }

// Look asks for the bucket to be read now, without waiting for it.
func (s *Server) Look() { s.feed.look() }

// peek is how often it is looked, while somebody watches, whether a command has changed the bucket.
const peek = 2 * time.Second

// Run reads the bucket until the context ends. A failure to read it ends nothing: it is shown, and
// the next try comes.
func (s *Server) Run(ctx context.Context) error {
	p := newPoller(s.config.Bucket)
	var failing time.Time
	for {
		snapshot, err := p.poll(ctx)
		s.tried.Store(time.Now().UnixNano())
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			if failing.IsZero() {
				failing = time.Now()
				s.log.Warn("the bucket can't be read", "error", err.Error())
			}
			snapshot = s.failed(p, err, failing)
		case !failing.IsZero():
			failing = time.Time{}
			s.log.Info("the bucket can be read again")
		}
		s.feed.put(snapshot)
		if err := s.pause(ctx, p, snapshot); err != nil {
			return err
		}
	}
}

// failed is the latest snapshot, with why there is no newer one.
func (s *Server) failed(p *poller, err error, since time.Time) *Snapshot {
	old, _ := s.feed.get()
	if old == nil {
		old = &Snapshot{}
	}
	snapshot := *old
	p.count++
	snapshot.ID = p.id()
	snapshot.Failure, snapshot.FailingSince = err.Error(), since
	return &snapshot
}

// aliveFor is how long reading the bucket may take.
const aliveFor = 10 * time.Minute

// Alive reports whether the bucket is still being read, well or not.
func (s *Server) Alive() bool {
	at := s.tried.Load()
	return at == 0 || time.Since(time.Unix(0, at)) < aliveFor
}

// pause waits until the bucket is to be read again.
func (s *Server) pause(ctx context.Context, p *poller, snapshot *Snapshot) error {
	began := time.Now()
	ticker := time.NewTicker(peek)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.feed.wake:
			return nil
		case <-ticker.C:
		}
		watched := s.feed.watched()
		if time.Since(began) >= interval(snapshot, watched) {
			return nil
		}
		if watched && snapshot.Failure == "" && p.changed(ctx) {
			return nil
		}
	}
}

// EndStreams ends all streams, for a server that is to stop: they would never end by themselves. It
// is called once.
func (s *Server) EndStreams() { close(s.done) }
