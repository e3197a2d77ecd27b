package durable

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Behind has the kernel write a tree to disk while the tree is made, so that SyncTree has less to
// wait for at its end.
type Behind struct {
	step    int64         // bytes between two syncs, at least
	due     chan struct{} // a sync is, once the one under way has ended
	ended   chan struct{}
	written atomic.Int64 // when a sync was due last
	err     error        // of the first sync that failed
	close   func() error
}

// WriteBehind begins to write behind who makes the tree in a directory, each time that so many
// bytes more are there, at least.
func WriteBehind(in *os.Root, name string, step int64) (*Behind, error) {
	dir, err := in.Open(name)
	if err != nil {
		return nil, err
	}
	b := writeBehind(step, func() error {
		err := unix.Syncfs(int(dir.Fd()))
		if err == nil || errors.Is(err, unix.ENOSYS) { // SyncTree has another way then
			return nil
		}
		return fmt.Errorf("sync the file system of %s: %w", name, err)
	})
	b.close = dir.Close
	return b, nil
}

func writeBehind(step int64, sync func() error) *Behind {
	b := &Behind{step: step, due: make(chan struct{}, 1), ended: make(chan struct{}), close: func() error { return nil }}
	go func() {
		defer close(b.ended)
		for range b.due {
			if err := sync(); b.err == nil {
				b.err = err
			}
		}
	}()
	return b
}

// Wrote says how many bytes the tree has by now. Several goroutines may call it at once, but not
// together with End.
func (b *Behind) Wrote(total int64) {
	last := b.written.Load()
	if total < last+b.step || !b.written.CompareAndSwap(last, total) {
		return
	}
	select {
	case b.due <- struct{}{}:
	default:
	}
}

// End returns once nothing is under way any more. The kernel tells of a failure to write back once,
// so after an error of End the tree is not on disk, whatever SyncTree says of it.
func (b *Behind) End() error {
	close(b.due)
	<-b.ended
	return errors.Join(b.err, b.close())
}
