//go:build !linux

package strictmodes_test

import "errors"

func allow(string, uint32) error { return errors.ErrUnsupported }
