package archive

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
)

// FuzzUnpack checks for any bytes that nothing outside of the stage changes, that Scan and Unpack agree, and that what
// is refused is refused as invalid.
func FuzzUnpack(f *testing.F) {
	forms := []Form{Tar, TarGzip, TarZstd, Gzip, Zstd, Plain}
	number := map[Form]uint8{}
	for i, form := range forms {
		number[form] = uint8(i)
	}
	for _, h := range hostileTable() {
		if len(h.content) < 100_000 {
			f.Add(h.content, number[h.formOrTar()])
		}
	}
	f.Fuzz(func(t *testing.T, content []byte, n uint8) {
		set(t, &maxBytes, 1<<20)
		form := forms[int(n)%len(forms)]
		stage := newStage(t)
		around := newSentinel(t, filepath.Dir(stage.Name()))
		sum, scanned := Scan(t.Context(), bytes.NewReader(content), form, nil)
		want := sum
		if scanned != nil {
			want = unlimited
		}
		unpacked := Unpack(t.Context(), bytes.NewReader(content), form, File{Name: "file"}, stage, want)
		around.check(t)
		for _, err := range []error{scanned, unpacked} {
			if err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
		}
		if (scanned == nil) != (unpacked == nil) {
			t.Errorf("Scan: %v, Unpack: %v, want them to agree", scanned, unpacked)
		}
		open(stage.Name())
		if made := int64(len(snapshot(t, stage.Name())) - 1); unpacked == nil && made != sum.Entries {
			t.Errorf("%d entries were made, want %d", made, sum.Entries)
		}
	})
}
