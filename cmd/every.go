package cmd

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/revision"
)

// syncEvery syncs again and again until it is told to end. What goes wrong is told as from cron,
// and ends nothing: the next sync tries again. It ends by itself when its own program was replaced,
// for its supervisor to start the new one.
func (p *Program) syncEvery(ctx context.Context, h *host.Host, packages []revision.Package, opts host.SyncOptions, s settings) error {
	h.Open = keepOpen(h.Open)
	hangup := p.hangups()
	began := executable()
	notify(daemon.SdNotifyReady)
	opts.Cron = true
	var last repeated
	for {
		notify("STATUS=syncing")
		err := p.syncOnce(ctx, h, packages, opts, s)
		if ctx.Err() != nil {
			return err
		}
		p.tellFailures(err, &last)
		opts.Splay = 0 // which has spread the hosts
		if now := executable(); began != nil && (now == nil || !os.SameFile(began, now)) {
			p.say("ftl itself was replaced; ending, for the new one to be started")
			return nil
		}
		notify(daemon.SdNotifyWatchdog)
		notify(fmt.Sprintf("STATUS=waiting; the last sync was at %s", ftl.Clock(time.Now())))
		if !p.waitForNext(ctx, jittered(s.every), hangup) {
			return nil
		}
	}
}

// waitForNext waits for the next sync, and reports whether there is to be one. The watchdog is told
// meanwhile that all is well.
func (p *Program) waitForNext(ctx context.Context, wait time.Duration, hangup <-chan struct{}) bool {
	next := time.NewTimer(wait)
	defer next.Stop()
	var alive <-chan time.Time
	if limit, err := daemon.SdWatchdogEnabled(false); err == nil && limit > 0 {
		ticker := time.NewTicker(limit / 2)
		defer ticker.Stop()
		alive = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			notify(daemon.SdNotifyStopping)
			return false
		case <-next.C:
			return true
		case <-hangup:
			return true
		case <-alive:
			notify(daemon.SdNotifyWatchdog)
		}
	}
}

// repeated is what was told last, and when.
type repeated struct {
	text string
	at   time.Time
}

// tellAgain is after what time a failure that goes on is told again.
const tellAgain = time.Hour

// tellFailures prints what went wrong, as finish does, and goes on. What goes on as it was is told
// once an hour.
func (p *Program) tellFailures(err error, last *repeated) {
	var end ending
	text := ""
	for _, failure := range ftl.Split(quiet(err)) {
		if !isSilent(failure) {
			end.Errors = append(end.Errors, told{failure.Error(), p.hint(failure)})
			text += failure.Error() + "\n"
		}
	}
	if text != "" && text == last.text && time.Since(last.at) < tellAgain {
		return
	}
	*last = repeated{text, time.Now()}
	p.tell(end)
}

// jittered returns an interval that differs by up to a tenth, so that hosts that began together
// don't stay so.
func jittered(every time.Duration) time.Duration {
	return every - every/10 + rand.N(every/5+1)
}

// keepOpen opens a bucket once, and again only while that fails, so that its connection is kept.
func keepOpen(open func(context.Context) (*catalog.Catalog, error)) func(context.Context) (*catalog.Catalog, error) {
	var mutex sync.Mutex
	var kept *catalog.Catalog
	return func(ctx context.Context) (*catalog.Catalog, error) {
		mutex.Lock()
		defer mutex.Unlock()
		if kept != nil {
			return kept, nil
		}
		bucket, err := open(ctx)
		if err == nil {
			kept = bucket
		}
		return bucket, err
	}
}

// executable describes the file that the program lies in, nil where that can't be told.
func executable() fs.FileInfo {
	path, err := os.Executable()
	if err != nil {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

// notify tells the service manager, if there is one.
func notify(state string) {
	_, _ = daemon.SdNotify(false, state) // best effort: who is not told, does not know
}
