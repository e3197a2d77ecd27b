package store_test

import (
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
	for name, prefix := range map[string]string{"Bucket": "", "Prefix": "/some/prefix"} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Bucket {
				return openS3(t, "s3://"+server.Bucket(t)+prefix, store.Options{})
			})
		})
	}
}
