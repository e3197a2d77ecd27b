// Package soak stresses the whole program: the real binary, faults between it and a real S3 server,
// many processes on one tree, signals at any moment, hooks that behave badly. One variable sets how
// long it takes; see testdata/README.md.
package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// scale multiplies the number of cases, where that can be chosen; 1 is what CI does.
var scale = number("FTL_TEST_SCALE", 1)

// seed makes a run's random choices. It is printed, and can be given.
var seed = uint64(number("FTL_TEST_SEED", int(time.Now().UnixNano()%1_000_000)))

func number(variable string, fallback int) int {
	text := os.Getenv(variable)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		fmt.Fprintf(os.Stderr, "%s is %q, want a number from 1\n", variable, text)
		os.Exit(2)
	}
	return n
}

// random returns the source of a case's choices, by the run's seed.
func random(n int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(n))) }

// binary is the ftl under test. It is impatient: see store/limits_impatient.go.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ftl-soak-")
	if err == nil {
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "ftl")
		err = build(binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	syscall.Umask(0o022)
	fmt.Printf("FTL_TEST_SCALE=%d FTL_TEST_SEED=%d\n", scale, seed)
	code := m.Run()
	results.print()
	return code
}

// build makes the program, with the race detector where the tests have it.
func build(path string) error {
	args := []string{"build", "-tags", "impatient", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	command := exec.Command("go", append(args, "github.com/rhettg/ftl/cmd/ftl")...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build ftl: %w\n%s", err, out)
	}
	return nil
}

// table counts the cases of each test.
type table struct {
	mu    sync.Mutex
	names []string
	rows  map[string]*row
}

type row struct {
	cases, failed int
	first, last   time.Time
}

var results = table{rows: map[string]*row{}}

// add counts a case.
func (x *table) add(name string, started time.Time, failed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.rows[name]
	if r == nil {
		r = &row{first: started}
		x.rows[name], x.names = r, append(x.names, name)
	}
	r.cases++
	if failed {
		r.failed++
	}
	r.last = time.Now()
}

func (x *table) print() {
	x.mu.Lock()
	defer x.mu.Unlock()
	fmt.Printf("\n%-52s %8s %8s %8s\n", "soak", "cases", "failed", "seconds")
	total := row{}
	for _, name := range x.names {
		r := x.rows[name]
		fmt.Printf("%-52s %8d %8d %8.0f\n", name, r.cases, r.failed, r.last.Sub(r.first).Seconds())
		total.cases, total.failed = total.cases+r.cases, total.failed+r.failed
	}
	fmt.Printf("%-52s %8d %8d\n", "all", total.cases, total.failed)
}

// check is one case. It reports what is wrong without ending the test.
type check struct {
	testing.TB
	name   string
	failed bool
}

func (c *check) errorf(format string, args ...any) {
	c.Helper()
	c.failed = true
	c.Errorf("%s: %s", c.name, fmt.Sprintf(format, args...))
}

// errGiveUp ends a case whose preparation failed.
var errGiveUp = errors.New("give up")

func (c *check) must(err error) {
	if err != nil {
		c.Helper()
		c.errorf("%v", err)
		panic(errGiveUp)
	}
}

// one runs a case and counts it in a row of the table.
func one(t testing.TB, row, name string, f func(*check)) {
	c := &check{TB: t, name: name}
	started := time.Now()
	defer func() {
		if r := recover(); r != nil && r != errGiveUp {
			panic(r)
		}
		results.add(row, started, c.failed)
	}()
	f(c)
}

// several runs n cases, so many at a time.
func several(t testing.TB, row string, n, width int, f func(c *check, i int)) {
	slots := make(chan struct{}, width)
	var wait sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			one(t, row, fmt.Sprintf("%s %d", row, i), func(c *check) { f(c, i) })
		})
	}
	wait.Wait()
}

// limit is how long any one command may take before it counts as hung.
const limit = 60 * time.Second

// ended is how a command ended.
type ended struct {
	code           int // as a shell shows it: 128+n after signal n
	stdout, stderr string
	took           time.Duration
	peak           int64 // bytes of memory; not below this program's own, which starts it
}

func (e ended) String() string {
	return fmt.Sprintf("exit code %d after %v\n%s%s", e.code, e.took.Round(time.Millisecond), e.stdout, e.stderr)
}

// endOf describes a command that was waited for.
func endOf(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// execute runs a command to its end.
func (c *check) execute(env []string, args ...string) ended {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env = env
	command.WaitDelay = time.Second
	var stdout, stderr buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	started := time.Now()
	err := command.Run()
	if command.ProcessState == nil {
		c.must(err)
	}
	if ctx.Err() != nil {
		c.errorf("%q hung for %v\n%s", args, limit, stderr.String())
	}
	e := ended{code: endOf(command.ProcessState), stdout: stdout.String(), stderr: stderr.String(), took: time.Since(started)}
	if usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
		e.peak = usage.Maxrss << 10
	}
	return e
}

// ownPeak is the most memory that this program has held, in bytes.
func (c *check) ownPeak() int64 {
	c.Helper()
	var usage syscall.Rusage
	c.must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Maxrss << 10
}

// buffer keeps the beginning of what is written to it.
type buffer struct{ text []byte }

func (b *buffer) Write(p []byte) (int, error) {
	if len(b.text) < 64<<10 {
		b.text = append(b.text, p...)
	}
	return len(p), nil
}

func (b *buffer) String() string { return string(b.text) }
