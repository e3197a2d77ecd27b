//go:build !impatient

package store

import "time"

// defaultLimits: single is what S3 takes in one PutObject.
var defaultLimits = limits{
	dial:      10 * time.Second,
	tls:       10 * time.Second,
	role:      3 * time.Second,
	read:      30 * time.Second,
	answer:    60 * time.Second,
	idle:      60 * time.Second,
	backoff:   5 * time.Second,
	window:    60 * time.Second,
	floor:     16 << 10,
	resumes:   5,
	conflicts: 5,
	single:    5 << 30,
	part:      64 << 20,
	pages:     10_000,
}
