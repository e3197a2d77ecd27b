package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Form is the format of an archive. Its text is the extension that names it.
type Form string

// The forms. A file that is not a tar is deployed as it is: Raw, or compressed as Gzip or Zstd,
// which the host decompresses.
const (
	Tar     Form = "tar"
	TarGzip Form = "tar.gz"
	TarZstd Form = "tar.zst"
	Gzip    Form = "gz"
	Zstd    Form = "zst"
	Raw     Form = "plain"
)

// ParseForm returns the form whose text s is.
func ParseForm(s string) (Form, error) {
	switch form := Form(s); form {
	case Tar, TarGzip, TarZstd, Gzip, Zstd, Raw:
		return form, nil
	}
	return "", fmt.Errorf("this ftl does not know the form %q", s)
}

// Tree reports whether an archive of form f holds a tree, and not a single file.
func (f Form) Tree() bool { return f == Tar || f == TarGzip || f == TarZstd }

// compression returns how the content of an archive of form f is compressed: Gzip, Zstd, or Raw for
// not at all.
func (f Form) compression() Form {
	switch f {
	case Gzip, TarGzip:
		return Gzip
	case Zstd, TarZstd:
		return Zstd
	}
	return Raw
}

// extensions are in the order in which they are tried: a longer one before its own ending. A bare
// .gz or .zst may hold either a tar or a single file.
var extensions = []struct {
	text string
	form Form
}{
	{".tar.gz", TarGzip},
	{".tgz", TarGzip},
	{".tar.zst", TarZstd},
	{".tzst", TarZstd},
	{".tar", Tar},
	{".gz", Gzip},
	{".zst", Zstd},
}

// extension splits off the last extension of name that FTL knows, in lower or upper case. Without
// one, form is Raw.
func extension(name string) (stem string, form Form) {
	lower := strings.ToLower(name)
	for _, x := range extensions {
		if strings.HasSuffix(lower, x.text) && len(name) > len(x.text) {
			return name[:len(name)-len(x.text)], x.form
		}
	}
	return name, Raw
}

// SeekableName returns what the archive called name is called once it is seekable, which is of the
// form TarZstd whatever it was: my_site.v2.tar.zst for my_site.v2.tgz.
func SeekableName(name string) string {
	stem, _ := extension(name)
	return stem + "." + string(TarZstd)
}

// FileName returns the name under which a host keeps the single file of the archive called name:
// tool.linux for tool.linux.gz. A name without an extension of the form is returned as it is.
func FileName(name string, form Form) string {
	stem, f := extension(name)
	if f != form || form.Tree() {
		return name
	}
	return stem
}

// Detect returns the form of the archive called name. The last extension of the name decides; for
// .gz and .zst, the first bytes of the content tell whether a tar is inside. Any other extension,
// and none, is Raw.
//
// Content that contradicts the extension is ErrInvalid. Only Scan tells whether the rest is sound.
func Detect(name string, content io.ReaderAt) (Form, error) {
	_, form := extension(name)
	if form == Raw {
		return Raw, nil
	}
	head, err := beginning(io.NewSectionReader(content, 0, math.MaxInt64), form)
	switch {
	case err != nil:
		return "", err
	case isHeader(head) && form == Gzip:
		return TarGzip, nil
	case isHeader(head) && form == Zstd:
		return TarZstd, nil
	case form.Tree() && !isHeader(head):
		return "", notTar(head)
	}
	return form, nil
}

// beginning decompresses the first block of r, or all of r if it is shorter.
func beginning(r io.Reader, form Form) ([]byte, error) {
	s, err := newStream(context.Background(), r, form)
	if err != nil {
		return nil, err
	}
	defer s.close()
	head := make([]byte, blockSize)
	n, err := io.ReadFull(s, head)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) && s.ended {
		err = nil
	}
	if err != nil {
		return nil, s.fault(err)
	}
	return head[:n], nil
}

// notTar returns an error that says what a file is that should be a tar, by its beginning.
func notTar(head []byte) error {
	if allZero(head) {
		return invalid("it is empty")
	}
	for magic, kind := range map[string]string{"\x1f\x8b": "gzip", "\x28\xb5\x2f\xfd": "zstd", "PK": "zip", "BZh": "bzip2", "\xfd7zXZ": "xz"} {
		if strings.HasPrefix(string(head), magic) {
			return invalid("its extension says tar, its content is %s", kind)
		}
	}
	return invalid("its extension says tar, its content is not")
}

// isHeader reports whether block is the header of a tar entry: one whose checksum is right. The
// field itself, bytes 148 to 155, counts as spaces; very old tars summed signed bytes.
func isHeader(block []byte) bool {
	if len(block) < blockSize || allZero(block) {
		return false
	}
	var unsigned, signed int64
	for i, b := range block {
		if 148 <= i && i < 156 {
			b = ' '
		}
		unsigned += int64(b)
		signed += int64(int8(b))
	}
	sum := octal(block[148:156])
	return sum == unsigned || sum == signed
}

// octal reads a number as tar writes it, with spaces and NULs around it, and returns -1 for
// anything else.
func octal(field []byte) int64 {
	digits := strings.Trim(string(field), " \x00")
	if digits == "" {
		return -1
	}
	n := int64(0)
	for _, d := range []byte(digits) {
		if d < '0' || d > '7' {
			return -1
		}
		n = n<<3 | int64(d-'0')
	}
	return n
}
