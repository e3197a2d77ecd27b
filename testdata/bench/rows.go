package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// group is what is measured together, as it uses the same runs.
type group struct {
	name    string
	measure func(b *bench, ctx context.Context) ([]line, error)
}

var groups = []group{
	{"app", (*bench).app},
	{"service", (*bench).service},
	{"huge", (*bench).huge},
	{"tiny", (*bench).tiny},
	{"bytes", (*bench).bytes},
	{"near", (*bench).near},
	{"steady", (*bench).steady},
	{"slow", (*bench).slow},
	{"far", (*bench).far},
	{"spooling", (*bench).spooling},
	{"idle", (*bench).idle},
	{"listing", (*bench).listing},
	{"jumping", (*bench).jumping},
	{"fleet", (*bench).fleet},
	{"staying", (*bench).staying},
}

func groupNames() string {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	return strings.Join(names, ", ")
}

// The link of the goals on small changes, and the one on full syncs.
func narrow() *link { return &link{roundTrip: 20 * time.Millisecond, total: 100e6 / 8} }
func wide() *link   { return &link{roundTrip: 20 * time.Millisecond, perConnection: 50e6} }

const briefly = 20 // runs at least of what takes milliseconds

// syncs is a sync into a new host as a contender. Where it has a revision, that one is active
// before.
func (b *bench) syncs(name string, at bucket, prefix, pkg, before string) contender {
	return contender{
		name: name,
		prepare: func(ctx context.Context, dir string) error {
			if err := os.Mkdir(filepath.Join(dir, pkg), 0o755); err != nil || before == "" {
				return err
			}
			_, err := output(b.ftl(ctx, b.bucket, prefix, dir, "jump", before))
			return err
		},
		command: func(ctx context.Context, dir string) *exec.Cmd { return b.ftl(ctx, at, prefix, dir, "sync") },
	}
}

// noteSyncs keeps the most memory that a sync took.
func (b *bench) noteSyncs(samples ...[]sample) {
	for _, of := range samples {
		for _, s := range of {
			b.peak = max(b.peak, s.peak)
		}
	}
}

func (b *bench) app(ctx context.Context) ([]line, error) {
	return b.full(ctx, "app", "W1", b.trees.base, b.trees.baseTarball, 0.40)
}

func (b *bench) service(ctx context.Context) ([]line, error) {
	return b.full(ctx, "service", "W2", b.trees.service, b.trees.serviceTarball, 0.20)
}

// full is a full sync of a tree, beside what unpacks a tgz of it.
func (b *bench) full(ctx context.Context, pkg, label, tree, tarball string, limit float64) ([]line, error) {
	object := pkg + "-peers/" + filepath.Base(tarball)
	if err := b.put(ctx, tarball, object); err != nil {
		return nil, err
	}
	if _, err := b.spool(ctx, pkg+"-full", tree); err != nil {
		return nil, err
	}
	peers := b.tools.installed(catTar, catIgzip, rcloneIt)
	contenders := []contender{b.syncs("ftl sync", b.bucket, pkg+"-full", pkg, "")}
	for _, p := range peers {
		contenders = append(contenders, b.unpacks(p, b.bucket, object))
	}
	samples, err := b.contest(ctx, contenders...)
	if err != nil {
		return nil, err
	}
	b.noteSyncs(samples[0])
	files, size, err := shape(tree)
	if err != nil {
		return nil, err
	}
	packed, err := os.Stat(tarball)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("full sync of %s (%d files, %d MB, %d MB as tgz)", label, files, size/1e6, packed.Size()/1e6)
	var lines []line
	for i, p := range peers {
		lines = append(lines, versus(what, samples[0], p.name, samples[1+i]))
		what = "full sync of " + label
	}
	lines[0].goal = ratioOf(limit)
	return lines, nil
}

func versus(what string, ftl []sample, peer string, against []sample) line {
	return line{what: what, ftl: seconds(median(ftl)), peer: peer, against: seconds(median(against)), ratio: ratio(ftl, against)}
}

