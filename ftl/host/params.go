package host

import (
	"github.com/rhettg/ftl/ftl/catalog"
)

// with returns parameters as the end of a sentence, "" where there are none.
func with(params catalog.Params) string {
	if len(params) == 0 {
		return ""
	}
	return ", with " + params.String()
}
