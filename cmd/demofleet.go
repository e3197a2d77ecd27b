package cmd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/ftl/serve"
	"github.com/rhettg/ftl/ftl/serve/access"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// A demoFleet is hosts that only tell that they do something: each writes the reports and votes
// that a host would, and decides by the same code. They are there to look at, with a rollout that
// some of them halt.
type demoFleet struct {
	bucket *catalog.Catalog
	hosts  []*demoHost
	good   revision.Revision // of my_site
	bad    revision.Revision // of my_site, which half of the hosts don't get to work
}

// A demoHost is one of them.
type demoHost struct {
	name     string
	labels   map[string]string
	packages []*demoPackage
}

// A demoPackage is a package on one of them.
type demoPackage struct {
	catalog.PackageReport
	begun  time.Time // when it began with the entry of the serial; zero for not yet
	joined int       // the wave that it counts itself to, from 1
	voted  rollout.Kind
	took   time.Duration // that it takes to jump
}

const (
	demoHosts = 30
	demoTick  = time.Second
	demoSoak  = 8 * time.Second
)

// serveDemo shows a simulated fleet in a browser until it is told to end.
func (p *Program) serveDemo(ctx context.Context, listen string) error {
	dir, err := os.MkdirTemp("", "ftl-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store, err := store.Open(ctx, "file://"+dir, store.Options{Version: version()})
	if err != nil {
		return err
	}
	fleet := &demoFleet{bucket: &catalog.Catalog{Bucket: store}}
	if err := fleet.prepare(ctx); err != nil {
		return err
	}
	state, err := os.MkdirTemp("", "ftl-demo-state-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	guard, token, err := demoGuard(ctx, state)
	if err != nil {
		return err
	}
	defer guard.Close()
	server, err := serve.New(serve.Config{
		Bucket: fleet.bucket, Name: "demo", Version: version(), Guard: guard, Open: true, Output: true, Log: p.logger("text"),
		Master: func(by string) *master.Master { return &master.Master{Bucket: fleet.bucket, By: by} },
	})
	if err != nil {
		return err
	}
	p.say("%d simulated hosts; a rollout begins now, and halts in a minute", demoHosts)
	p.say("to act there, log in with %s", token)
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return fleet.run(running) })
	group.Go(func() error { return p.listen(running, server, serving{listen: listen}, nil) })
	if err := group.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// demoGuard makes one token, which may do everything.
func demoGuard(ctx context.Context, dir string) (*access.Guard, string, error) {
	file, err := access.OpenFile(dir)
	if err != nil {
		return nil, "", err
	}
	_, token, err := file.Add(ctx, access.Request{Kind: access.Token, Label: "demo", Role: access.Admin, By: "demo"}, time.Now())
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, "", err
	}
	guard, err := access.Open(access.Options{Dir: dir})
	return guard, token, err
}

// prepare spools and blesses what runs, and lets all hosts report.
func (f *demoFleet) prepare(ctx context.Context) error {
	m := &master.Master{Bucket: f.bucket, By: "ci@build1"}
	spool := func(pkg, content, note, commit string) (revision.Revision, error) {
		dir, err := os.MkdirTemp("", "ftl-demo-package-")
		if err != nil {
			return revision.Revision{}, err
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, pkg+".txt")
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return revision.Revision{}, err
		}
		return m.Spool(ctx, file, master.SpoolOptions{Note: note, Labels: catalog.Labels{"commit": commit, "branch": "main"}})
	}
	var api, worker revision.Revision
	var err error
	for _, s := range []struct {
		to                         *revision.Revision
		pkg, content, note, commit string
	}{
		{&f.good, "my_site", "the site", "a faster front page", "8d1f0c2"}, {&api, "api", "the api", "paginate /orders", "41ab9e7"},
		{&worker, "worker", "the worker", "retry failed mails", "c07d2f5"}, {&f.bad, "my_site", "the site, broken", "new login form", "3f9c2ab"},
	} {
		if *s.to, err = spool(s.pkg, s.content, s.note, s.commit); err != nil {
			return err
		}
	}
	bless := &master.Master{Bucket: f.bucket, By: "alice@laptop"}
	for _, r := range []revision.Revision{f.good, api, worker} {
		if err := bless.Jump(ctx, r, master.JumpOptions{Note: "weekly release"}); err != nil {
			return err
		}
	}
	f.addHosts(map[string]revision.Revision{"web": f.good, "api": api, "job": worker})
	for _, h := range f.hosts {
		if err := f.report(ctx, h, time.Now()); err != nil {
			return err
		}
	}
	return bless.Jump(ctx, f.bad, master.JumpOptions{
		Note: "new login form", Fleet: master.Fleet{Members: f.members(), OK: len(f.members())},
		Rollout: &rollout.Options{Waves: []rollout.Step{{Upto: rollout.Amount{Count: 1}}, {Upto: rollout.Amount{Percent: 25}}, {Upto: rollout.Amount{Percent: 60}}}, Soak: demoSoak},
	})
}

