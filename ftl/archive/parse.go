package archive

import "fmt"

// PackedExtension is that of the archives that Pack writes.
const PackedExtension = ".tar.zst"

// ParseForm returns the form whose text s is.
func ParseForm(s string) (Form, error) {
	switch form := Form(s); form {
	case Tar, TarGzip, TarZstd, Gzip, Zstd, Plain:
		return form, nil
	}
	return "", fmt.Errorf("this ftl does not know the form %q", s)
}

// Tree reports whether an archive of form f holds a tree, and not a single file.
func (f Form) Tree() bool { return f.tar() }
