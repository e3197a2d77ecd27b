package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/store/s3test"
)

// roles are people and machines, each of which may do with a bucket what ftl iam prints for its
// role.
type roles struct {
	t      *testing.T
	home   string
	bucket string
	all    map[string]s3test.Server
}

func newRoles(t *testing.T, prefix string) *roles {
	t.Helper()
	server := s3test.Start(t)
	name := server.Bucket(t)
	r := &roles{t: t, home: t.TempDir(), bucket: "s3://" + name + prefix}
	policies := make(map[string]string)
	for _, role := range catalog.Roles() {
		args := []string{"iam", string(role), "--bucket", r.bucket}
		if role == catalog.RoleHost {
			args = append(args, "--id", "web-1")
		}
		cmd := exec.CommandContext(t.Context(), "ftl", args...)
		cmd.Env = append(userEnv(r.home), server.Env()...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		policies[string(role)] = string(out)
	}
	all, err := server.Identities(t.Context(), name, policies)
	if err != nil {
		t.Fatal(err)
	}
	r.all = all
	return r
}

// run runs ftl as somebody. It returns both of its outputs.
func (r *roles) run(role string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(r.t.Context(), "ftl", args...)
	cmd.Dir = r.home
	// Each has a home, and in it what was read of reports.
	cmd.Env = append(append(userEnv(filepath.Join(r.home, role)), r.all[role].Env()...), "FTL_BUCKET="+r.bucket, "FTL_ROOT="+filepath.Join(r.home, "root"), "FTL_HOST_ID=web-1")
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	err = cmd.Run()
	return strings.TrimSpace(out.String()), errors.String(), err
}

func (r *roles) does(role string, args ...string) string {
	r.t.Helper()
	stdout, stderr, err := r.run(role, args...)
	if err != nil {
		r.t.Fatalf("%s: ftl %v: %v\n%s%s", role, args, err, stdout, stderr)
	}
	return stdout
}

// mayNot runs what the server has to deny.
func (r *roles) mayNot(role string, args ...string) {
	r.t.Helper()
	stdout, stderr, err := r.run(role, args...)
	if err == nil || !strings.Contains(stderr, "access denied") {
		r.t.Errorf("%s: ftl %v: %v, want that access is denied\n%s%s", role, args, err, stdout, stderr)
	}
}

// TestPoliciesOnAServer lets each role work with nothing but its policy, which a real server keeps.
func TestPoliciesOnAServer(t *testing.T) {
	for name, prefix := range map[string]string{"bucket": "", "prefix": "/some/prefix"} {
		t.Run(name, func(t *testing.T) {
			r := newRoles(t, prefix)
			for _, dir := range []string{"root/tool", "tool/ftl"} {
				if err := os.MkdirAll(filepath.Join(r.home, dir), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(r.home, "tool/ftl/check"), []byte("#!/bin/sh\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			first := r.does("build-box", "spool", "tool")
			r.mayNot("build-box", "jump", "--master", first)
			r.mayNot("host", "jump", "--master", first)
			r.mayNot("host", "spool", "tool")
			r.does("operator", "jump", "--master", first)
			r.does("host", "sync")
			r.does("host", "status")
			if fleet := r.does("operator", "status", "--fleet"); !strings.Contains(fleet, "1 of 1") {
				t.Errorf("the report of the host is not there: %s", fleet)
			}
			second := r.does("build-box", "spool", "tool")
			r.does("operator", "jump", "--master", second)
			r.mayNot("build-box", "purge", "--master", "--force", first)
			r.mayNot("build-box", "retire", "--master", "tool")
			r.mayNot("host", "status", "--fleet")
			r.does("host", "sync")
			r.does("operator", "purge", "--master", "--force", first)
			r.does("operator", "clean", "--master", "--keep", "5", "tool")
		})
	}
}