// addHosts makes 20 web servers, 6 of an API and 4 for jobs. One of each is not as it should be.
func (f *demoFleet) addHosts(runs map[string]revision.Revision) {
	for i := range demoHosts {
		role, number := "web", i+1
		switch {
		case i >= 26:
			role, number = "job", i-25
		case i >= 20:
			role, number = "api", i-19
		}
		r := runs[role]
		now := time.Now()
		h := &demoHost{name: fmt.Sprintf("%s-%d", role, number), labels: map[string]string{"role": role, "zone": string(rune('a' + i%3))}}
		h.packages = []*demoPackage{{
			PackageReport: catalog.PackageReport{Status: ftl.Status{
				Package: r.Package(), Condition: ftl.OK, Current: r, Active: r, Since: ftl.At(now), LastSync: ftl.At(now),
			}},
			took: time.Second + rand.N(3*time.Second),
		}}
		if h.name == "job-3" {
			p := h.packages[0]
			p.Condition, p.HeldBy, p.HeldSince, p.HeldReason = ftl.Held, "bob", ftl.At(now), "until the export is through"
			p.Message = "held by bob: until the export is through"
		}
		f.hosts = append(f.hosts, h)
	}
}

// members are the web servers, as a plan counts them.
func (f *demoFleet) members() []rollout.Member {
	var members []rollout.Member
	for _, h := range f.hosts {
		if h.labels["role"] == "web" {
			members = append(members, rollout.Member{Host: h.name, Every: demoTick})
		}
	}
	return members
}

