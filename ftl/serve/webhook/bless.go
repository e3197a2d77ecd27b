package webhook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// The labels by which a commit, or else the tag of an image, leads to a revision.
const (
	labelCommit = "commit"
	labelTag    = "image-tag"
)

// What is said of a revision that is looked for.
const (
	maxSearched = 200 // of the newest revisions
	parallel    = 16
)

func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// failed makes a problem of an error of the bucket, or of whoever writes it.
func (r *request) failed(err error) *problem {
	if failure, ok := errors.AsType[*ftl.Error](err); ok {
		switch failure.Kind {
		case ftl.Refused:
			return refuse(http.StatusConflict, err.Error())
		case ftl.NotFound:
			return refuse(http.StatusUnprocessableEntity, err.Error())
		}
	}
	if r.older { // where 502 is for what was rolled back
		return refuse(http.StatusServiceUnavailable, err.Error())
	}
	return refuse(http.StatusBadGateway, err.Error())
}

// begin waits until nobody else blesses a package here, and returns how to let the next one.
// Elsewhere the marker's condition keeps two apart.
func (h *Hook) begin(ctx context.Context, pkg revision.Package) (end func(), err error) {
	h.mu.Lock()
	turn, known := h.turns[pkg]
	if !known {
		turn = make(chan struct{}, 1)
		h.turns[pkg] = turn
	}
	h.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// A situation is what a package is in when a request comes.
type situation struct {
	marker    catalog.Marker
	active    catalog.Entry
	isActive  bool
	revisions []revision.Revision // oldest first
	hosts     []fleet.Host
	date      time.Time // the bucket's clock
	known     master.Fleet
	count     *rollout.Count // of the active entry; nil where it has no waves
}

func (h *Hook) situation(ctx context.Context, pkg revision.Package) (s situation, err error) {
	if s.revisions, s.marker, err = h.Bucket.Revisions(ctx, pkg); err != nil {
		return s, err
	}
	if s.hosts, s.date, err = h.hosts(ctx); err != nil {
		return s, err
	}
	s.known.Members = fleet.Roster(s.hosts, pkg)
	if s.active, s.isActive = s.marker.Active(); !s.isActive {
		return s, nil
	}
	s.known.OK, s.known.Bad = fleet.Outcomes(s.hosts, s.known.Members, s.active)
	if err = s.active.Understood(); err == nil {
		s.count, err = h.count(ctx, s.active)
	}
	return s, err
}

// now is how far the active entry is.
func (s situation) now() (*deployment, progress) {
	d := &deployment{entry: s.active, roster: s.known.Members}
	return d, d.progressOf(s.hosts, s.count)
}

// bless does what a request asks for. It is ended also where the sender goes away meanwhile.
func (h *Hook) bless(ctx context.Context, p proof, body []byte, res *result) {
	request := res.request
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), blessTime)
	defer cancel()
	end, err := h.begin(ctx, request.pkg)
	if err != nil {
		res.refuse(nil, err)
		return
	}
	defer end()
	note := h.seenOf(p, request, body)
	if note != nil {
		if refused, err := h.before(ctx, note); refused != nil || err != nil {
			res.refuse(refused, err)
			return
		}
	}
	s, err := h.situation(ctx, request.pkg)
	if err == nil && request.older {
		request.revision, err = h.find(ctx, request, s.revisions, res.lines)
	}
	if err != nil {
		res.refuse(nil, err)
		return
	}
	if res.problem = h.permitted(p, request, s); res.problem != nil {
		return
	}
	if note != nil {
		if refused, err := h.claim(ctx, note); refused != nil || err != nil {
			res.refuse(refused, err)
			return
		}
	}
	h.jump(ctx, s, res)
	if note == nil {
		return
	}
	if res.problem != nil {
		h.end(ctx, note, res.problem.Status, res.problem)
		return
	}
	status, answer := res.of()
	h.end(ctx, note, status, answer)
}

// refuse takes a problem, or makes one of an error.
func (r *result) refuse(refused *problem, err error) {
	if r.problem = refused; err != nil {
		r.problem = r.request.failed(err)
	}
}

