package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rhettg/ftl/store"
)

func TestOpenRefusesMalformedLocations(t *testing.T) {
	for location, hint := range map[string]string{
		"":                    "my-bucket",
		"s3://":               "s3://my-bucket",
		"s3:///prefix":        "s3://my-bucket",
		"s3://b!/x":           "s3://my-bucket",
		"s3://bucket/a//b":    "s3://my-bucket/prefix",
		"s3://bucket/../b":    "s3://my-bucket/prefix",
		"bucket/prefix":       "s3://my-bucket/prefix",
		"https://bucket":      "s3://my-bucket",
		"/srv/bucket":         "file:///srv/bucket",
		"file://srv/bucket":   "file:///srv/bucket",
		"file://":             "file:///srv/bucket",
		"file://./bucket":     "file:///srv/bucket",
		"my bucket":           "s3://my-bucket",
		"file:///srv\x00/bad": "file:///srv/bucket",
	} {
		_, err := store.Open(t.Context(), location, store.Options{})
		var malformed *store.LocationError
		if !errors.As(err, &malformed) {
			t.Errorf("Open %q: %v, want a LocationError", location, err)
			continue
		}
		if !strings.Contains(err.Error(), hint) {
			t.Errorf("Open %q: %v, want the example %s", location, err, hint)
		}
	}
}

func TestOpenDoesNotTalkToTheBucket(t *testing.T) {
	for _, location := range []string{"bucket", "s3://bucket", "s3://bucket/", "s3://bucket/a/b/", "file:///nowhere"} {
		if _, err := store.Open(t.Context(), location, store.Options{}); err != nil {
			t.Errorf("Open %q: %v", location, err)
		}
	}
}
