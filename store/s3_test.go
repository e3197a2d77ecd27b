package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rhettg/ftl/store"
	"github.com/rhettg/ftl/store/s3test"
	"github.com/rhettg/ftl/store/storetest"
)

func openS3(t *testing.T, location string, opts store.Options) store.Bucket {
	t.Helper()
	opts.Warn = t.Logf
	b, err := store.Open(t.Context(), location, opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestS3(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	storetest.Run(t, func(t *testing.T) store.Bucket {
		return openS3(t, "s3://"+server.Bucket(t), store.Options{})
	})
}

func TestPrefixIsABucketOfItsOwn(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	name := server.Bucket(t)
	for _, prefix := range []string{"", "/a", "/a/b", "/ab"} {
		b := openS3(t, "s3://"+name+prefix, store.Options{})
		storetest.Put(t, b, "k"+strings.ReplaceAll(prefix, "/", "-"), prefix)
	}
	for prefix, want := range map[string][]string{
		"":      {"a/b/k-a-b", "a/k-a", "ab/k-ab", "k"},
		"/a":    {"b/k-a-b", "k-a"},
		"/a/b/": {"k-a-b"},
		"/none": nil,
	} {
		b := openS3(t, "s3://"+name+prefix, store.Options{})
		l, err := b.List(t.Context(), store.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range l.Objects {
			got = append(got, o.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("prefix %q: listing has %q, want %q", prefix, got, want)
		}
	}
	b := openS3(t, "s3://"+name+"/a", store.Options{})
	if body, _ := storetest.Get(t, b, "b/k-a-b", store.GetOptions{}); body != "/a/b" {
		t.Errorf("body is %q, want /a/b", body)
	}
	if l, err := b.List(t.Context(), store.ListOptions{After: "b/k-a-b", Limit: 1}); err != nil || l.More || len(l.Objects) != 1 || l.Objects[0].Key != "k-a" {
		t.Errorf("after b/k-a-b there are %v, more %v, %v; want k-a", l.Objects, l.More, err)
	}
}
