package store

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Options are what Open needs to know beside the location. Its zero value is complete.
type Options struct {
	Version string                           // of the program, for the user agent
	Warn    func(format string, args ...any) // what the user should know although it works; may be nil

	limits *limits // nil is defaultLimits
}

// limits bound what a bucket may take. They are variables so that a test can shrink them; a test of
// the whole program builds it with the tag impatient.
type limits struct {
	dial, tls time.Duration // of a new connection
	role      time.Duration // for an answer of the machine's metadata service
	read      time.Duration // without a byte, of a download
	answer    time.Duration // until an answer begins, all tries of the SDK together
	idle      time.Duration // without a byte, of an upload
	backoff   time.Duration // between two tries, at most
	window    time.Duration // over which floor is measured
	floor     int64         // bytes per second, below which a transfer counts as stalled
	resumes   int           // tries to take up a broken download
	conflicts int           // tries of a write that met another one
	single    int64         // bytes above which a Put is sent in parts
	part      int64         // bytes of such a part
	pages     int           // of a listing
}

// A LocationError says why a location names no bucket. It shows how one does.
type LocationError struct {
	Location string // as given to Open, without a user and a password
	Cause    string
	Example  string // a location that would do
}

func (e *LocationError) Error() string {
	return fmt.Sprintf("bucket %q: %s, write for example %s", e.Location, e.Cause, e.Example)
}

func refuse(location, cause, example string) error {
	return &LocationError{withoutUser(location), cause, example}
}

// withoutUser leaves out a user and a password, as what is refused ends in logs.
// A password may have slashes and further @ signs.
func withoutUser(location string) string {
	scheme, rest, found := strings.Cut(location, "://")
	if !found {
		scheme, rest = "", location
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 || scheme == "file" {
		return location
	}
	if found {
		scheme += "://"
	}
	return scheme + "****" + rest[at:]
}

// bucketName is wider than S3's rule for new buckets, as old buckets and other servers have
// capitals and underscores.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$`)

// Open returns the bucket at a location: an S3 bucket as "name" or "s3://name/prefix", a directory
// as "file:///dir", where the rest is the path as it is, without escapes. Keys are relative to the
// prefix. A location of another form is a [*LocationError], and a variable of the SDK that makes
// no sense a [*SettingError].
//
// Open does not talk to the bucket: one that does not exist, or may not be used, is the [*Error] of
// the first operation. An [*Error] of Open itself is a faulty configuration of the SDK.
func Open(ctx context.Context, location string, opts Options) (Bucket, error) {
	if opts.limits == nil {
		opts.limits = &defaultLimits
	}
	scheme, rest, found := strings.Cut(location, "://")
	if !found {
		scheme, rest = "", location
	}
	switch {
	case location == "":
		return nil, refuse(location, "it is empty", "my-bucket")
	case found && scheme == "file":
		return openDirectory(location, rest)
	case strings.HasPrefix(location, "/"), strings.HasPrefix(location, "."):
		return nil, refuse(location, "a directory is given as a URL", "file://"+absolute(location))
	case !found && strings.Contains(location, "/"):
		return nil, refuse(location, "a bucket with a prefix is given as a URL", "s3://my-bucket/prefix")
	case found && scheme != "s3":
		return nil, refuse(location, "unknown scheme "+scheme, "s3://my-bucket or file:///srv/bucket")
	}
	name, prefix, _ := strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/")
	if strings.Contains(name, "@") || !bucketName.MatchString(name) && strings.Contains(rest, "@") {
		return nil, refuse(location, "it has a user or a password, and "+keysElsewhere, "s3://my-bucket")
	}
	if !bucketName.MatchString(name) {
		return nil, refuse(location, "not the name of a bucket", "s3://my-bucket")
	}
	if prefix != "" {
		if err := checkKey(prefix); err != nil {
			cause := strings.Replace(err.Error(), "the key", "the prefix", 1)
			return nil, refuse(location, cause, "s3://my-bucket/prefix")
		}
		prefix += "/"
	}
	return openS3(ctx, name, prefix, opts)
}

// absolute is for an example only, so it may be wrong.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func openDirectory(location, path string) (Bucket, error) {
	if !filepath.IsAbs(path) {
		return nil, refuse(location, "the directory is not an absolute path", "file:///srv/bucket")
	}
	if filepath.Clean(path) == "/" {
		return nil, refuse(location, "the root of the file system is no bucket", "file:///srv/bucket")
	}
	if strings.ContainsRune(path, 0) {
		return nil, refuse(location, "a path has no NUL", "file:///srv/bucket")
	}
	return &directory{path: filepath.Clean(path)}, nil
}