// run lets every host do its part, again and again.
func (f *demoFleet) run(ctx context.Context) error {
	for {
		for _, h := range f.hosts {
			for _, p := range h.packages {
				changed, err := f.step(ctx, h, p)
				if err == nil && changed {
					err = f.report(ctx, h, time.Now())
				}
				if err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(demoTick):
		}
	}
}

// step lets a host do the next thing with a package, and reports whether it did.
func (f *demoFleet) step(ctx context.Context, h *demoHost, p *demoPackage) (bool, error) {
	marker, err := f.bucket.Marker(ctx, p.Package)
	if err != nil {
		return false, err
	}
	entry, ok := marker.Active()
	if !ok || p.Condition == ftl.Held {
		return false, nil
	}
	if entry.Serial != p.Serial {
		p.Serial, p.Active, p.begun, p.joined, p.voted = entry.Serial, entry.Revision, time.Time{}, 0, ""
	}
	act := rollout.Decision{Act: rollout.Go}
	if entry.Rollout != nil {
		votes, err := f.bucket.Votes(ctx, p.Package, entry.Serial)
		if err != nil {
			return false, err
		}
		act = entry.Rollout.Count(votes.Votes, time.Now()).Decide(rollout.Host{Name: h.name, Joined: p.joined, Runs: p.Current == entry.Revision})
	}
	return f.follow(ctx, h, p, entry, act)
}

func (f *demoFleet) follow(ctx context.Context, h *demoHost, p *demoPackage, entry catalog.Entry, d rollout.Decision) (bool, error) {
	now := time.Now()
	vote := func(kind rollout.Kind) error {
		p.voted = kind
		if entry.Rollout == nil {
			return nil
		}
		return f.bucket.Vote(ctx, p.Package, entry.Serial, rollout.Vote{Host: h.name, Kind: kind, Wave: d.Wave})
	}
	switch {
	case p.voted == rollout.OK && now.Sub(p.begun) > p.took+demoSoak:
		return false, vote(rollout.Well)
	case p.voted == rollout.Try && now.Sub(p.begun) > p.took:
		works := f.works(h, entry.Revision)
		p.jumped(entry.Revision, works, now)
		if !works {
			return true, vote(rollout.Bad)
		}
		return true, vote(rollout.OK)
	case p.voted != "" || p.Current == entry.Revision && entry.Rollout == nil:
		return false, nil
	case d.Act != rollout.Go:
		was := p.Message
		p.Condition, p.Message = ftl.Pending, "its wave is not open yet"
		if d.Reason == rollout.IsHalted {
			p.Message = "the rollout is halted"
		}
		return was != p.Message, nil
	}
	p.begun, p.joined = now, d.Wave+1
	p.Condition, p.Message = ftl.Behind, "at work: post-jump"
	p.Steps = []ftl.Event{{Time: now, Package: p.Package, Revision: entry.Revision, Step: ftl.PostJump, State: ftl.Running}}
	return true, vote(rollout.Try)
}

// works tells whether a revision works on a host: the broken one does where nobody looks first.
func (f *demoFleet) works(h *demoHost, r revision.Revision) bool {
	return r != f.bad || rollout.PlaceOf(r, h.name)%5 > 1 || f.first(h)
}

// first reports whether a host comes first.
func (f *demoFleet) first(h *demoHost) bool {
	for _, other := range f.members() {
		if rollout.PlaceOf(f.bad, other.Host) < rollout.PlaceOf(f.bad, h.name) {
			return false
		}
	}
	return true
}

// jumped notes how a jump went, with the steps that a host would tell of.
func (p *demoPackage) jumped(to revision.Revision, works bool, now time.Time) {
	at := p.begun
	p.Steps = nil
	add := func(step ftl.Step, state ftl.State, took time.Duration, message string) {
		at = at.Add(took)
		p.Steps = append(p.Steps, ftl.Event{Time: at, Package: p.Package, Revision: to, Step: step, State: state, Seconds: took.Seconds(), Message: message})
	}
	add(ftl.Fetch, ftl.Success, p.took/8, "")
	add(ftl.Unpack, ftl.Success, p.took/20, "")
	add(ftl.PreJump, ftl.Success, p.took/10, "")
	add(ftl.Flip, ftl.Success, time.Millisecond, "")
	add(ftl.PostJump, ftl.Success, p.took/3, "")
	p.Jump = &catalog.JumpReport{To: to, State: ftl.Success, Took: catalog.Duration(p.took), Time: now, Reason: "sync"}
	p.Since, p.LastSync, p.Decisions = ftl.At(now), ftl.At(now), nil
	if works {
		add(ftl.Check, ftl.Success, p.took/4, "")
		p.Previous, p.Current, p.Condition, p.Message = p.Current, to, ftl.OK, ""
		return
	}
	add(ftl.Check, ftl.Failure, p.took/3, "exit 1")
	add(ftl.Revert, ftl.Success, p.took/20, "")
	p.Jump.State = ftl.Failure
	p.Condition, p.Message = ftl.Rejected, fmt.Sprintf("the check of %s failed: exit 1", to)
	p.Decisions = []ftl.Decision{
		{Package: p.Package, About: "rejected", Condition: ftl.Rejected, First: true, Since: p.Since, Message: p.Message,
			Output: "checking http://127.0.0.1:8080/health\nGET /health: 503 Service Unavailable\nlogin: listen tcp :8080: bind: address in use\n", Hint: "to try it again: ftl jump --master --again " + to.String()},
		{Package: p.Package, About: "held", Condition: ftl.OK, Message: "nobody holds it"},
		{Package: p.Package, About: "bucket", Condition: ftl.OK, Message: "the bucket was read"},
	}
}

// report writes what a host would.
func (f *demoFleet) report(ctx context.Context, h *demoHost, now time.Time) error {
	r := catalog.Report{
		Host: h.name, Machine: h.name, Version: version(), Labels: h.labels, Time: now, Every: catalog.Duration(demoTick), Heartbeat: catalog.Duration(time.Hour), Keep: 5,
	}
	for _, p := range h.packages {
		r.Packages = append(r.Packages, p.PackageReport)
	}
	_, err := f.bucket.PutReport(ctx, catalog.NodeOf(h.name), r)
	return err
}
