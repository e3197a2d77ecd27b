package catalog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/revision"
)

// A key of a marker's entry or of a manifest's header that begins with "!" is a critical word: it
// changes what the rest means. Whoever doesn't know it must not act on the entry or the manifest.

// isCritical reports whether a key must be known.
func isCritical(key string) bool { return strings.HasPrefix(key, "!") }

// NewerError says that something was written by a newer ftl, and can't be acted on.
type NewerError struct {
	What  string   // that was written
	Words []string // that this ftl does not know
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s says %s, which this ftl does not know: a newer ftl is needed", e.What, strings.Join(e.Words, " and "))
}

// newer refuses something with these unknown words, if there are any.
func newer(words []string, format string, args ...any) error {
	if len(words) == 0 {
		return nil
	}
	return &ftl.Error{Kind: ftl.Refused, Hint: "install a newer ftl", Err: &NewerError{fmt.Sprintf(format, args...), words}}
}

// newerIndex refuses a manifest whose index is of an unknown version.
func newerIndex(r revision.Revision, version *archive.IndexVersionError) error {
	return newer([]string{"index version " + strconv.Quote(version.Version)}, "the manifest of %s", r)
}

// Understood returns an error of kind ftl.Refused, a NewerError, unless this ftl knows all that the
// entry says. Whoever acts on an entry asks first.
func (e Entry) Understood() error { return newer(e.unknown, "the blessing of %s", e.Revision) }
