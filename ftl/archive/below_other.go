//go:build !linux

package archive

import "errors"

func openBelow(dir int, name string) (int, error) { return -1, errors.ErrUnsupported }
