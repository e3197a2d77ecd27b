package master

import (
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// replaceManifest puts another manifest under the name of a revision.
func replaceManifest(t *testing.T, bucket store.Bucket, r revision.Revision) {
	t.Helper()
	_, text, err := (&catalog.Catalog{Bucket: bucket}).WholeManifest(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), "\nby: ", "\nby: mallory+", 1)
	if err := newMaster(t, bucket).put(t.Context(), catalog.ManifestKey(r), []byte(other), store.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// What was blessed under a name stays what is meant by it, until somebody says otherwise.
func TestBlessingBindsContent(t *testing.T) {
	bucket := openBucket(t)
	m := newMaster(t, bucket)
	one, two := spoolTwo(t, bucket)
	if err := m.Jump(t.Context(), one, JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, entry := range readMarker(t, bucket, "tool").Entries {
		if manifest, err := m.Bucket.Manifest(t.Context(), entry.Revision); err != nil || entry.Manifest != manifest.Digest {
			t.Errorf("%s was blessed with the digest %s, want %s; %v", entry.Revision, entry.Manifest, manifest.Digest, err)
		}
	}

	replaceManifest(t, bucket, one)
	replaceManifest(t, bucket, two)
	for name, err := range map[string]error{
		"the active one":   m.Jump(t.Context(), one, JumpOptions{}),
		"the previous one": m.Jump(t.Context(), two, JumpOptions{}),
		"jump-back":        m.JumpBack(t.Context(), one.Package(), ""),
	} {
		if !isKind(err, ftl.Refused) || !strings.Contains(err.Error(), "another manifest") {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	if err := m.Jump(t.Context(), two, JumpOptions{Again: true}); err != nil {
		t.Fatal(err)
	}
	manifest, err := m.Bucket.Manifest(t.Context(), two)
	if content := readMarker(t, bucket, "tool").Content(two); err != nil || content != manifest.Digest {
		t.Errorf("blessed again with the digest %s, want %s; %v", content, manifest.Digest, err)
	}
}

// Entries of before blessings bound content bind nothing.
func TestOldEntryBindsNothing(t *testing.T) {
	bucket := openBucket(t)
	m := newMaster(t, bucket)
	one, two := spoolTwo(t, bucket)
	old := one.String() + " serial=7 kind=jump\n" + two.String() + "\n"
	if err := m.put(t.Context(), "tool.rev", []byte(old), store.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	replaceManifest(t, bucket, two)
	if err := m.JumpBack(t.Context(), one.Package(), ""); err != nil {
		t.Error(err)
	}
}
