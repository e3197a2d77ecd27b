//go:build !linux

package hooks

import "errors"

func readStat(int) (processStat, error) { return processStat{}, errors.ErrUnsupported }

func bootID() (string, error) { return "", errors.ErrUnsupported }
