package ftl

import "github.com/rhettg/ftl/revision"

// Progress is how far a step is, in bytes. Of a total that is not known yet, 0 is told.
type Progress struct {
	Package     revision.Package
	Revision    revision.Revision // zero while it has no name yet
	Step        Step              // fetch, unpack, pack or upload
	Done, Total int64
}
