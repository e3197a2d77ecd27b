package store_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/rhettg/ftl/store"
	"github.com/rhettg/ftl/store/s3test"
)

// Who may put is known without putting.
func TestMayPutLeavesNothing(t *testing.T) {
	server := s3test.Start(t)
	name := server.Bucket(t)
	const policy = `{"Statement": [
		{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::NAME"},
		{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::NAME/mine/*"}]}`
	who, err := server.Identities(t.Context(), name, map[string]string{"somebody": strings.ReplaceAll(policy, "NAME", name)})
	if err != nil {
		t.Fatal(err)
	}
	who["somebody"].Setenv(t)
	remote := open(t, name)
	dir, shut := t.TempDir(), t.TempDir()
	if err := os.Chmod(shut, 0o555); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		bucket store.Bucket
		key    string
		want   bool
	}{
		{"s3, allowed", remote, "mine/a", true},
		{"s3, denied", remote, "yours/a", false},
		{"directory", open(t, "file://"+dir), "a/b/c", true},
		{"directory that is not to be written", open(t, "file://"+shut), "a/b", os.Geteuid() == 0},
	} {
		got, err := store.MayPut(t.Context(), test.bucket, test.key, []byte("x"))
		if err != nil || got != test.want {
			t.Errorf("%s: got %v, %v, want %v", test.name, got, err, test.want)
		}
		if listing, err := test.bucket.List(t.Context(), store.ListOptions{Prefix: test.key}); err == nil && len(listing.Objects) > 0 {
			t.Errorf("%s: it has put %v", test.name, listing.Objects)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it has left %v, %v", left, err)
	}
	if _, _, err := remote.Get(t.Context(), "mine/a", store.GetOptions{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("what is denied is %v, want fs.ErrPermission", err)
	}
}

// Who is asked with is the public part of a key.
func TestAccountOf(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	account, err := store.AccountOf(t.Context(), open(t, "some-bucket"))
	if err != nil || account.Key != server.AccessKey || account.Source == "" {
		t.Errorf("got %+v, %v, want the key %s", account, err, server.AccessKey)
	}
	if account, err := store.AccountOf(t.Context(), open(t, "file:///tmp/x")); err != nil || account != (store.Account{}) {
		t.Errorf("a directory has the account %+v, %v", account, err)
	}
}

func open(t *testing.T, location string) store.Bucket {
	t.Helper()
	b, err := store.Open(t.Context(), location, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
