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

// together has several goroutines do n things in batches of neighbours, which are mostly in one directory. Each calls
// next until that returns an empty range.
func together(ctx context.Context, n int, work func(next func() (from, to int, err error)) error) error {
	const batch = 64
	var taken atomic.Int64
	next := func() (from, to int, err error) {
		end := int(taken.Add(batch))
		return min(end-batch, n), min(end, n), ctx.Err()
	}
	var group errgroup.Group
	for range min(workers(), n/batch+1) {
		group.Go(func() error { return work(next) })
	}
	return group.Wait()
}

// eachDir calls do for directories that lie equally deep, several at once, with a disk for each goroutine.
func (r *restoring) eachDir(ctx context.Context, dirs []*directory, do func(*disk, *directory) error) error {
	return together(ctx, len(dirs), func(next func() (from, to int, err error)) error {
		d := r.disk()
		defer d.close()
		for {
			from, to, err := next()
			if from == to || err != nil {
				return err
			}
			for _, dir := range dirs[from:to] {
				if err := do(d, dir); err != nil {
					return unpackError(dir.name, err)
				}
			}
		}
	})
}

// byDepth sorts directories by how deep they lie, the top directory alone at first.
func byDepth(dirs []directory) (levels [][]*directory) {
	for i := range dirs {
		depth := 0
		if dirs[i].name != "." {
			depth = strings.Count(dirs[i].name, "/") + 1
		}
		for len(levels) <= depth {
			levels = append(levels, nil)
		}
		levels[depth] = append(levels[depth], &dirs[i])
	}
	return levels
}
