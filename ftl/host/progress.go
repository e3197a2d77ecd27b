package host

import (
	"io"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/internal/counting"
	"github.com/rhettg/ftl/revision"
)

func (p *teller) progress(r revision.Revision, step ftl.Step, done, total int64) {
	if p.host.Progress != nil {
		p.host.Progress(ftl.Progress{Package: p.Name, Revision: r, Step: step, Done: done, Total: total})
	}
}

// watch tells of a restore.
func (p *teller) watch(r revision.Revision, now archive.Progress) {
	p.progress(r, ftl.Fetch, now.Fetched, now.ToFetch)
	p.progress(r, ftl.Unpack, now.Written, now.ToWrite)
}

// watched tells of the reading of a whole archive.
func (p *teller) watched(r revision.Revision, step ftl.Step, from io.Reader, total int64) io.Reader {
	if p.host.Progress == nil {
		return from
	}
	var done int64
	return counting.Reader(from, func(n int64) {
		done += n
		p.progress(r, step, done, total)
	})
}
