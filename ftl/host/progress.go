package host

import (
	"io"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/revision"
)

// Progress is how far a step of a revision is. Of a total that is not known yet,
// 0 is told.
type Progress struct {
	Revision    revision.Revision
	Step        ftl.Step // fetch or unpack
	Done, Total int64    // bytes
}

func (p *pkg) progress(r revision.Revision, step ftl.Step, done, total int64) {
	if p.host.Progress != nil {
		p.host.Progress(Progress{r, step, done, total})
	}
}

// watch tells of a restore.
func (p *pkg) watch(r revision.Revision, now archive.Progress) {
	p.progress(r, ftl.Fetch, now.Fetched, now.ToFetch)
	p.progress(r, ftl.Unpack, now.Written, now.ToWrite)
}

// watched tells of the reading of a whole archive.
func (p *pkg) watched(r revision.Revision, step ftl.Step, from io.Reader, total int64) io.Reader {
	if p.host.Progress == nil {
		return from
	}
	return &watchedReader{from, func(done int64) { p.progress(r, step, done, total) }, 0}
}

type watchedReader struct {
	io.Reader
	tell func(done int64)
	done int64
}

func (r *watchedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.done += int64(n)
	r.tell(r.done)
	return n, err
}
