//go:build !linux

package tree

import "errors"

// UserOf is for Linux.
func (t *Place) UserOf(path string) (pid int, err error) { return 0, errors.ErrUnsupported }