// find returns the newest revision that has the label of the commit, else that of the image's tag.
// One whose manifest can't be read, or is not signed by whom that is wanted of, is none.
func (h *Hook) find(ctx context.Context, request *request, revisions []revision.Revision, lines *lines) (revision.Revision, error) {
	var byTag revision.Revision
	newest := revisions[max(0, len(revisions)-maxSearched):]
	for end := len(newest); end > 0; end -= parallel {
		chunk := newest[max(0, end-parallel):end]
		manifests := make([]catalog.Manifest, len(chunk))
		group, ctx := errgroup.WithContext(ctx)
		for i, r := range chunk {
			group.Go(func() error {
				manifest, err := h.Bucket.Manifest(ctx, r)
				if manifests[i] = manifest; err != nil && !isAbsent(err) {
					manifests[i] = catalog.Manifest{}
					if context.Cause(ctx) != nil || unreachable(err) {
						return err
					}
					lines.info("%s is passed over: %v", r, err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return revision.Revision{}, err
		}
		for i := range slices.Backward(chunk) {
			labels := manifests[i].Labels
			switch {
			case labels[labelCommit] == request.commit:
				lines.info("commit %s is %s, by its label %s", request.commit, chunk[i], labelCommit)
				return chunk[i], nil
			case byTag == revision.Revision{} && request.tag != "" && labels[labelTag] == request.tag:
				byTag = chunk[i]
			}
		}
	}
	if byTag == (revision.Revision{}) {
		return byTag, ftl.Errorf(ftl.NotFound, "", "no revision of %s has the label commit=%s, or the label image-tag of the image; spool it with --label first", request.pkg, request.commit)
	}
	lines.info("image tag %s is %s, by its label %s", request.tag, byTag, labelTag)
	return byTag, nil
}

// unreachable reports whether an error says that the bucket did not answer, and nothing of what is
// in it.
func unreachable(err error) bool {
	_, ok := errors.AsType[*store.Error](err)
	return ok
}

// permitted refuses what must not be done as things are.
func (h *Hook) permitted(p proof, request *request, s situation) *problem {
	newest, _ := s.marker.Newest()
	switch {
	case request.expect != nil && *request.expect != newest.Serial:
		return refuse(http.StatusConflict, fmt.Sprintf("the newest entry of %s is serial %d, not %d", request.pkg, newest.Serial, *request.expect))
	case !request.at.IsZero() && !h.isNow(request.at):
		return refuse(http.StatusConflict, "at is not now")
	case p.kind == byHub && !request.older && request.at.IsZero() && request.expect == nil:
		return refuse(http.StatusUnprocessableEntity, "a body with this kind of signature has to say at or expect, so that it is good for once")
	case !slices.Contains(s.revisions, request.revision):
		return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("the bucket has no revision %s", request.revision))
	}
	if request.older {
		if refused := h.permittedOlder(p, request, s); refused != nil {
			return refused
		}
	}
	if request.wait > 0 && len(s.known.Members) == 0 {
		status := http.StatusConflict
		if request.older {
			status = http.StatusBadRequest
		}
		return refuse(status, fmt.Sprintf("no host that is subscribed to %s has reported lately, so there is nobody to wait for", request.pkg))
	}
	return nil
}

// permittedOlder is permitted for a body that says no time: whoever has overheard it could send it
// at any time. So it does nothing but bless what was never blessed, and is newer than what is
// active. Only a token may do more.
func (h *Hook) permittedOlder(p proof, request *request, s situation) *problem {
	r := request.revision
	if s.isActive && s.active.Revision == r {
		return nil
	}
	blessed := slices.IndexFunc(s.marker.Entries, func(e catalog.Entry) bool { return e.Revision == r })
	switch {
	case p.kind == byToken:
	case blessed >= 0:
		return refuse(http.StatusConflict, fmt.Sprintf("already done%s: %s was blessed, and something else has been since", s.marker.Entries[blessed].Origin(), r))
	case s.isActive && revision.Compare(r, s.active.Revision) < 0:
		return refuse(http.StatusConflict, fmt.Sprintf("%s is older than %s, which is active; to go back needs a token", r, s.active.Revision))
	}
	if !s.isActive {
		return nil
	}
	age := s.marker.Date.Sub(s.marker.Modified)
	if _, now := s.now(); len(s.known.Members) > 0 && !now.done && now.halted == "" && age < h.Wait {
		return tooOften(fmt.Sprintf("another deployment of %s is going on: %s was %s%s", r.Package(), s.active.Revision, s.active.Verb(), s.active.Origin()), 10*time.Second)
	}
	return nil
}

// jump blesses what is asked for.
func (h *Hook) jump(ctx context.Context, s situation, res *result) {
	request := res.request
	same := s.isActive && s.active.Revision == request.revision
	opts := master.JumpOptions{Note: request.note, Fleet: s.known, Rollout: h.Rollout, Usual: true}
	opts.Plan = func(plan *rollout.Plan) { res.lines.info("in %d waves", len(plan.Waves)) }
	switch {
	case len(request.waves) > 0:
		opts.Rollout, opts.Usual = &rollout.Options{Waves: request.waves}, false
	case request.older && same:
		if _, now := s.now(); len(now.fates[rolledBack]) == 0 {
			h.blessed(res, s, s.active, true)
			return
		}
		opts.Above, opts.Now = s.active.Serial, true // anew, and of the same content
	case request.older: // which replaces what came to nothing
		opts.Usual, opts.Now = false, opts.Rollout == nil
	}
	m := h.Master(res.who.By())
	if err := m.Jump(ctx, request.revision, opts); err != nil {
		res.refuse(nil, err)
		return
	}
	marker, err := h.Bucket.Marker(ctx, request.pkg)
	if err != nil {
		res.refuse(nil, err)
		return
	}
	newest, _ := marker.Newest()
	if newest.Revision != request.revision {
		res.problem = refuse(http.StatusConflict, fmt.Sprintf("%s is superseded: %s was %s%s", request.revision, newest.Revision, newest.Verb(), newest.Origin()))
		return
	}
	h.blessed(res, s, newest, same && newest.Serial == s.active.Serial)
}

// blessed notes what was blessed, and whom to wait for.
func (h *Hook) blessed(res *result, s situation, entry catalog.Entry, already bool) {
	request := res.request
	res.entry, res.already = entry, already
	if already {
		res.lines.info("%s is blessed already, as serial %d", entry.Revision, entry.Serial)
	} else {
		res.lines.info("%s is blessed, as serial %d", entry.Revision, entry.Serial)
	}
	if request.wait == 0 {
		return
	}
	d := &deployment{entry: entry, roster: s.known.Members, wait: request.wait, healthcheck: request.healthcheck}
	if !already {
		d.said = make(map[string]time.Time)
		for _, host := range s.hosts {
			d.said[host.Node.String()] = host.Time
		}
	}
	res.lines.info("waiting for %s, at most %v", hostCount(len(d.roster)), d.wait)
	res.followed = d
}
