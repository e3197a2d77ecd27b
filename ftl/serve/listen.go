package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// DefaultAddress is where a server listens that is not told otherwise.
const DefaultAddress = "127.0.0.1:8300"

// How long a server waits for others.
const (
	headerLimit = 5 * time.Second
	idleLimit   = 2 * time.Minute
	endLimit    = 4 * time.Second // for what goes on when it ends
	maxHeader   = 16 << 10
)

// IsLocal reports whether only this machine can reach an address: a socket, or one of loopback.
func IsLocal(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Listen begins to listen at host:port, or at the socket of unix:PATH, which its group may use. A
// socket that a server has left behind is replaced, and one at which a server answers is not.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	path, isSocket := strings.CutPrefix(address, "unix:")
	if !isSocket {
		return config.Listen(ctx, "tcp", address)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		dialer := net.Dialer{Timeout: time.Second}
		if peer, err := dialer.DialContext(ctx, "unix", path); err == nil {
			peer.Close()
			return nil, fmt.Errorf("listen at %s: another server does already", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// A Certificate is a pair of files, read again when they change: whoever renews them tells nobody.
type Certificate struct {
	CertFile, KeyFile string

	mutex sync.Mutex
	read  [2]fs.FileInfo
	pair  *tls.Certificate
}

// Load reads the files where they are not those that were read, and keeps the pair that was where
// they make no sense: they may be written just now. That is an error only the first time.
func (c *Certificate) Load() (*tls.Certificate, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var now [2]fs.FileInfo
	same := c.pair != nil
	for i, name := range []string{c.CertFile, c.KeyFile} {
		info, err := os.Stat(name)
		if err != nil && c.pair == nil {
			return nil, err
		}
		now[i] = info
		same = same && (info == nil || c.read[i] != nil && info.ModTime().Equal(c.read[i].ModTime()) && os.SameFile(info, c.read[i]))
	}
	if same {
		return c.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	switch {
	case err == nil:
		c.pair, c.read = &pair, now
	case c.pair == nil:
		return nil, err
	}
	return c.pair, nil
}

// Serve answers requests, and reads the bucket, until the context ends. What goes on then has a few
// seconds to end.
func (s *Server) Serve(ctx context.Context, listener net.Listener, certificate *Certificate) error {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerLimit, IdleTimeout: idleLimit, MaxHeaderBytes: maxHeader,
	}
	server.RegisterOnShutdown(s.EndStreams)
	if certificate != nil {
		if _, err := certificate.Load(); err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
		server.TLSConfig = &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate.Load() },
		}
	}
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Run(running) })
	if s.config.Notifier != nil {
		group.Go(func() error { s.notify(running); return nil })
	}
	group.Go(func() error {
		serve := func() error { return server.Serve(listener) }
		if certificate != nil {
			serve = func() error { return server.ServeTLS(listener, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-running.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
		defer cancel()
		if err := server.Shutdown(ending); err != nil {
			return server.Close()
		}
		return nil
	})
	err := group.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
