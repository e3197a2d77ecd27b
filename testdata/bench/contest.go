package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// contender is a command in a contest.
type contender struct {
	name string
	// prepare makes what the command needs, in a directory that is new and its own. It may be nil.
	prepare func(ctx context.Context, dir string) error
	// command works in that directory. What it does is on disk when it ends.
	command func(ctx context.Context, dir string) *exec.Cmd
	// clean removes what the command made elsewhere. It may be nil.
	clean func(dir string) error
}

// sample is one run of a command.
type sample struct {
	wall time.Duration
	cpu  time.Duration // of all its processes, in user and in kernel mode
	peak int64         // bytes of memory, of the largest of its processes
}

// contest runs commands in turn, A B C A B C, each time in a directory of its own. The first round
// doesn't count.
func (b *bench) contest(ctx context.Context, contenders ...contender) ([][]sample, error) {
	return b.rounds(ctx, b.count, contenders...)
}

// rounds also runs the commands of ftl with the former one, where there is one, each directly after
// this tree's.
func (b *bench) rounds(ctx context.Context, count int, contenders ...contender) ([][]sample, error) {
	samples := map[string][][]sample{}
	for program := range b.programs {
		samples[program] = make([][]sample, len(contenders))
	}
	for round := range count + 1 {
		for i, c := range contenders {
			for program := range b.programs {
				if program == b.former && !c.isFTL() {
					continue
				}
				s, err := b.once(ctx, c)
				if err != nil {
					return nil, fmt.Errorf("%s (%s): %w", c.name, program, err)
				}
				if b.verbose {
					progress(fmt.Sprintf("%8.3f s  %8.3f s of processors  %s  %s (%s)",
						s.wall.Seconds(), s.cpu.Seconds(), mebibytes(s.peak).text, c.name, program))
				}
				if round > 0 {
					samples[program][i] = append(samples[program][i], s)
				}
			}
		}
	}
	for i, c := range contenders {
		if b.former != "" && c.isFTL() {
			l := versus(b.group+": "+c.name, samples[b.tools.ftl][i], "the former ftl", samples[b.former][i])
			b.beside = append(b.beside, l)
		}
	}
	return samples[b.tools.ftl], nil
}

// programs is an iterator over this tree's ftl and the former one, if there is one. Each is the one
// at work while it is its turn.
func (b *bench) programs(yield func(program string) bool) {
	defer func() { b.program = b.tools.ftl }()
	for _, program := range []string{b.tools.ftl, b.former} {
		if b.program = program; program != "" && !yield(program) {
			return
		}
	}
}

// isFTL tells a command of ftl from that of a peer.
func (c contender) isFTL() bool { return strings.HasPrefix(c.name, "ftl ") }

// once runs a command once.
func (b *bench) once(ctx context.Context, c contender) (s sample, err error) {
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return s, err
	}
	defer func() {
		if c.clean != nil {
			err = errors.Join(err, c.clean(dir))
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	if c.prepare != nil {
		if err := c.prepare(ctx, dir); err != nil {
			return s, err
		}
	}
	if err := settle(dir); err != nil {
		return s, err
	}
	return timed(c.command(ctx, dir))
}

// settle writes out what earlier runs have left to write, so that nobody pays for somebody else.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// timed runs a command from start to end.
func timed(cmd *exec.Cmd) (sample, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(start)}
	if err != nil {
		return s, fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, stderr.Bytes())
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	s.peak = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	return s, nil
}

func median(samples []sample) time.Duration {
	walls := make([]time.Duration, len(samples))
	for i, s := range samples {
		walls[i] = s.wall
	}
	return middle(walls)
}

// ratio is the median of what a takes for each second of b, pair by pair: of two runs that follow
// each other, both see the same machine.
func ratio(a, b []sample) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i].wall.Seconds() / b[i].wall.Seconds()
	}
	return middle(ratios)
}

// middle returns the median, of an even number the larger one.
func middle[T int64 | float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
