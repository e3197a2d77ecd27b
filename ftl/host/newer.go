package host

import (
	"context"
	"errors"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// tellNewer makes an error that is told once a blessing of one that says that a newer ftl wrote
// something about r. What is not blessed can wait without a word.
func (p *pkg) tellNewer(ctx context.Context, r revision.Revision, cause error) error {
	st, err := p.ReadState()
	if err != nil {
		return ftl.Join(cause, err)
	}
	failure, ok := errors.AsType[*ftl.Error](cause)
	if !ok {
		return cause
	}
	told := *failure
	told.Err = cause
	told.Waiting = r != st.Seen.Revision || st.TooNew == st.Seen
	if told.Waiting {
		return &told
	}
	return ftl.Join(&told, p.update(ctx, p.host.lockWait(), func(st *tree.State) { st.TooNew = st.Seen }))
}

// isNewer reports whether an error says that a newer ftl is needed.
func isNewer(err error) bool {
	_, newer := errors.AsType[*catalog.NewerError](err)
	return newer
}
