package main

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rhettg/ftl/store/s3test"
)

// bucket is the one bucket of the run, on a real S3 server. Each case has a prefix of its own in
// it.
type bucket struct {
	s3test.Server
	name string
}

// startServer starts the server, and makes the bucket.
func (b *bench) startServer(ctx context.Context) (stop func() error, err error) {
	server, stop, err := s3test.Run()
	if err != nil {
		return nil, err
	}
	b.bucket = bucket{server, "bench"}
	if err := b.bucket.MakeBucket(ctx, b.bucket.name); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// address is where the server listens.
func (s bucket) address() string {
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return ""
	}
	return u.Host
}

// at is the same bucket by way of another address.
func (s bucket) at(address string) bucket {
	s.Endpoint = "http://" + address
	return s
}

// url is the location of a prefix or an object.
func (s bucket) url(key string) string { return "s3://" + s.name + "/" + key }

// path is where an object lies on the server's disk.
func (s bucket) path(key string) string { return filepath.Join(s.Data, s.name, key) }

// environment is that of the machine without what is configured for other servers, and with this
// one.
func (s bucket) environment(more ...string) []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "AWS_") && !strings.HasPrefix(variable, "FTL_") {
			env = append(env, variable)
		}
	}
	env = append(env, "FTL_ENV_FILE=none")
	env = append(env, s.Env()...)
	env = append(env, "S3_ENDPOINT_URL="+s.Endpoint, // for s5cmd
		"RCLONE_CONFIG="+os.DevNull, "RCLONE_S3_PROVIDER=Other", "RCLONE_S3_ENV_AUTH=true", "RCLONE_S3_ENDPOINT="+s.Endpoint)
	return append(env, more...)
}

// ftl is a command of ftl, with the prefix as its bucket and root as its host. It keeps one
// revision, so that a sync fetches the newest and no other.
func (b *bench) ftl(ctx context.Context, at bucket, prefix, root string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.Env = at.environment("FTL_BUCKET="+at.url(prefix), "FTL_ROOT="+root, "FTL_KEEP=1")
	return cmd
}

// spool spools files and directories in turn, and returns the revisions.
func (b *bench) spool(ctx context.Context, prefix string, paths ...string) (revisions []string, err error) {
	for _, path := range paths {
		out, err := output(b.ftl(ctx, b.bucket, prefix, "", "spool", path))
		if err != nil {
			return nil, err
		}
		revisions = append(revisions, strings.TrimSpace(out))
	}
	return revisions, nil
}

// output runs a command that is not timed.
func output(cmd *exec.Cmd) (string, error) {
	var out strings.Builder
	cmd.Stdout = &out
	_, err := timed(cmd)
	return out.String(), err
}
