package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

// harness is what all cases have in common.
type harness struct {
	options
	dir     string // for all that is made, removed at the end
	module  string // the checkout's directory
	only    *regexp.Regexp
	parts   *regexp.Regexp
	stages  map[string]*stage // by scenario
	kinds   []string          // the file systems that can be tried
	report  report
	skipped []string
}

func run(ctx context.Context, opts options) (err error) {
	if os.Geteuid() != 0 {
		return skip("it has to mount file systems, and only root can")
	}
	h := &harness{options: opts, stages: make(map[string]*stage), report: report{log: os.Stderr}}
	if h.only, err = regexp.Compile(opts.run); err != nil {
		return err
	}
	if h.parts, err = regexp.Compile("^(" + opts.parts + ")$"); err != nil {
		return err
	}
	if h.dir, err = os.MkdirTemp(opts.dir, "ftl-crash-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(h.dir)) }()
	if err := h.lookAround(ctx); err != nil || len(h.kinds) == 0 {
		return err
	}
	fmt.Fprintf(os.Stderr, "crash: seed %d, scale %g, %d at once\n", h.seed, h.scale, h.workers)
	began := time.Now()
	if err := h.prepare(ctx); err != nil {
		return err
	}
	err = h.runParts(ctx) // the table tells what was done until then, in any case
	return errors.Join(err, h.conclude(time.Since(began)))
}

// skip is for a machine on which nothing can be tried. That is no failure, but
// nobody shall overlook it.
func skip(why string) error {
	fmt.Fprintf(os.Stderr, "\n*** crash: SKIPPED: %s.\n*** Nothing was tried. Run it as root on a Linux machine with loop devices.\n\n", why)
	return nil
}

// lookAround finds out which file systems can be made and mounted here, and
// installs what is missing where there is an apt-get.
func (h *harness) lookAround(ctx context.Context) error {
	for _, kind := range kinds {
		if _, err := exec.LookPath(kind.make[0]); err != nil {
			fmt.Fprintf(os.Stderr, "crash: there is no %s; installing %s\n", kind.make[0], kind.pack)
			output(ctx, "apt-get", "update", "-q")
			output(ctx, "apt-get", "install", "-qy", "--no-install-recommends", kind.pack)
		}
		v, err := h.newVolume(ctx, "try", kind.name)
		if err == nil {
			err = errors.Join(v.cut(journalFlushed), v.powerUp(), v.close(), os.Remove(v.dir))
		} else {
			os.RemoveAll(filepath.Join(h.dir, "try-"+kind.name))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.skipped = append(h.skipped, fmt.Sprintf("%s (%v)", kind.name, err))
			continue
		}
		h.kinds = append(h.kinds, kind.name)
	}
	if len(h.kinds) == 0 {
		return skip("no file system can be mounted: " + strings.Join(h.skipped, "; "))
	}
	return nil
}

func (h *harness) newVolume(ctx context.Context, name, kind string) (*volume, error) {
	size := int64(0)
	for _, k := range kinds {
		if k.name == kind {
			size = k.size
		}
	}
	return newVolume(ctx, filepath.Join(h.dir, name+"-"+kind), kind, size)
}

// prepare builds ftl, and sets up the scenarios.
func (h *harness) prepare(ctx context.Context) error {
	module, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	h.module = strings.TrimSpace(module)
	ftl := filepath.Join(h.dir, "ftl")
	if err := h.build(ctx, ftl); err != nil {
		return err
	}
	for i := range scenarios {
		s := &stage{ctx: ctx, ftl: ftl, dir: filepath.Join(h.dir, fmt.Sprintf("scenario-%d", i))}
		if err := s.prepare(scenarios[i].host); err != nil {
			return fmt.Errorf("prepare %s: %w", scenarios[i].name, err)
		}
		h.stages[scenarios[i].name] = s
	}
	return nil
}

func (h *harness) build(ctx context.Context, binary string, flags ...string) error {
	args := append([]string{"env", "CGO_ENABLED=0", "go", "-C", h.module, "build", "-o", binary}, flags...)
	_, err := output(ctx, append(args, "./cmd/ftl")...)
	return err
}

func (h *harness) runParts(ctx context.Context) error {
	for _, part := range []struct {
		name string
		jobs func() []job
	}{
		{"order", h.orders}, {"crashes", h.crashes}, {"recoveries", h.recoveries}, {"again", h.crashesAgain}, {"errors", h.errors}, {"full", h.fullDisks}, {"mutations", h.mutations},
	} {
		if !h.parts.MatchString(part.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "crash: %s\n", part.name)
		began := time.Now()
		before, _ := h.report.totals()
		err := h.work(ctx, part.jobs())
		after, failed := h.report.totals()
		fmt.Fprintf(os.Stderr, "crash: %d cases in %v; %d failed so far\n", after-before, time.Since(began).Round(time.Second), failed)
		if err != nil {
			return err
		}
	}
	return nil
}

// job is cases of one kind, which one worker does.
type job func(ctx context.Context, w *worker) error

// work does the jobs, several at once. One that can't be done ends them all.
func (h *harness) work(ctx context.Context, jobs []job) error {
	todo := make(chan job, len(jobs))
	for _, j := range jobs {
		todo <- j
	}
	close(todo)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, h.workers)
	var workers sync.WaitGroup
	for i := range h.workers {
		workers.Go(func() {
			if errs[i] = h.newWorker(i).work(ctx, todo); errs[i] != nil {
				cancel()
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

// worker does one case at a time, on volumes of its own.
type worker struct {
	harness *harness
	name    string
	volumes map[string]*volume
}

func (h *harness) newWorker(n int) *worker {
	return &worker{harness: h, name: fmt.Sprintf("worker-%d", n), volumes: make(map[string]*volume)}
}

// work keeps to one thread, from which all that it starts comes: a tracer waits
// for what its thread has started.
func (w *worker) work(ctx context.Context, todo <-chan job) (err error) {
	runtime.LockOSThread()
	defer func() {
		for _, v := range w.volumes {
			err = errors.Join(err, v.close(), os.Remove(v.dir))
		}
	}()
	for j := range todo {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := j(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// host returns a scenario's host on a volume of this worker.
func (w *worker) host(ctx context.Context, s *scenario, kind string) (*host, error) {
	if w.volumes[kind] == nil {
		v, err := w.harness.newVolume(ctx, w.name, kind)
		if err != nil {
			return nil, err
		}
		w.volumes[kind] = v
	}
	return w.hostOn(ctx, s, w.volumes[kind]), nil
}

func (w *worker) hostOn(ctx context.Context, s *scenario, v *volume) *host {
	of := *w.harness.stages[s.name]
	of.ctx = ctx
	return &host{stage: &of, scenario: s, volume: v, log: filepath.Join(w.harness.dir, w.name+".hooks")}
}

// conclude prints the table, and makes an error of a failure.
func (h *harness) conclude(took time.Duration) error {
	if err := h.report.print(os.Stdout); err != nil {
		return err
	}
	cases, failed := h.report.totals()
	fmt.Printf("\n%d cases, %d failed, in %v; seed %d, scale %g; %d CPUs\n",
		cases, failed, took.Round(time.Second), h.seed, h.scale, runtime.NumCPU())
	for _, what := range h.skipped {
		fmt.Printf("\n*** SKIPPED: %s ***\n", what)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, cases)
	}
	if cases == 0 {
		return errors.New("there was nothing to do: no scenario matches")
	}
	return nil
}
