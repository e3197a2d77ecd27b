package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/serve"
	"github.com/rhettg/ftl/ftl/serve/access"
)

// serving is how a server of the fleet is to be reached.
type serving struct {
	listen, cert, key, logFormat string
	trustHeader, trustFrom       string
	publicRead                   bool
	ping                         time.Duration
	calling
}

var settingServeURL = setting{
	variable: "FTL_SERVE_URL", usage: "where people reach ftl serve, with the path before all of its own", fallback: "http://localhost",
	example: "https://deploy.example.org/ftl",
	set: func(s *settings, value string) (err error) {
		s.serveURL, err = parseServeURL(value)
		return err
	},
}

// parseServeURL returns nil for "".
func parseServeURL(value string) (*url.URL, error) {
	if value == "" {
		return nil, nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is no URL", value)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q is no URL of a page: a scheme, a host and perhaps a path", value)
	case u.Path != "" && path.Clean(u.Path) != u.Path && path.Clean(u.Path)+"/" != u.Path:
		return nil, fmt.Errorf("%q has a path that can be shorter", value)
	}
	return u, nil
}

func (p *Program) newServe() *cobra.Command {
	var (
		s    settings
		opts serving
	)
	command := &cobra.Command{
		Use:   "serve",
		Short: "Show the fleet in a browser, and let people bless there",
		Long: `Serve shows what the bucket says of the fleet, and goes on as it changes: what is wrong
now, what is rolled out and how far, what runs where, and what was blessed by whom. Who
has a token of "ftl token add" can bless, go back, and halt rollouts there. It only ever
reads and writes the bucket, by the code of the commands, and runs no hooks; nothing
else needs it.

It listens on loopback. Anything else needs tokens, or --public-read, with which
everybody who reaches it may look. The same as JSON is below /api/v1/, and what
Prometheus wants at /metrics.`,
		Example: `  ftl serve                                     # then open http://127.0.0.1:8300
  ftl serve --listen unix:/run/ftl-serve/socket --trust-from unix
  ftl serve --listen :8443 --cert host.crt --key host.key`,
		Args:        none,
		Annotations: map[string]string{printsText: ""},
		RunE: func(command *cobra.Command, _ []string) error {
			return p.serve(command.Context(), s, opts)
		},
	}
	p.addSettings(command, &s, append(slices.Clone(signing), settingBucket, settingRollout, settingServeState, settingServeURL, settingNotify)...)
	flags := command.Flags()
	flags.StringVar(&opts.listen, "listen", serve.DefaultAddress, "HOST:PORT, or unix:PATH")
	flags.StringVar(&opts.cert, "cert", "", "the file with the certificate, for https; read again when it changes")
	flags.StringVar(&opts.key, "key", "", "the file with the key of the certificate")
	flags.BoolVar(&opts.publicRead, "public-read", false, "whoever reaches it may look, but not at what hooks printed")
	flags.StringVar(&opts.trustHeader, "trust-header", "", "the header in which a proxy names the user, such as X-Forwarded-User; needs --trust-from")
	flags.StringVar(&opts.trustFrom, "trust-from", "", "the proxies that are believed: addresses, networks, and unix for the socket")
	flags.DurationVar(&opts.ping, "ping", 10*time.Second, "how often a page that follows is told that the server is alive")
	opts.calling.add(command)
	flags.StringVar(&opts.logFormat, "log-format", "text", "how acts and refusals are logged on stderr: text or json")
	return command
}

// check refuses flags that contradict each other, or that let everybody in.
func (o serving) check(hasGrants bool) error {
	switch {
	case (o.cert == "") != (o.key == ""):
		return usage(errors.New("--cert and --key need each other"), "for example: --cert host.crt --key host.key")
	case o.logFormat != "text" && o.logFormat != "json":
		return usage(fmt.Errorf("--log-format: %q is neither text nor json", o.logFormat), "for example: --log-format json")
	case !serve.IsLocal(o.listen) && !hasGrants && !o.publicRead:
		return usage(fmt.Errorf("--listen %s: others can reach it, and there are no tokens", o.listen),
			"one for you: ftl token add LABEL --role admin\nto let everybody look: --public-read")
	}
	return nil
}

// isAlone reports whether only this machine can reach the server. A proxy that is named lets others
// do so.
func (o serving) isAlone() bool { return serve.IsLocal(o.listen) && o.trustFrom == "" }

