package catalog

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl/archive"
)

// Only who reads an archive finds that the store has spoiled it.
func TestCheckReadsData(t *testing.T) {
	bucket := openBucket(t)
	manifest := someManifest(t)
	content := "content 1"
	manifest.Archive, manifest.File, manifest.Form = manifest.Revision.String(), "tool", archive.Raw
	manifest.Size, manifest.SHA256 = int64(len(content)), sha256.Sum256([]byte(content))
	put(t, bucket, manifest.Archive, content)
	put(t, bucket, ManifestKey(manifest.Revision), string(manifest.Header()))
	for _, test := range []struct {
		name     string
		spoiled  string // the key
		readData bool
		want     string
	}{
		{"all is well", "", true, ""},
		{"spoiled, and not read", manifest.Archive, false, ""},
		{"spoiled, and read", manifest.Archive, true, "its bytes are not those that were spooled"},
		{"the manifest is spoiled", ManifestKey(manifest.Revision), false, "something on the way spoils them"},
	} {
		c := &Catalog{Bucket: &spoiling{bucket, test.spoiled, len(rereads) + 1}}
		problems, err := c.Check(t.Context(), manifest.Revision.Package(), CheckOptions{ReadData: test.readData})
		switch {
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want == "" && len(problems) > 0:
			t.Errorf("%s: got %v, want no problem", test.name, problems)
		case test.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Message, test.want)):
			t.Errorf("%s: got %v, want one that says %q", test.name, problems, test.want)
		}
	}
}
