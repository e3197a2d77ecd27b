package host

import (
	"context"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// A package that was retired is gone from the bucket on purpose. What is here runs on, nothing is
// fetched or removed, and nothing of that is a failure, until the package is removed here or
// blessed again there.

// tellRetired notes that the newest entry retires the package, and tells it once.
func (p *pkg) tellRetired(ctx context.Context, st *tree.State, entry catalog.Entry) error {
	newest := tree.MarkOf(entry)
	if st.Retired == newest || !entry.Retired {
		return nil
	}
	message := "what is here stays; to end that: ftl remove " + p.Name.String()
	p.tellAtOnce(revision.Revision{}, ftl.Retire, message)
	return p.update(ctx, p.host.lockWait(), func(st *tree.State) { st.Retired = newest })
}

// retired reports whether the package is, as far as is known. A marker that has gone since is none
// of this host's business.
func (f facts) retired() bool {
	if _, marked := f.marker.Newest(); f.known() && marked {
		return f.marker.Retired()
	}
	return f.state.IsRetired()
}

// retirement is the only decision, beside what is wrong with the host itself, about a package that
// was retired.
func (s situation) retirement() ftl.Decision {
	d := ftl.Decision{
		About: aboutBlessed, Condition: ftl.Retired,
		Message: "it was retired from the bucket, and nothing of it runs here",
		Hint:    "ftl remove " + s.seen.name.String() + " removes it from this host",
	}
	if current := s.seen.links.Current; current != (revision.Revision{}) {
		d.Message = "it was retired from the bucket; " + current.String() + " runs on here"
	}
	if newest, marked := s.seen.marker.Newest(); marked {
		d.Since = ftl.At(newest.At)
		d.Message += " (retired" + newest.Origin() + note(newest) + ")"
	}
	return d
}

// note returns the note of an entry, to follow its origin.
func note(entry catalog.Entry) string {
	if entry.Note == "" {
		return ""
	}
	return ": " + entry.Note
}