// huge is one file of 4 GiB, which is the service's binary over and over.
func (b *bench) huge(ctx context.Context) ([]line, error) {
	dir := filepath.Join(b.dir, "huge")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := repeat(filepath.Join(b.trees.service, "program"), filepath.Join(dir, "file"), 4<<30); err != nil {
		return nil, err
	}
	if _, err := b.spool(ctx, "huge", dir); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	s, err := b.once(ctx, b.syncs("ftl sync", b.bucket, "huge", "huge", ""))
	if err != nil {
		return nil, err
	}
	b.noteSyncs([]sample{s})
	return []line{
		{what: "peak memory of a sync of one 4 GiB file (one run)", ftl: mebibytes(s.peak), goal: atMost(64 << 20)},
		{what: "that sync", ftl: seconds(s.wall)},
	}, os.RemoveAll(b.bucket.path("huge"))
}

func repeat(from, to string, size int64) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	for left := size; left > 0 && err == nil; {
		var n int64
		if _, err = in.Seek(0, io.SeekStart); err == nil {
			n, err = io.Copy(out, io.LimitReader(in, left))
		}
		left -= n
	}
	return errors.Join(err, out.Close())
}

// step is the way from one version of the application to the next.
type step struct {
	prefix string // in the bucket, of both
	label  string
	bytes  float64 // at most, from the bucket
	narrow float64 // of a full sync's time over the narrow link, at most
}

var (
	changed  = step{"changed", fmt.Sprintf("%d changed files", changedFiles), 2.4e6, 0.15}
	upgraded = step{"upgraded", "upgrade of a dependency and the program", 62e6, 0.70}
)

// spoolStep spools both versions, unless that was done, and returns the older revision and the
// newer one.
func (b *bench) spoolStep(ctx context.Context, s step) (older, newer string, err error) {
	if _, done := b.steps[s]; !done {
		next := map[step]string{changed: b.trees.changed, upgraded: b.trees.upgraded}[s]
		revisions, err := b.spool(ctx, s.prefix, b.trees.base, next)
		if err != nil {
			return "", "", err
		}
		b.steps[s] = [2]string(revisions)
	}
	return b.steps[s][0], b.steps[s][1], nil
}

