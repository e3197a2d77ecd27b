package archive

import (
	"context"
	"runtime"
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

// eachDir calls do for directories of equal depth, by their numbers, several at once, with a disk for
// each goroutine.
func (r *restoring) eachDir(ctx context.Context, dirs []int, do func(*disk, int) error) error {
	return inParallel(ctx, len(dirs), func(next func() (from, to int, err error)) error {
		d := r.disk()
		defer d.close()
		for {
			from, to, err := next()
			if from == to || err != nil {
				return err
			}
			for _, i := range dirs[from:to] {
				if err := do(d, i); err != nil {
					return unpackError(r.index.dirs[i].name, err)
				}
			}
		}
	})
}

// byDepth groups directories by depth, as numbers. The first group is the top directory alone.
func byDepth(dirs []directory) (levels [][]int) {
	for i := range dirs {
		depth := 0
		if dirs[i].name != "." {
			depth = strings.Count(dirs[i].name, "/") + 1
		}
		for len(levels) <= depth {
			levels = append(levels, nil)
		}
		levels[depth] = append(levels[depth], i)
	}
	return levels
}
