//go:build !linux

package hooks

import (
	"errors"
	"time"
)

func readStat(int) (processStat, error) { return processStat{}, errors.ErrUnsupported }

func sinceBoot() (time.Duration, error) { return 0, errors.ErrUnsupported }

func bootID() (string, error) { return "", errors.ErrUnsupported }
