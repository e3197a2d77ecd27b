package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// fleet asks how 10,000 hosts are, over a link, by somebody who has never asked before, and by
// somebody who has.
func (b *bench) fleet(ctx context.Context) ([]line, error) {
	const hosts, prefix = 10_000, "fleet"
	file := filepath.Join(b.dir, "app")
	if err := os.WriteFile(file, []byte("app"), 0o644); err != nil {
		return nil, err
	}
	spooled, err := b.spool(ctx, prefix, file)
	if err != nil {
		return nil, err
	}
	if _, err := output(b.ftl(ctx, b.bucket, prefix, "", "jump", "--master", spooled[0])); err != nil {
		return nil, err
	}
	if err := b.report(ctx, prefix, spooled[0], hosts); err != nil {
		return nil, err
	}
	warm := filepath.Join(b.dir, "cache")
	status := func(name, cache string) contender {
		return contender{name: "ftl status --fleet, " + name, command: func(ctx context.Context, dir string) *exec.Cmd {
			cmd := b.ftl(ctx, b.bucket, prefix, "", "status", "--fleet")
			if cache != "" {
				dir = cache
			}
			cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+dir)
			return cmd
		}}
	}
	far := &link{roundTrip: 20 * time.Millisecond}
	var lines []line
	err = through(ctx, far, b.bucket.address(), func(ctx context.Context, address string) error {
		at := b.bucket
		b.bucket = at.at(address)
		defer func() { b.bucket = at }()
		samples, err := b.rounds(ctx, b.count, status("cold", ""), status("warm", warm))
		if err == nil {
			lines = []line{
				{what: "ftl status --fleet of 10,000 hosts, 20 ms away, for the first time", ftl: seconds(median(samples[0])), goal: atMost(5)},
				{what: "the same, when no host has reported since", ftl: seconds(median(samples[1])), goal: atMost(1)},
			}
		}
		return err
	})
	return lines, errors.Join(err, os.RemoveAll(b.bucket.path(prefix)))
}

// report writes the reports of hosts, all of which run a revision.
func (b *bench) report(ctx context.Context, prefix, name string, hosts int) error {
	r, err := revision.Parse(name)
	if err != nil {
		return err
	}
	for _, variable := range b.bucket.Env() {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	bucket, err := store.Open(ctx, b.bucket.url(prefix), store.Options{})
	if err != nil {
		return err
	}
	at := &catalog.Catalog{Bucket: bucket}
	now := time.Now()
	var steps []ftl.Event
	for _, step := range []ftl.Step{"fetch", "post-sync", "pre-jump", "un-jump", "activate", "post-jump", "check"} {
		steps = append(steps, ftl.Event{Time: now, Revision: r, Step: step, State: ftl.Success, Seconds: 0.1})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range hosts {
		group.Go(func() error {
			host := fmt.Sprintf("web%05d", i)
			_, err := at.PutReport(ctx, catalog.NodeOf(host), catalog.Report{
				Host: host, Machine: fmt.Sprintf("%016x", i), Version: "1.0.0", Labels: map[string]string{"zone": "a", "role": "web"}, Time: now,
				Every: catalog.Duration(time.Minute), Heartbeat: catalog.Duration(time.Hour), Keep: 5,
				Packages: []catalog.PackageReport{{Status: ftl.Status{Package: r.Package(), Condition: ftl.OK, Current: r}, Steps: steps}},
			})
			return err
		})
	}
	return group.Wait()
}

// staying lets ftl sync --every stay for a while with nothing to do. It syncs each second, ten
// times as often as it should on a host, so that there is something to measure.
func (b *bench) staying(ctx context.Context) ([]line, error) {
	const prefix, begins, stays = "staying", 5 * time.Second, 30 * time.Second
	if err := b.subscribe(ctx, prefix, 1); err != nil {
		return nil, err
	}
	cmd := b.ftl(ctx, b.bucket, prefix, b.host(prefix), "sync", "--every", "1s")
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	time.Sleep(begins)
	before, _, err := used(cmd.Process.Pid)
	time.Sleep(stays)
	after, memory, err2 := used(cmd.Process.Pid)
	_ = cmd.Process.Signal(unix.SIGTERM)
	_ = cmd.Wait() // it was told to end
	return []line{
		{what: "processors for a sync of ftl sync --every with nothing to do (10 ms are 0.1 % of 10 s)", ftl: seconds((after - before) / (stays / time.Second)), goal: atMost(0.01)},
		{what: "memory of ftl sync --every", ftl: mebibytes(memory), goal: atMost(30 << 20)},
	}, errors.Join(err, err2)
}

// used returns the time of processors and the memory that a process has used.
func used(pid int) (time.Duration, int64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	const clock, page = time.Second / 100, 4096 // as Linux tells them
	var fields struct{ user, system, memory int64 }
	words := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for i, to := range map[int]*int64{11: &fields.user, 12: &fields.system, 21: &fields.memory} {
		if _, err := fmt.Sscan(words[i], to); err != nil {
			return 0, 0, err
		}
	}
	return time.Duration(fields.user+fields.system) * clock, fields.memory * page, nil
}
