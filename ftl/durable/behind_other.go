//go:build !linux

package durable

import "os"

// Behind does nothing where there is no call that syncs a file system.
type Behind struct{}

// WriteBehind begins nothing.
func WriteBehind(in *os.Root, name string, step int64) (*Behind, error) { return &Behind{}, nil }

// Wrote does nothing.
func (b *Behind) Wrote(total int64) {}

// End has nothing to wait for.
func (b *Behind) End() error { return nil }
