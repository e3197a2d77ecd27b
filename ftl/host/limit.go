package host

import (
	"context"
	"strings"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// countRemoval returns the count with one removal more. What a person has forced
// is not counted, and ends the day.
func (l *locked) countRemoval(force bool) (tree.Removals, error) {
	if force {
		return tree.Removals{}, nil
	}
	count, err := l.CountRemovals()
	count.Gone++
	return count, err
}

// exceeded is the error of a sync that leaves revisions alone because too many
// would go. A person may say that they are to go.
func (p *pkg) exceeded(count tree.Removals, stay []revision.Revision) error {
	names := make([]string, len(stay))
	for i, r := range stay {
		names[i] = r.String()
	}
	err := ftl.Errorf(ftl.Refused, "if they are to go: ftl sync --force "+p.Name.String(),
		"at most %d revisions are removed in a day; these are not wanted any more, and stay: %s", count.Limit(), strings.Join(names, ", "))
	err.Waiting = count.Told
	return err
}

// leaveExceeding tells of the revisions that stay though nobody wants them. Cron
// is told once in a day.
func (p *pkg) leaveExceeding(ctx context.Context, stay []revision.Revision) error {
	if len(stay) == 0 {
		return nil
	}
	count, err := p.CountRemovals()
	if err != nil {
		return err
	}
	err = p.exceeded(count, stay)
	if count.Told {
		return err
	}
	count.Told = true
	return ftl.Join(err, p.update(ctx, p.host.lockWait(), func(st *tree.State) { st.Removals = count }))
}
