//go:build impatient

package store

import "time"

// defaultLimits of a program that is built to be tested: what takes a minute in production takes a
// second. The numbers of tries are the same.
var defaultLimits = limits{
	dial:      time.Second,
	tls:       time.Second,
	role:      time.Second,
	read:      300 * time.Millisecond,
	answer:    1500 * time.Millisecond,
	idle:      500 * time.Millisecond,
	backoff:   20 * time.Millisecond,
	window:    300 * time.Millisecond,
	floor:     16 << 10,
	resumes:   5,
	conflicts: 5,
	single:    5 << 30,
	part:      64 << 20,
	pages:     20,
}
