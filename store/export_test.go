package store

import "time"

// Shrunk returns options whose limits let a fault show within a second.
func Shrunk() Options {
	return Options{limits: &limits{
		dial:      time.Second,
		tls:       time.Second,
		role:      time.Second,
		read:      300 * time.Millisecond,
		answer:    1500 * time.Millisecond,
		idle:      300 * time.Millisecond,
		backoff:   5 * time.Millisecond,
		window:    300 * time.Millisecond,
		floor:     16 << 10,
		resumes:   5,
		conflicts: 5,
		single:    5 << 20,
		part:      5 << 20,
		pages:     20,
	}}
}

// InOnePut returns options that send up to so many bytes in one PUT.
func InOnePut(o Options, single int64) Options {
	limits := *o.limits
	limits.single = single
	return Options{limits: &limits}
}

// BucketName returns the name of an S3 bucket.
func BucketName(b Bucket) string { return b.(*s3Bucket).name }
