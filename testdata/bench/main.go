// Bench measures FTL beside what else unpacks a tarball out of a bucket, on one machine, in one
// run, and prints a table. README.md says what is measured, and how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	var opts options
	flag.StringVar(&opts.only, "run", "", "measure only the groups of rows that `regexp` matches: "+groupNames())
	flag.IntVar(&opts.count, "count", 5, "how often each command runs, after one run that does not count")
	flag.StringVar(&opts.dir, "dir", "", "the `directory` to work in, on the file system to measure (the default for temporary files)")
	flag.StringVar(&opts.cache, "cache", defaultCache(), "where the trees and the peers stay for the next run")
	flag.StringVar(&opts.former, "former", "", "another ftl, the `program` that each command of ftl runs with as well")
	flag.BoolVar(&opts.verbose, "v", false, "say what each run took")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, opts)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	only  string
	count int
	dir   string
	cache string

	former  string
	verbose bool
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "ftl-bench")
}

// bench is what the groups of rows have in common.
type bench struct {
	dir    string // for all that is made, removed at the end
	count  int
	trees  trees
	tools  tools
	bucket bucket
	steps  map[step][2]string // the revisions of those that were spooled
	peak   int64              // bytes of memory, of any sync

	group   string // of rows, that is measured
	program string // the ftl that is at work: this tree's, or the former one
	former  string // "" for none
	beside  []line // of the two, command by command

	verbose bool
}

func run(ctx context.Context, opts options) (err error) {
	only, err := regexp.Compile(opts.only)
	if err != nil {
		return err
	}
	if opts.count < 1 {
		return errors.New("-count is at least 1")
	}
	if opts.cache, err = filepath.Abs(opts.cache); err != nil {
		return err
	}
	if opts.former != "" {
		if opts.former, err = filepath.Abs(opts.former); err != nil {
			return err
		}
	}
	b := &bench{count: opts.count, former: opts.former, verbose: opts.verbose, steps: map[step][2]string{}}
	if b.dir, err = os.MkdirTemp(opts.dir, "ftl-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return err
	}
	// What the server and the commands make goes there as well.
	if err := os.Setenv("TMPDIR", b.dir); err != nil {
		return err
	}

	progress("the trees")
	if b.trees, err = makeTrees(ctx, opts.cache); err != nil {
		return fmt.Errorf("make the trees: %w", err)
	}
	progress("the programs")
	if b.tools, err = findTools(ctx, opts.cache, b.dir); err != nil {
		return err
	}
	b.program = b.tools.ftl
	stop, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	table := table{machine: describeMachine(b.dir), count: b.count}
	for _, g := range groups {
		if !only.MatchString(g.name) {
			continue
		}
		progress(g.name)
		b.group = g.name
		lines, gerr := g.measure(b, ctx)
		table.lines = append(append(table.lines, lines...), b.beside...)
		b.beside = nil
		if gerr != nil { // what was measured is worth printing
			err = fmt.Errorf("%s: %w", g.name, gerr)
			break
		}
	}
	if b.peak > 0 {
		table.lines = append(table.lines, line{what: "peak memory of any sync above", ftl: mebibytes(b.peak), goal: atMost(64 << 20)})
	}
	table.missing = b.tools.missing
	table.took = time.Since(began)
	return errors.Join(err, table.print(os.Stdout))
}

var began = time.Now()

// progress says on stderr what is at work.
func progress(what string) {
	fmt.Fprintf(os.Stderr, "%5.0fs  %s\n", time.Since(began).Seconds(), what)
}
