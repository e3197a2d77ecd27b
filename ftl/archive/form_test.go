package archive

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"
)

func TestDetect(t *testing.T) {
	tree := archiveOf(hello)
	v7 := bytes.Clone(tree)
	clear(v7[257:265])
	sum(v7[:blockSize])
	broken := bytes.Clone(tree)
	broken[0] = 'j'
	signed := archiveOf(item{name: "caf\xe9", content: "x"}) // bytes summed as C's signed char, which is 256 less
	copy(signed[148:], octalField(octal(signed[148:156])-256, 7)+" ")
	short, long := []byte("text"), bytes.Repeat([]byte("text"), 1000)
	for _, c := range []struct {
		name    string
		content []byte
		want    Form // "" is a refusal
	}{
		{"my_site.tar", tree, Tar},
		{"my_site.tar", v7, Tar},
		{"my_site.tar", signed, Tar},
		{"my_site.tar", archiveOf(item{name: "caf\xe9", content: "x"}), Tar},
		{"my_site.tar", broken, ""},
		{"my_site.gz", gzipOf(broken), Gzip},
		{"my_site.tgz", gzipOf(tree), TarGzip},
		{"my_site.TGZ", gzipOf(tree), TarGzip},
		{"my_site.tar.gz", gzipOf(tree), TarGzip},
		{"p.v1.tar.gz", gzipOf(tree), TarGzip},
		{"my_site.gz", gzipOf(tree), TarGzip},
		{"my_site.gz", gzipOf(tree[:100], tree[100:]), TarGzip},
		{"my_site.tzst", zstdOf(tree), TarZstd},
		{"my_site.tar.zst", zstdOf(tree), TarZstd},
		{"my_site.zst", zstdOf(tree), TarZstd},
		{"tool.gz", gzipOf(long), Gzip},
		{"tool.gz", gzipOf(short), Gzip},
		{"tool.zst", zstdOf(long), Zstd},
		{"tool.zst", zstdOf(short), Zstd},
		{"tool", tree, Raw},
		{"tool.linux", short, Raw},
		{"tool.tar.linux", gzipOf(tree), Raw},
		{".gz", short, Raw},
		{"my_site.tar", gzipOf(tree), ""},
		{"my_site.tar", long, ""},
		{"my_site.tar", nil, ""},
		{"my_site.tar", archiveOf(), ""},
		{"my_site.tgz", tree, ""},
		{"my_site.tgz", gzipOf(long), ""},
		{"my_site.tgz", gzipOf(short), ""},
		{"my_site.tar.gz", zstdOf(tree), ""},
		{"my_site.tar.gz", nil, ""},
		{"my_site.tar.gz", gzipOf(tree)[:30], ""},
		{"my_site.tar.zst", gzipOf(tree), ""},
		{"tool.gz", long, ""},
		{"tool.zst", long, ""},
		{"tool.zst", zstdOf(long)[:10], ""},
	} {
		got, err := Detect(c.name, bytes.NewReader(c.content))
		if got != c.want || errors.Is(err, ErrInvalid) != (c.want == "") {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

type brokenFile struct{}

func (brokenFile) ReadAt([]byte, int64) (int, error) { return 0, iotest.ErrTimeout }

func TestDetectKeepsReadErrors(t *testing.T) {
	for _, name := range []string{"x.tar", "x.gz", "x.zst"} {
		_, err := Detect(name, brokenFile{})
		if !errors.Is(err, iotest.ErrTimeout) || errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want %v", name, err, iotest.ErrTimeout)
		}
	}
}

func TestFileName(t *testing.T) {
	for _, c := range []struct {
		name string
		form Form
		want string
	}{
		{"tool.linux.gz", Gzip, "tool.linux"},
		{"tool.zst", Zstd, "tool"},
		{"tool.linux", Raw, "tool.linux"},
		{"tool.gz", Raw, "tool.gz"},
		{"tool.gz", Zstd, "tool.gz"},
		{"tool", Gzip, "tool"},
		{"my_site.tgz", TarGzip, "my_site.tgz"},
	} {
		if got := FileName(c.name, c.form); got != c.want {
			t.Errorf("%s as %s: got %q, want %q", c.name, c.form, got, c.want)
		}
	}
}

func TestSeekableName(t *testing.T) {
	for name, want := range map[string]string{
		"my_site": "my_site.tar.zst", "my_site.tar": "my_site.tar.zst", "my_site.v2.tgz": "my_site.v2.tar.zst", "my_site.2.TAR.GZ": "my_site.2.tar.zst",
		"my_site.gz": "my_site.tar.zst", "my_site.tzst": "my_site.tar.zst", "my_site.tar.zst": "my_site.tar.zst", "my_site.v2": "my_site.v2.tar.zst",
	} {
		if got := SeekableName(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestParseForm(t *testing.T) {
	for _, form := range []Form{Tar, TarGzip, TarZstd, Gzip, Zstd, Raw} {
		if got, err := ParseForm(string(form)); got != form || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, form)
		}
	}
	for _, s := range []string{"", "TAR", "zip", "tar.gz "} {
		if got, err := ParseForm(s); err == nil {
			t.Errorf("%q: got %q, want an error", s, got)
		}
	}
}
