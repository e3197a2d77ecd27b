package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// link is a network between a client and the server, on loopback: a TCP proxy that delays and paces
// what passes, and counts it. It has no loss and no slow start. The zero speed is none that is
// limited.
type link struct {
	roundTrip     time.Duration
	total         int64 // bytes per second, all connections together
	perConnection int64 // bytes per second, each connection

	listener net.Listener
	server   string // address
	down, up pace   // of all connections

	received atomic.Int64 // bytes that the client got, headers included
	requests atomic.Int64
}

const (
	chunk  = 32 << 10 // what passes at once: small enough that connections take turns
	window = 2 << 20  // what is under way at most, in each direction of a connection
)

// start listens, until the context ends.
func (l *link) start(ctx context.Context, server string) (address string, wait func() error, err error) {
	l.server = server
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return "", nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		<-ctx.Done()
		return l.listener.Close()
	})
	group.Go(func() error {
		for {
			client, err := l.listener.Accept()
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			group.Go(func() error {
				l.connection(ctx, client)
				return nil
			})
		}
	})
	return l.listener.Addr().String(), group.Wait, nil
}

// connection passes on what client and server say, until one of them is silent for good. What went
// wrong, each of them notices itself.
func (l *link) connection(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() {
		client.Close()
		server.Close()
	})
	defer stop()

	var turn atomic.Bool // the server has spoken last, or nobody yet
	turn.Store(true)
	var both sync.WaitGroup
	both.Go(func() {
		time.Sleep(l.roundTrip) // to connect
		l.pass(client, server, []*pace{&l.up, new(pace)}, func(int) {
			if turn.Swap(false) {
				l.requests.Add(1)
			}
		})
		closeWrite(server)
	})
	both.Go(func() {
		l.pass(server, client, []*pace{&l.down, new(pace)}, func(n int) {
			turn.Store(true)
			l.received.Add(int64(n))
		})
		closeWrite(client)
	})
	both.Wait()
}

// pass copies one direction. A part waits for its time on the link, and then takes half a round
// trip, while the next ones follow.
func (l *link) pass(from, to net.Conn, paces []*pace, count func(int)) {
	type part struct {
		data []byte
		at   time.Time
	}
	under := make(chan part, window/chunk) // way
	var sender sync.WaitGroup
	sender.Go(func() {
		failed := false
		for p := range under {
			time.Sleep(time.Until(p.at))
			if !failed {
				_, err := to.Write(p.data)
				failed = err != nil
			}
			if failed {
				from.Close()
			}
		}
	})
	for {
		buf := make([]byte, chunk)
		n, err := from.Read(buf)
		if n > 0 {
			count(n)
			sent := paces[0].wait(l.total, n)
			if own := paces[1].wait(l.perConnection, n); own.After(sent) {
				sent = own
			}
			time.Sleep(time.Until(sent))
			under <- part{buf[:n], sent.Add(l.roundTrip / 2)}
		}
		if err != nil {
			break
		}
	}
	close(under)
	sender.Wait()
}

func closeWrite(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.CloseWrite()
	}
}

// pace hands out the time of a link.
type pace struct {
	mu   sync.Mutex
	free time.Time
}

// wait returns when so many bytes will have passed.
func (p *pace) wait(speed int64, bytes int) time.Time {
	now := time.Now()
	if speed == 0 {
		return now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(int64(bytes) * int64(time.Second) / speed))
	return p.free
}

// through runs f with the address of a link to the server.
func through(ctx context.Context, l *link, server string, f func(ctx context.Context, address string) error) error {
	ctx, stop := context.WithCancel(ctx)
	address, wait, err := l.start(ctx, server)
	if err != nil {
		stop()
		return err
	}
	err = f(ctx, address)
	stop()
	if werr := wait(); !errors.Is(werr, net.ErrClosed) && !errors.Is(werr, io.EOF) {
		err = errors.Join(err, werr)
	}
	return err
}
