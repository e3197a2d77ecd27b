package catalog

import (
	"fmt"
	"strings"

	"github.com/rhettg/ftl/revision"
)

// maxExtension is in bytes, and leaves room for the rest of a key in a file
// system's 255.
const maxExtension = 80

// SplitName takes the name of a spooled file apart: up to the first dot it is
// the package, after it the extension, which may be empty.
func SplitName(file string) (revision.Package, string, error) {
	name, extension, _ := strings.Cut(file, ".")
	pkg, err := revision.ParsePackage(name)
	if err != nil {
		return pkg, "", fmt.Errorf("the package is the name %q up to the first dot: %w; rename it", file, err)
	}
	switch {
	case extension == manifestExtension || strings.HasSuffix(extension, "."+manifestExtension):
		return pkg, "", fmt.Errorf("the extension of %q is reserved for manifests; rename it", file)
	case strings.HasSuffix(file, "."):
		return pkg, "", fmt.Errorf("the name %q ends with a dot; rename it", file)
	case len(extension) > maxExtension:
		return pkg, "", fmt.Errorf("the extension of %q is longer than %d bytes; rename it", file, maxExtension)
	}
	for _, c := range []byte(extension) {
		if !strings.ContainsRune("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-+~", rune(c)) {
			return pkg, "", fmt.Errorf("the extension of %q has a character other than letters, digits, . _ - + and ~; rename it", file)
		}
	}
	return pkg, extension, nil
}