// bytes is what the small steps fetch, which is the same on every machine.
func (b *bench) bytes(ctx context.Context) (lines []line, err error) {
	for _, s := range []step{changed, upgraded} {
		older, newer, err := b.spoolStep(ctx, s)
		if err != nil {
			return nil, err
		}
		counted, whole := new(link), new(link)
		for l, before := range map[*link]string{counted: older, whole: ""} {
			err := through(ctx, l, b.bucket.address(), func(ctx context.Context, address string) error {
				run, err := b.once(ctx, b.syncs("ftl sync", b.bucket.at(address), s.prefix, "app", before))
				b.noteSyncs([]sample{run})
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		manifest, err := os.Stat(b.bucket.path(s.prefix + "/" + newer + ".ftl"))
		if err != nil {
			return nil, err
		}
		fetched, all := counted.received.Load(), whole.received.Load()
		lines = append(lines,
			line{what: "W1, " + s.label + ": from the bucket, everything counted", ftl: megabytes(fetched), peer: "a full sync",
				against: megabytes(all), ratio: float64(fetched) / float64(all), goal: atMost(s.bytes)},
			line{what: "of that the manifest with its index", ftl: megabytes(manifest.Size()), goal: atMost(1.5e6)},
			line{what: "requests of that sync", ftl: number(counted.requests.Load()), peer: "a full sync", against: number(whole.requests.Load())})
	}
	return lines, nil
}

// near is the small steps on the local disk, where the server is on the same machine.
func (b *bench) near(ctx context.Context) ([]line, error) {
	return b.small(ctx, ", on the local disk", b.bucket, func(step) float64 { return 0.8 })
}

// slow is the small steps over the narrow link.
func (b *bench) slow(ctx context.Context) (lines []line, err error) {
	err = through(ctx, narrow(), b.bucket.address(), func(ctx context.Context, address string) (err error) {
		lines, err = b.small(ctx, ", over 100 Mbit/s and 20 ms", b.bucket.at(address), func(s step) float64 { return s.narrow })
		return err
	})
	return lines, err
}

// small is a sync of the next revision by a host that has the one before, beside a full sync of it.
func (b *bench) small(ctx context.Context, where string, at bucket, limit func(step) float64) (lines []line, err error) {
	for _, s := range []step{changed, upgraded} {
		older, _, err := b.spoolStep(ctx, s)
		if err != nil {
			return nil, err
		}
		samples, err := b.contest(ctx,
			b.syncs("ftl sync", at, s.prefix, "app", older),
			b.syncs("ftl sync of all", at, s.prefix, "app", ""))
		if err != nil {
			return nil, err
		}
		b.noteSyncs(samples...)
		l := versus("W1, "+s.label+where, samples[0], "a full sync", samples[1])
		l.goal = ratioOf(limit(s))
		lines = append(lines, l)
	}
	return lines, nil
}

// steady is a sync of the next revision by a host that keeps as many as it may have: an older one
// is to go, and nothing of the host is new to it but what has changed.
func (b *bench) steady(ctx context.Context) (lines []line, err error) {
	between := filepath.Join(b.dir, "between", "app") // so that the oldest is neither active nor previous
	if err := os.MkdirAll(between, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(between, "file"), []byte("small"), 0o644); err != nil {
		return nil, err
	}
	for _, of := range []struct {
		step
		next string
		goal float64
	}{{changed, b.trees.changed, 0.30}, {upgraded, b.trees.upgraded, 0.50}} {
		prefix := "steady-" + of.prefix
		revisions, err := b.spool(ctx, prefix, b.trees.base, between, b.trees.base, of.next)
		if err != nil {
			return nil, err
		}
		sync := func(name string, before ...string) contender {
			return contender{
				name: name,
				prepare: func(ctx context.Context, dir string) error {
					err := os.Mkdir(filepath.Join(dir, "app"), 0o755)
					for _, r := range before {
						if err == nil {
							_, err = output(b.ftl(ctx, b.bucket, prefix, dir, "jump", r))
						}
					}
					return err
				},
				command: func(ctx context.Context, dir string) *exec.Cmd { return b.ftl(ctx, b.bucket, prefix, dir, "sync") },
			}
		}
		samples, err := b.contest(ctx, sync("ftl sync, steady", revisions[:3]...), sync("ftl sync of all"))
		if err != nil {
			return nil, err
		}
		b.noteSyncs(samples...)
		l := versus("W1, "+of.label+", in the steady state", samples[0], "a full sync", samples[1])
		l.goal = ratioOf(of.goal)
		lines = append(lines, l)
	}
	return lines, nil
}

// far is a full sync over a link where one connection is not enough.
func (b *bench) far(ctx context.Context) (lines []line, err error) {
	object := "far-peers/app.tgz"
	if err := b.put(ctx, b.trees.baseTarball, object); err != nil {
		return nil, err
	}
	if _, err := b.spool(ctx, "far", b.trees.base); err != nil {
		return nil, err
	}
	err = through(ctx, wide(), b.bucket.address(), func(ctx context.Context, address string) error {
		at := b.bucket.at(address)
		samples, err := b.contest(ctx, b.syncs("ftl sync", at, "far", "app", ""), b.unpacks(copyTar, at, object), b.unpacks(catTar, at, object))
		if err != nil {
			return err
		}
		b.noteSyncs(samples[0])
		const what = "full sync of W1 over 20 ms and 50 MB/s per connection"
		lines = append(lines, versus(what, samples[0], copyTar.name, samples[1]), versus(what, samples[0], catTar.name, samples[2]))
		lines[0].goal = ratioOf(0.5)
		return nil
	})
	return lines, err
}

func (b *bench) spooling(ctx context.Context) (lines []line, err error) {
	contenders := []contender{{
		name: "ftl spool",
		command: func(ctx context.Context, dir string) *exec.Cmd {
			return b.ftl(ctx, b.bucket, filepath.Base(dir), dir, "spool", b.trees.base)
		},
		clean: func(dir string) error { return os.RemoveAll(b.bucket.path(filepath.Base(dir))) },
	}}
	peers := b.tools.installed(tarPipe, pigzPipe)
	for _, p := range peers {
		contenders = append(contenders, contender{
			name: p.name,
			command: func(ctx context.Context, dir string) *exec.Cmd {
				return b.command(ctx, p, b.bucket, filepath.Base(dir)+"/app.tgz", b.trees.base, dir)
			},
			clean: func(dir string) error { return os.RemoveAll(b.bucket.path(filepath.Base(dir))) },
		})
	}
	samples, err := b.contest(ctx, contenders...)
	if err != nil {
		return nil, err
	}
	for i, p := range peers {
		lines = append(lines, versus("ftl spool DIR of W1", samples[0], p.name, samples[1+i]))
	}
	lines[0].goal = ratioOf(0.45)
	return append(lines, line{what: "peak memory of that spool", ftl: mebibytes(samples[0][0].peak)}), nil
}

// idle is a sync with nothing to do.
func (b *bench) idle(ctx context.Context) ([]line, error) {
	if err := errors.Join(b.subscribe(ctx, "one", 1), b.subscribe(ctx, "many", 200)); err != nil {
		return nil, err
	}
	sync := func(at bucket, prefix string) contender {
		return contender{name: "ftl sync of " + prefix + " at rest", command: func(ctx context.Context, _ string) *exec.Cmd {
			return b.ftl(ctx, at, prefix, b.host(prefix), "sync", "--cron")
		}}
	}
	samples, err := b.rounds(ctx, max(b.count, briefly), sync(b.bucket, "one"), sync(b.bucket, "many"),
		contender{name: "ftl version", command: func(ctx context.Context, dir string) *exec.Cmd {
			return b.ftl(ctx, b.bucket, "", dir, "version")
		}}, b.unpacks(list, b.bucket, "one/"))
	if err != nil {
		return nil, err
	}
	b.noteSyncs(samples[:2]...)
	counted := new(link)
	err = through(ctx, counted, b.bucket.address(), func(ctx context.Context, address string) error {
		_, err := b.once(ctx, sync(b.bucket.at(address), "one"))
		return err
	})
	return []line{
		{what: "sync with nothing to do, one package", ftl: seconds(median(samples[0])), peer: list.name, against: seconds(median(samples[3])),
			ratio: ratio(samples[0], samples[3]), goal: atMost(0.025)},
		{what: "requests of that sync", ftl: number(counted.requests.Load()), goal: atMost(1)},
		{what: "ftl version, which does nothing", ftl: seconds(median(samples[2]))},
		{what: "sync with nothing to do, 200 packages", ftl: seconds(median(samples[1])), goal: atMost(0.02)},
	}, err
}

// host is a directory that stays for all runs of the ftl that is at work.
func (b *bench) host(name string) string {
	if b.program == b.former {
		name += "-former"
	}
	return filepath.Join(b.dir, "host-"+name)
}

// subscribe makes a host that is in sync with so many small packages.
func (b *bench) subscribe(ctx context.Context, prefix string, packages int) error {
	files := filepath.Join(b.dir, "files-"+prefix)
	for i := range packages {
		name := fmt.Sprintf("package%d", i)
		file := filepath.Join(files, name)
		if err := errors.Join(os.MkdirAll(files, 0o755), os.WriteFile(file, []byte(name), 0o644)); err != nil {
			return err
		}
		revisions, err := b.spool(ctx, prefix, file)
		if err != nil {
			return err
		}
		if _, err := output(b.ftl(ctx, b.bucket, prefix, "", "jump", "--master", revisions[0])); err != nil {
			return err
		}
		for range b.programs {
			if err := os.MkdirAll(filepath.Join(b.host(prefix), name), 0o755); err != nil {
				return err
			}
		}
	}
	for range b.programs {
		if _, err := output(b.ftl(ctx, b.bucket, prefix, b.host(prefix), "sync")); err != nil {
			return err
		}
	}
	return nil
}

// listing lists many revisions. They are put on the server's disk as they are, since nobody waits
// for 10,000 spools.
func (b *bench) listing(ctx context.Context) ([]line, error) {
	const revisions = 10_000
	if err := os.Mkdir(b.bucket.path("listed"), 0o755); err != nil {
		return nil, err
	}
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range revisions {
		at := day.Add(time.Duration(i) * 15 * time.Minute)
		second := at.Hour()*3600 + at.Minute()*60
		name := fmt.Sprintf("app.%s%05dAa", at.Format("20060102"), second)
		for _, extension := range []string{".tar.zst", ".ftl"} {
			if err := os.WriteFile(b.bucket.path("listed/"+name+extension), []byte(name), 0o644); err != nil {
				return nil, err
			}
		}
	}
	ls := b.ftl(ctx, b.bucket, "listed", "", "list", "--master", "app")
	if out, err := output(ls); err != nil || strings.Count(out, "\n") != revisions {
		return nil, fmt.Errorf("list: %d revisions, %w", strings.Count(out, "\n"), err)
	}
	lines, err := b.lists(ctx, "ftl list --master of 10,000 revisions", b.bucket, atMost(0.3))
	if err != nil {
		return nil, err
	}
	err = through(ctx, &link{roundTrip: 20 * time.Millisecond}, b.bucket.address(), func(ctx context.Context, address string) error {
		far, err := b.lists(ctx, "ftl list --master of 10,000 revisions over 20 ms", b.bucket.at(address), ratioOf(0.4))
		lines = append(lines, far...)
		return err
	})
	return lines, errors.Join(err, os.RemoveAll(b.bucket.path("listed")))
}

// lists compares one way to list with another.
func (b *bench) lists(ctx context.Context, what string, at bucket, limit goal) ([]line, error) {
	samples, err := b.contest(ctx,
		contender{name: "ftl list", command: func(ctx context.Context, _ string) *exec.Cmd {
			return b.ftl(ctx, at, "listed", "", "list", "--master", "app")
		}}, b.unpacks(list, at, "listed/"))
	if err != nil {
		return nil, err
	}
	l := versus(what, samples[0], list.name, samples[1])
	l.goal = limit
	return []line{l}, nil
}

// jumping goes from one revision to the other and back.
func (b *bench) jumping(ctx context.Context) ([]line, error) {
	tree := filepath.Join(b.dir, "jumped")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return nil, err
	}
	var revisions []string
	for _, content := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(tree, "file"), []byte(content), 0o644); err != nil {
			return nil, err
		}
		spooled, err := b.spool(ctx, "jumping", tree)
		if err != nil {
			return nil, err
		}
		for range b.programs {
			root := b.host("jumping")
			if err := os.MkdirAll(filepath.Join(root, "jumped"), 0o755); err != nil {
				return nil, err
			}
			if _, err := output(b.ftl(ctx, b.bucket, "jumping", root, "jump", spooled[0])); err != nil {
				return nil, err
			}
		}
		revisions = append(revisions, spooled...)
	}
	turns := map[string]int{}
	samples, err := b.rounds(ctx, max(b.count, briefly),
		contender{name: "ftl jump", command: func(ctx context.Context, _ string) *exec.Cmd {
			turns[b.program]++
			return b.ftl(ctx, b.bucket, "jumping", b.host("jumping"), "jump", revisions[turns[b.program]%2])
		}},
		b.unpacks(flip, b.bucket, ""))
	if err != nil {
		return nil, err
	}
	l := versus("ftl jump without hooks, durable", samples[0], flip.name, samples[1])
	l.goal = atMost(0.030)
	return []line{l}, nil
}
