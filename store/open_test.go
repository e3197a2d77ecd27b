package store_test

import (
	"errors"
	"os"
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
		"file:///":            "file:///srv/bucket",
		"file:///srv/..":      "file:///srv/bucket",
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

// What is refused ends on a terminal, in a log or in a ticket.
func TestOpenTellsNoSecret(t *testing.T) {
	for _, location := range []string{
		"s3://KEY:SECRET@bucket", "s3://KEY:SEC/RET@bucket/prefix", "s3://KEY:SEC@RET@bucket", "https://KEY:SECRET@bucket",
		"KEY:SECRET@bucket", "KEY:SECRET@bucket/prefix", "s3://KEY:SECRET@", "minio://KEY:SECRET@host/bucket",
	} {
		_, err := store.Open(t.Context(), location, store.Options{})
		if _, ok := errors.AsType[*store.LocationError](err); !ok {
			t.Errorf("%s: %v, want a LocationError", location, err)
			continue
		}
		if told := err.Error(); strings.Contains(told, "KEY:") || strings.Contains(told, "SEC/") || strings.Contains(told, "SEC@") || strings.Contains(told, "RET@") {
			t.Errorf("%s: %v", location, err)
		}
	}
	if _, err := store.Open(t.Context(), "s3://bucket/a@b", store.Options{}); err != nil {
		t.Errorf("an @ in a prefix: %v", err)
	}
}

func TestOpenNamesTheVariable(t *testing.T) {
	bundle := t.TempDir() + "/bundle.pem"
	if err := os.WriteFile(bundle, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ variable, value, want string }{
		{"AWS_CA_BUNDLE", "/absent/bundle.pem", "AWS_CA_BUNDLE: open /absent/bundle.pem: no such file"},
		{"AWS_CA_BUNDLE", bundle, "AWS_CA_BUNDLE: " + bundle + " has no certificates"},
		{"AWS_PROFILE", "absent", `AWS_PROFILE: there is no profile "absent"`},
		{"AWS_ENDPOINT_URL", "localhost:9000", `AWS_ENDPOINT_URL: "localhost:9000" has no scheme`},
		{"AWS_ENDPOINT_URL_S3", "minio", `AWS_ENDPOINT_URL_S3: "minio" has no scheme`},
		{"AWS_ENDPOINT_URL", "ftp://minio", `AWS_ENDPOINT_URL: "ftp://minio" has another scheme`},
		{"AWS_ENDPOINT_URL", "http://", `AWS_ENDPOINT_URL: "http://" is not a URL`},
		{"AWS_ENDPOINT_URL", "http://a b", `is not a URL`},
		{"AWS_ENDPOINT_URL", "http://KEY:SECRET@minio", `AWS_ENDPOINT_URL: it has a user or a password`},
	} {
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			for _, name := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
				t.Setenv(name, "")
			}
			t.Setenv(test.variable, test.value)
			_, err := store.Open(t.Context(), "bucket", store.Options{})
			if _, ok := errors.AsType[*store.SettingError](err); !ok || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "SECRET@") {
				t.Errorf("got %v, want a SettingError that says %s", err, test.want)
			}
		})
	}
}
