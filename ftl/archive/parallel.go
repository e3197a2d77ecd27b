package archive

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// workers is how many goroutines inflate and write, or copy.
func workers() int { return runtime.GOMAXPROCS(0) }

// inParallel runs work in several goroutines, for n elements in all. Each goroutine calls next for
// a batch of neighbours, which mostly lie in one directory, until the range is empty.
func inParallel(ctx context.Context, n int, work func(next func() (from, to int, err error)) error) error {
	const batch = 64
	var taken atomic.Int64
	next := func() (from, to int, err error) {
		end := int(taken.Add(batch))
		return min(end-batch, n), min(end, n), context.Cause(ctx)
	}
	var group errgroup.Group
	for range min(workers(), n/batch+1) {
		group.Go(func() error { return work(next) })
	}
	return group.Wait()
}

// eachDir calls do for n directories of which none needs another one, several at once, with a disk
// for each goroutine.
func (r *restoring) eachDir(ctx context.Context, n int, do func(d *disk, i int) error) error {
	return inParallel(ctx, n, func(next func() (from, to int, err error)) error {
		d := r.disk()
		defer d.close()
		for {
			from, to, err := next()
			if from == to || err != nil {
				return err
			}
			for i := from; i < to; i++ {
				if err := do(d, i); err != nil {
					return err
				}
			}
		}
	})
}

// byDepth groups directories by depth, each group in the order of their names.
func byDepth(dirs map[string]bool) (levels [][]string) {
	for name := range dirs {
		depth := strings.Count(name, "/")
		for len(levels) <= depth {
			levels = append(levels, nil)
		}
		levels[depth] = append(levels[depth], name)
	}
	for _, level := range levels {
		slices.Sort(level)
	}
	return levels
}
