//go:build !linux

package archive

import (
	"context"
	"errors"
	"os"
)

// Recycle is for Linux.
func Recycle(context.Context, *os.Root, Recycling) (*Kept, error) { return nil, errors.ErrUnsupported }
