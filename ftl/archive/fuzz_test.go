package archive

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ownTests are the archives that Go's own archive/tar is tested with, where the source of Go is
// there. None of them is larger than an archive that is worth its time in a fuzz test.
func ownTests(t testing.TB) map[string][]byte {
	t.Helper()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(goroot)), "src/archive/tar/testdata/*.tar"))
	if err != nil || len(files) == 0 {
		t.Logf("NOT TESTED: the archives of Go's archive/tar are not here: %v", err)
	}
	archives := map[string][]byte{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) < 100_000 {
			archives[filepath.Base(file)] = content
		}
	}
	return archives
}

// TestArchivesOfGo unpacks what Go's archive/tar is tested with as GNU tar does, or not at all.
func TestArchivesOfGo(t *testing.T) {
	accepted := 0
	for name, content := range ownTests(t) {
		t.Run(name, func(t *testing.T) {
			if unpackAnything(t, content, Tar) {
				accepted++
			}
		})
	}
	t.Logf("%d were accepted", accepted)
}

// FuzzUnpack checks for any bytes that nothing outside of the stage changes, that Scan and Unpack
// agree, that what is refused is refused as invalid, and that what is accepted becomes what GNU tar
// makes of it.
func FuzzUnpack(f *testing.F) {
	forms := []Form{Tar, TarGzip, TarZstd, Gzip, Zstd, Raw}
	number := map[Form]uint8{}
	for i, form := range forms {
		number[form] = uint8(i)
	}
	for _, h := range hostileTable() {
		if len(h.content) < 100_000 {
			f.Add(h.content, number[h.formOrTar()])
			f.Add(h.content, 128|number[h.formOrTar()])
		}
	}
	for _, content := range ownTests(f) {
		f.Add(content, number[Tar])
		f.Add(content, 128|number[Tar])
	}
	f.Fuzz(func(t *testing.T, content []byte, n uint8) {
		if n >= 128 {
			unpackAnything(t, resummed(content), Tar)
			return
		}
		unpackAnything(t, content, forms[int(n)%len(forms)])
	})
}

// resummed gives each block that looks like a header the right checksum, so that a change of a
// header comes further than to its checksum.
func resummed(content []byte) []byte {
	content = bytes.Clone(content)
	for at := 0; at+blockSize <= len(content); at += blockSize {
		if block := content[at : at+blockSize]; string(block[magicAt:magicAt+5]) == "ustar" {
			sum(block)
		}
	}
	return content
}

// unpackAnything reports whether an archive was accepted.
func unpackAnything(t *testing.T, content []byte, form Form) bool {
	set(t, &maxBytes, 1<<20)
	stage := newStage(t)
	around := newSentinel(t, filepath.Dir(stage.Name()))
	sum, scanned := Scan(t.Context(), Packed{Content: bytes.NewReader(content), Form: form}, nil)
	want := sum
	if scanned != nil {
		want = unlimited
	}
	unpacked := Unpack(t.Context(), Packed{bytes.NewReader(content), form, File{Name: "file"}}, stage, want)
	around.check(t)
	for _, err := range []error{scanned, unpacked} {
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("got %v, want ErrInvalid", err)
		}
	}
	if (scanned == nil) != (unpacked == nil) {
		t.Errorf("Scan: %v, Unpack: %v, want them to agree", scanned, unpacked)
	}
	if unpacked == nil && form.Tree() {
		checkAsGNU(t, stage.Name(), hostile{content: content, form: form})
	}
	open(stage.Name())
	if made := int64(len(snapshot(t, stage.Name())) - 1); unpacked == nil && made != sum.Entries {
		t.Errorf("%d entries were made, want %d", made, sum.Entries)
	}
	return unpacked == nil
}
