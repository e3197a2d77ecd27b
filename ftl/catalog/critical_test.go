package catalog

import (
	"errors"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/internal/spill"
)

// Whoever doesn't know a critical word is told which, and reads the rest all the same.
func TestCriticalWordsOfEntries(t *testing.T) {
	pkg := parsePackage(t, "tool")
	entries, err := parseMarker(pkg, `tool.2 serial=7 !rollout="1 w=*" by=me new=word !bare`+"\ntool.1 serial=6\n")
	if err != nil || entries[0].Serial != 7 || entries[0].By != "me" {
		t.Fatalf("read as %+v, %v", entries, err)
	}
	err = entries[0].Understood()
	if !isKind(err, ftl.Refused) || !strings.Contains(err.Error(), "the blessing of tool.2 says !rollout and !bare") {
		t.Errorf("got %v, want a refusal that names both words", err)
	}
	if err := entries[1].Understood(); err != nil {
		t.Errorf("an entry without them: %v", err)
	}
}

func TestCriticalWordsOfManifests(t *testing.T) {
	bucket := openBucket(t)
	manifest := someManifest(t)
	c := &Catalog{Bucket: bucket}
	// Also where the word takes the place of something that this ftl needs.
	text := strings.Replace(string(manifest.Header()), "\nsize:", "\n!parts:", 1)
	put(t, bucket, ManifestKey(manifest.Revision), text)
	_, err := c.Manifest(t.Context(), manifest.Revision)
	newer, ok := errors.AsType[*NewerError](err)
	if !ok || !isKind(err, ftl.Refused) || len(newer.Words) != 1 || newer.Words[0] != "!parts" {
		t.Errorf("got %v, want a refusal that names !parts", err)
	}
	if _, _, err := c.Seekable(t.Context(), manifest.Revision, spill.Temporary); err == nil {
		t.Error("Seekable has read it")
	}
}

// A comment is no entry, and stays above the entry that it stands above.
func TestCommentsInMarkers(t *testing.T) {
	pkg := parsePackage(t, "tool")
	const old = "# one\n#two: serial=9\ntool.2 serial=7\ntool.1 serial=6\n"
	entries, err := parseMarker(pkg, old+"# at the end\n")
	if err != nil || len(entries) != 2 || entries[0].Revision != parse(t, "tool.2") {
		t.Fatalf("read as %+v, %v", entries, err)
	}
	entry := Entry{Revision: parse(t, "tool.3"), Kind: KindJump}
	text, err := Marker{Package: pkg, Entries: entries}.Add(&entry)
	if err != nil || !strings.HasSuffix(string(text), "\n"+old) || strings.HasPrefix(string(text), "#") {
		t.Errorf("written as %q, %v", text, err)
	}
	if _, err := parseMarker(pkg, "# nothing else\n"); err == nil {
		t.Error("a marker of comments alone is accepted")
	}
}
