package catalog

import (
	"crypto/sha256"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/archive"
)

func someManifest(t *testing.T) Manifest {
	return Manifest{
		Revision: parse(t, "tool.2026112145296Wq"), Archive: "tool.2026112145296Wq.v1.tar.gz",
		Form: archive.TarGzip, File: "tool.v1.tar.gz", Mode: 0o755, Size: 12345, SHA256: sha256.Sum256([]byte("x")),
		Unpacked: archive.Totals{Entries: 3, Bytes: 99}, Hooks: []string{"post-sync", "pre-jump"},
		Op: "k3f9", At: time.Date(2026, 11, 21, 12, 34, 56, 0, time.UTC), By: "ops@build1", Note: "fix: login",
	}
}

func TestManifestRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"as it is":    func(*Manifest) {},
		"no hooks":    func(m *Manifest) { m.Hooks = []string{} },
		"no note":     func(m *Manifest) { m.Note = "" },
		"long note":   func(m *Manifest) { m.Note = strings.Repeat("\xff", MaxNote) },
		"labels":      func(m *Manifest) { m.Labels = Labels{"commit": "3f2a", "url": "https://ci/?a=b\n\nid: x"} },
		"many labels": func(m *Manifest) { m.Note, m.Labels = strings.Repeat("\xff", MaxNote), longLabels() },
		"about": func(m *Manifest) {
			m.About = About{"My Site", "<b>&\u2028", "http://my.site", []string{"migrate", "a: b"}}
		},
		"about no steps": func(m *Manifest) { m.About = About{Name: "My Site"} },
		"note of lines":  func(m *Manifest) { m.Note = "a\n\nb: c\n" },
		"quoted by":      func(m *Manifest) { m.By = `"ops" team@here` },
		"back-quoted by": func(m *Manifest) { m.By = "`ops`" },
		"single by":      func(m *Manifest) { m.By = "'o'" },
		"by nobody":      func(m *Manifest) { m.By = "" },
		"by of lines":    func(m *Manifest) { m.By = "a\n\nb" },
		"no extension":   func(m *Manifest) { m.Archive, m.File, m.Form = "tool.2026112145296Wq", "tool", archive.Raw },
	} {
		want := someManifest(t)
		change(&want)
		want.Digest = sha256.Sum256(want.Header())
		got, err := parseManifest(want.Header())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read as %+v, %v; want %+v", name, got, err, want)
		}
		if size := len(want.Header()); size > maxManifestHeader {
			t.Errorf("%s: %d bytes of header", name, size)
		}
	}
}

// longLabels are the longest that there may be.
func longLabels() Labels {
	labels := make(Labels)
	for i := range maxLabelsText / (maxLabelValue + 3) {
		labels[string(rune('a'+i))] = strings.Repeat("x", maxLabelValue)
	}
	return labels
}

func TestManifestIgnoresWhatIsNew(t *testing.T) {
	want := someManifest(t)
	text := strings.Replace(string(want.Header()), "\nid:", "\nsignature: abc: def\nid:", 1) + "chunks\n\nbelow the header"
	want.Digest = sha256.Sum256([]byte(text[:strings.Index(text, "chunks")]))
	if got, err := parseManifest([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestManifestNeedsEachKey(t *testing.T) {
	header := string(someManifest(t).Header())
	for _, key := range []string{"package", "id", "archive", "form", "file", "mode", "size", "sha256", "unpacked", "entries", "at"} {
		text := strings.Replace(header, "\n"+key+":", "\nx-"+key+":", 1)
		if m, err := parseManifest([]byte(text)); err == nil || key != "package" && !strings.Contains(err.Error(), key+" is missing") {
			t.Errorf("without %s: %+v, %v; want an error that names it", key, m, err)
		}
	}
}

func TestManifestRefusesBadValues(t *testing.T) {
	header := string(someManifest(t).Header())
	for _, bad := range []string{
		"package: ../tool", "id: rev", "id: ../../etc", "id: 2026112145296Wz",
		"archive: tool.2026112145296Wq.ftl", "archive: other.2026112145296Wq.tgz", "archive: tool.2026112145296Wq.x/../y", "archive: ",
		"form: tar.xz", "form: ", "file: ../tool", "file: .tool", "file: tool/x", "file: ",
		"mode: rwx", "mode: 7777", "mode: -1", "size: -1", "size: 1e3", "size: 99999999999999999999", "size: ",
		"sha256: abc", "sha256: " + strings.Repeat("g", 64), "sha256: ", "unpacked: -1", "entries: many", "at: today",
	} {
		key, _, _ := strings.Cut(bad, ":")
		lines := strings.Split(header, "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, key+":") {
				lines[i] = bad
			}
		}
		if m, err := parseManifest([]byte(strings.Join(lines, "\n"))); err == nil {
			t.Errorf("%s: accepted as %+v", bad, m)
		}
	}
}

func TestManifestRefusesWhatIsNone(t *testing.T) {
	good := string(someManifest(t).Header())
	for name, text := range map[string]string{
		"empty":        "",
		"a web page":   "<html>\n<body>Please log in\n\n</html>",
		"a newer one":  strings.Replace(good, manifestFormat, "ftl manifest 2", 1),
		"cut off":      strings.TrimSuffix(good, "\n"),
		"no colon":     strings.Replace(good, "\nid:", "\nthis is new\nid:", 1),
		"one long key": manifestFormat + "\nx: " + strings.Repeat("x", 2*maxManifestHeader) + "\n\n",
	} {
		if m, err := parseManifest([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %+v", name, m)
		}
	}
}

// A header that never ends is not read on for ever.
func TestReadManifestIsBounded(t *testing.T) {
	bucket := openBucket(t)
	want := someManifest(t)
	read := func(text string) error {
		put(t, bucket, ManifestKey(want.Revision), text)
		_, err := (&Catalog{Bucket: bucket}).Manifest(t.Context(), want.Revision)
		return err
	}
	filler := strings.Repeat("x", maxManifestHeader)
	if err := read(string(want.Header()) + filler); err != nil {
		t.Errorf("with much below the header: %v", err)
	}
	if err := read(strings.Replace(string(want.Header()), "\nid:", "\nfiller: "+filler+"\nid:", 1)); err == nil {
		t.Error("a header of more than 16 KiB was accepted")
	}
	other := want
	other.Revision, other.Archive = parse(t, "tool.other"), "tool.other.tgz"
	if err := read(string(other.Header())); err == nil || !strings.Contains(err.Error(), "tool.other") {
		t.Errorf("the manifest of another revision: %v, want an error that names that", err)
	}
}
