package catalog

import (
	"errors"
	"testing"
)

// The bucket is asked once a process, but again after it gave no answer.
func TestConditionsAreProbedOnce(t *testing.T) {
	bucket := &countingPuts{Bucket: openBucket(t), denied: errors.New("no answer")}
	c := &Catalog{Bucket: bucket}
	if err := c.CheckConditions(t.Context()); !errors.Is(err, bucket.denied) {
		t.Fatalf("got %v, want the error of the bucket", err)
	}
	bucket.denied = nil
	if err := c.CheckConditions(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := bucket.puts.Load()
	if err := c.CheckConditions(t.Context()); err != nil || bucket.puts.Load() != before {
		t.Errorf("%d more writes, %v; want none", bucket.puts.Load()-before, err)
	}
}