// proxy reads who is believed.
func (o serving) proxy() (proxy access.Proxy, err error) {
	if o.trustFrom != "" {
		if proxy.From, err = access.ParsePeers(o.trustFrom); err != nil {
			return proxy, usage(fmt.Errorf("--trust-from: %w", err), "for example: --trust-from 10.0.0.5")
		}
	}
	if proxy.Header = o.trustHeader; proxy.Validate() != nil {
		return proxy, usage(fmt.Errorf("--trust-header: %w", proxy.Validate()), "for example: --trust-header X-Forwarded-User --trust-from 10.0.0.5")
	}
	return proxy, nil
}

func (p *Program) serve(ctx context.Context, s settings, opts serving) error {
	proxy, err := opts.proxy()
	if err != nil {
		return err
	}
	guard, err := p.guard(s, opts, proxy)
	if err != nil {
		return err
	}
	defer guard.Close()
	hasGrants, err := guard.HasGrants()
	if err != nil {
		return err
	}
	if err := opts.check(hasGrants); err != nil {
		return err
	}
	writer, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	bucket := writer.Bucket
	config := serve.Config{
		Bucket: bucket, Name: withoutUser(s.bucket), Version: version(), URL: s.serveURL, Waves: p.Getenv(settingRollout.variable),
		Guard: guard, Proxy: proxy, Open: opts.isAlone() || opts.publicRead, Output: opts.isAlone() && !opts.publicRead,
		Master: func(by string) *master.Master { return &master.Master{Bucket: bucket, By: by, Signing: writer.Signing} },
		Log:    p.logger(opts.logFormat), Ping: opts.ping,
	}
	if bucket.Trust != nil && writer.Signing == nil {
		config.NoKey = "hosts want signatures, and this server has no key to sign with"
	}
	if hasGrants || !proxy.From.IsZero() {
		config.ReadOnly = readOnly(ctx, bucket)
	}
	if err := opts.hang(p, s, &config); err != nil {
		return err
	}
	server, err := serve.New(config)
	if err != nil {
		return err
	}
	return p.listen(ctx, server, opts, s.serveURL)
}

// guard opens what says who may do what. A directory that was never made has no tokens.
func (p *Program) guard(s settings, opts serving, proxy access.Proxy) (*access.Guard, error) {
	guarding := access.Options{Dir: s.serveState, Token: p.Getenv("FTL_SERVE_TOKEN"), Proxy: proxy, Warn: p.warn}
	if s.serveURL != nil {
		guarding.Base = path.Clean("/" + s.serveURL.Path)
		if guarding.Base == "/" {
			guarding.Base = ""
		}
	}
	guarding.Later = s.serveState == defaultServeState
	return access.Open(guarding)
}

// readOnly returns why nothing can be written to a bucket, "" where it can.
func readOnly(ctx context.Context, bucket *catalog.Catalog) string {
	if err := bucket.CheckConditions(ctx); err != nil {
		return "this server can't write to the bucket: " + err.Error()
	}
	return ""
}

// logger writes what a server has done and refused.
func (p *Program) logger(format string) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(p.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(p.Stderr, nil))
}

// listen serves until it is told to end.
func (p *Program) listen(ctx context.Context, server *serve.Server, opts serving, at *url.URL) error {
	if os.Geteuid() == 0 {
		p.warn("it runs as root; give it a user of its own, as ftl-serve.service does")
	}
	listener, err := serve.Listen(ctx, opts.listen)
	if err != nil {
		return err
	}
	var certificate *serve.Certificate
	shown := "http://" + listener.Addr().String()
	if opts.cert != "" {
		certificate = &serve.Certificate{CertFile: opts.cert, KeyFile: opts.key}
		shown = "https://" + listener.Addr().String()
	}
	if at != nil {
		shown = at.String()
	}
	p.say("serving the fleet at %s", shown)
	hangup := p.hangups()
	notify(daemon.SdNotifyReady)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener, certificate) }()
	return p.attend(server, ended, hangup)
}

// attend waits for a server to end. It is told to look at a HUP, and the watchdog that all is well.
func (p *Program) attend(server *serve.Server, ended <-chan error, hangup <-chan struct{}) error {
	var alive <-chan time.Time
	if limit, err := daemon.SdWatchdogEnabled(false); err == nil && limit > 0 {
		ticker := time.NewTicker(limit / 2)
		defer ticker.Stop()
		alive = ticker.C
	}
	for {
		select {
		case err := <-ended:
			notify(daemon.SdNotifyStopping)
			return err
		case <-hangup:
			server.Look()
		case <-alive:
			if server.Alive() {
				notify(daemon.SdNotifyWatchdog)
			}
		}
	}
}
