package catalog

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/internal/spill"
)

// someIndex returns the index of an archive with one file.
func someIndex(t *testing.T) *archive.Index {
	t.Helper()
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644}), w.Close()); err != nil {
		t.Fatal(err)
	}
	index, err := archive.Rewrite(t.Context(), io.Discard, archive.Packed{Content: &packed, Form: archive.Tar}, spill.Temporary, nil)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// Encode returns a manifest as an object: the header, which pins the index if there is one, and the
// index.
func (m *Manifest) Encode(index []byte) []byte {
	if index != nil {
		if err := m.Pin(bytes.NewReader(index)); err != nil {
			panic(err) // memory can't fail
		}
	}
	return append(m.Header(), index...)
}

// encodeIndex returns an index as it stands in a manifest.
func encodeIndex(t *testing.T, index *archive.Index) []byte {
	t.Helper()
	var buffer bytes.Buffer
	if err := index.Encode(&buffer); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// What stands around the index is of no matter, if it is what a newer ftl may add.
func TestWhatStandsAroundTheIndex(t *testing.T) {
	const block = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n\nAAAA\n-----END SSH SIGNATURE-----\n"
	index := someIndex(t)
	defer index.Close()
	encoded := encodeIndex(t, index)
	manifest := someManifest(t)
	manifest.Size, manifest.Unpacked, manifest.Form = index.Size(), index.Totals, archive.TarZstd
	whole := manifest.Encode(encoded)
	header := whole[:len(whole)-len(encoded)]
	for name, test := range map[string]struct {
		below string
		fine  bool
	}{
		"the index alone":      {string(encoded), true},
		"a block above":        {block + string(encoded), true},
		"two blocks above":     {block + block + string(encoded), true},
		"bytes below":          {string(encoded) + "more", true},
		"both":                 {block + string(encoded) + block, true},
		"a block without end":  {"-----BEGIN X-----\nabc\n" + string(encoded), false},
		"a block at the end":   {"-----BEGIN X-----\n-----END X-----", false},
		"bytes above":          {"more" + string(encoded), false},
		"an index that is cut": {string(encoded[:len(encoded)-1]), false},
		"nothing":              {"", false},
	} {
		bucket := openBucket(t)
		put(t, bucket, ManifestKey(manifest.Revision), string(header)+test.below)
		_, seekable, err := (&Catalog{Bucket: bucket}).Seekable(t.Context(), manifest.Revision, spill.Temporary)
		if test.fine != (err == nil) || !test.fine && !errors.Is(err, archive.ErrInvalid) {
			t.Errorf("%s: %v; want it read: %v", name, err, test.fine)
		}
		if err != nil {
			continue
		}
		if got, err := io.ReadAll(seekable.Encoded()); err != nil || !bytes.Equal(got, encoded) {
			t.Errorf("%s: the index is %q, %v, want %q", name, got, err, encoded)
		}
		seekable.Close()
	}
}
