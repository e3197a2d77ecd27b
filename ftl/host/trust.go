package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
)

// A host that trusts some keys runs nothing else: what a blessing names is fetched once the
// blessing was verified, and made ready once its manifest was. The catalog verifies; the host keeps
// how far it has come, so that nothing older comes back, and what it has verified, so that nothing
// else is jumped to.

// Trust is whom a host trusts.
type Trust struct {
	// List are the keys. Nil: signatures are not looked at, which a package that was once verified
	// refuses, unless Ended.
	List  *catalog.Trust
	Ended bool          // somebody has said that signatures are not to be looked at any more
	Sum   string        // changes with the list
	Age   time.Duration // after which it is told that nothing new was signed; 0 is never
	// Prefetch fetches also what is signed and not blessed yet, and runs its post-sync.
	Prefetch bool
}

// trusting is who is trusted, for the state.
func (h *Host) trusting() tree.Trusting {
	if h.Trust.List == nil {
		return nil
	}
	return h.Trust.List
}

// checkTrust refuses to change a package without looking at signatures, once they were verified.
func (p *pkg) checkTrust() error {
	if p.host.Trust.List != nil || p.host.Trust.Ended {
		return nil
	}
	floor, err := p.ReadFloor()
	if err != nil {
		return err
	}
	if floor.IsSet() {
		return ftl.Errorf(ftl.Refused, "set it as it was before; to go on without signatures: export FTL_ALLOWED_SIGNERS=none",
			"%s was verified before, and FTL_ALLOWED_SIGNERS is not set", p.Name)
	}
	return nil
}

// canBless reports whether a key still counts for blessings of the package.
func (p *pkg) canBless(fingerprint string) bool {
	return p.host.Trust.List.CanBless(p.Name, fingerprint)
}

// trusted returns a bucket of which only that is read which counts.
func (p *pkg) trusted(bucket *catalog.Catalog) (*catalog.Catalog, error) {
	if p.host.Trust.List == nil {
		return bucket, nil
	}
	floor, err := p.ReadFloor()
	if err != nil {
		return nil, err
	}
	list := *p.host.Trust.List
	if bucket.Trust != nil { // which knows what the bucket is called
		list.Bucket = bucket.Trust.Bucket
	}
	bucket = &catalog.Catalog{Bucket: bucket.Bucket, Trust: &list}
	return bucket.NotBefore(floor.Since(p.canBless)), nil
}

// open returns the bucket of which only that is read which counts.
func (p *pkg) openBucket(ctx context.Context) (*catalog.Catalog, error) {
	bucket, err := p.host.Open(ctx)
	if err != nil {
		return nil, err
	}
	return p.trusted(bucket)
}

// judge returns why the newest entry of a marker is not to be followed, though it was verified.
func (p *pkg) judge(marker catalog.Marker) error {
	entry, blessed := marker.Newest()
	if p.host.Trust.List == nil || !blessed {
		return nil
	}
	floor, err := p.ReadFloor()
	if err != nil {
		return err
	}
	err = floor.Check(entry, p.canBless, marker.Clock.Earliest)
	age, limit := marker.Clock.Latest.Sub(entry.At), p.host.Trust.Age
	switch {
	case err != nil:
	case !entry.Expires.IsZero() && !marker.Clock.Latest.Before(entry.Expires):
		err = fmt.Errorf("it has expired at %s", ftl.Clock(entry.Expires))
	case !floor.IsSet() && limit > 0 && age > limit:
		err = fmt.Errorf("it was signed %s ago, and this host has followed none before", inDays(age))
	}
	if err != nil {
		return catalog.Distrust(p.Name, "the blessing of "+entry.Revision.String(), []byte(entry.String()), err)
	}
	return nil
}

// inDays is an age, for people.
func inDays(age time.Duration) string {
	if age < 48*time.Hour {
		return fmt.Sprintf("%d hours", age/time.Hour)
	}
	return fmt.Sprintf("%d days", age/(24*time.Hour))
}

// accept makes sure that the newest entry of a marker is one to follow, and notes that before
// anything is done about it.
func (p *pkg) accept(ctx context.Context, st *tree.State, marker catalog.Marker) error {
	entry, blessed := marker.Newest()
	if p.host.Trust.List == nil {
		return p.forgetTrust(ctx, st)
	}
	if !blessed {
		return nil
	}
	if err := p.judge(marker); err != nil {
		return err
	}
	floor, err := p.ReadFloor()
	if err != nil {
		return err
	}
	again := p.lookAgain(marker)
	if floor.Keys[entry.Signer.Fingerprint].Serial >= entry.Serial && st.Distrusted == (catalog.Digest{}) && st.LookAgain.Equal(again) {
		return nil
	}
	follow := func(st *tree.State) {
		st.Follow(entry, floor, p.canBless)
		st.Distrusted, st.LookAgain = catalog.Digest{}, again
	}
	follow(st)
	return p.withLock(ctx, tree.Patience{Wait: p.host.lockWait()}, func(l *locked) error {
		if err := l.RaiseFloor(entry); err != nil {
			return err
		}
		follow(l.State)
		return l.WriteState()
	})
}

// lookAgain returns when what was found may change by time alone.
func (p *pkg) lookAgain(marker catalog.Marker) time.Time {
	entry, _ := marker.Newest()
	now := marker.Clock.Latest
	next, _ := p.host.Trust.List.Signers.NextChange(now)
	times := []time.Time{entry.Expires}
	if p.host.Trust.Age > 0 {
		times = append(times, entry.At.Add(p.host.Trust.Age))
	}
	for _, at := range times {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next.UTC().Truncate(time.Second)
}

// setApart takes what was not verified for not ready.
func (p *pkg) setApart(ctx context.Context, st *tree.State, cur tree.Links) error {
	trust := p.host.trusting()
	if !st.SetApart(trust, cur) {
		return nil
	}
	return p.update(ctx, p.host.lockWait(), func(st *tree.State) { st.SetApart(trust, cur) })
}

// tellDistrust makes an error that is told once for what was found. Other errors stay as they are.
func (p *pkg) tellDistrust(ctx context.Context, cause error) error {
	distrust, ok := errors.AsType[*catalog.TrustError](cause)
	failure, known := errors.AsType[*ftl.Error](cause)
	if !ok || !known {
		return cause
	}
	p.distrust = cause
	st, err := p.ReadState()
	if err != nil {
		return ftl.Join(cause, err)
	}
	told := *failure
	told.Err = cause
	told.Waiting = st.Distrusted == distrust.Of
	if told.Waiting {
		return &told
	}
	return ftl.Join(&told, p.update(ctx, p.host.lockWait(), func(st *tree.State) { st.Distrusted = distrust.Of }))
}

// tellUnfetched tells once that the manifest of a revision does not count. It is looked at again
// after a while.
func (s *syncing) tellUnfetched(ctx context.Context, r revision.Revision, cause error) error {
	s.unfetchable = cause
	st, err := s.ReadState()
	if err != nil {
		return ftl.Join(cause, err)
	}
	failure, ok := errors.AsType[*ftl.Error](cause)
	if known := st.Failures.Of(r, ftl.Fetch); ok && known != nil {
		told := *failure
		told.Err, told.Waiting = cause, true
		cause = &told
	}
	return ftl.Join(cause, s.update(ctx, s.host.lockWait(), func(st *tree.State) { st.Fail(r, ftl.Fetch, cause, time.Now()) }))
}

// forgetTrust forgets what was noted while signatures were looked at.
func (p *pkg) forgetTrust(ctx context.Context, st *tree.State) error {
	if st.LookAgain.IsZero() && st.Distrusted == (catalog.Digest{}) {
		return nil
	}
	forget := func(st *tree.State) { st.LookAgain, st.Distrusted = time.Time{}, catalog.Digest{} }
	forget(st)
	return p.update(ctx, p.host.lockWait(), forget)
}

// prepareJump takes what was not verified for not ready, before a person's jump, and refuses to go
// back to that unless the person wants it.
func (p *pkg) prepareJump(st *tree.State, cur tree.Links, asked request) error {
	st.SetApart(p.host.trusting(), cur)
	if asked.Unverified {
		st.TakeBack(asked.to)
		return nil
	}
	if _, apart := st.Unverified[asked.to]; apart && asked.reason == tree.ReasonJumpBack {
		return ftl.Errorf(ftl.Refused, "to go back all the same: ftl jump-back --unverified "+p.Name.String()+"; to fetch and verify it anew: ftl jump "+asked.to.String(),
			"%s was not verified when it came here", asked.to)
	}
	return nil
}

// usableFor is usable for what a person asks for.
func (p *pkg) usableFor(st *tree.State, asked request, usable func(revision.Revision) bool) func(revision.Revision) bool {
	return func(r revision.Revision) bool {
		return usable(r) || asked.Unverified && r == asked.to && st.IsReady(r) && p.CheckTree(r) == nil
	}
}

// checkStart refuses to run hooks of what is active and was not verified. What runs goes on.
func (l *locked) checkStart(r revision.Revision) error {
	if l.host.trusting() == nil || l.State.IsVerified(r, l.host.trusting()) {
		return nil
	}
	return ftl.Errorf(ftl.Refused, "bless another revision, or spool it anew and bless that",
		"%s was not verified when it came here, so nothing of it is started", r)
}

// verification says whether what is here and what is blessed were verified; "" where nobody has
// signed anything.
func (f facts) verification() ftl.Trust {
	_, currentReady := f.state.Ready[f.links.Current]
	switch {
	case !f.trusts && (f.trustEnded || f.newestSigned()):
		return ftl.NotVerified
	case !f.trusts:
		return ""
	case f.isUnfetchable():
		return ftl.Distrusted
	case f.distrust != nil || !f.known() && f.state.Distrusted != (catalog.Digest{}):
		return ftl.Distrusted
	case currentReady && !f.verified:
		return ftl.NotVerified
	}
	return ftl.Verified
}

// isUnfetchable reports whether what is blessed can't be fetched, as its manifest does not count.
func (f facts) isUnfetchable() bool {
	_, distrusted := errors.AsType[*catalog.TrustError](f.unfetchable)
	return distrusted
}

func (f facts) newestSigned() bool {
	newest, _ := f.marker.Newest()
	return f.known() && newest.Signed
}

// trust is about whether signatures let the host follow.
func (s situation) trust() ftl.Decision {
	d := ftl.Decision{About: aboutTrust}
	newest, blessed := s.seen.marker.Newest()
	current := s.seen.links.Current.String()
	switch verification := s.seen.verification(); {
	case verification == "", s.seen.isUnfetchable(): // which is said where it is fetched
		return ftl.Decision{}
	case verification == ftl.Distrusted:
		d.Condition, d.Since = ftl.Failed, ftl.At(s.streak.since)
		d.Message, d.Hint = "what the last sync found in the bucket is not trusted, and nothing of it was fetched", "set FTL_BUCKET as for sync, then: ftl why "+s.seen.name.String()
		if err := s.seen.distrust; err != nil {
			d.Message, d.Err, d.Hint = err.Error()+"; nothing of it is fetched", err, distrustHint(s.seen.name, err)
		}
		return d
	case verification == ftl.NotVerified:
		d.Message = "not verified: this host looks at no signatures"
		if s.seen.trusts {
			d.Message = current + " was not verified when it came here; it runs on"
		}
		return d
	}
	d.Message = "signatures are required"
	if s.seen.known() && blessed {
		d.Message = fmt.Sprintf("verified: signed by %s", newest.Signer)
		return s.fresh(d, newest)
	}
	return d
}

// fresh adds how long nothing new was signed, and when what is signed expires.
func (s situation) fresh(d ftl.Decision, newest catalog.Entry) ftl.Decision {
	now, limit := s.seen.marker.Clock.Latest, s.seen.trustAge
	if age := now.Sub(newest.At); limit > 0 && age > limit {
		d.Condition, d.Since, d.Message = ftl.Failed, ftl.At(newest.At.Add(limit)), "nothing new was signed for "+inDays(age)
		d.Hint = "sign it again, where the keys are: " + renewCommand(s.seen.name)
		return d
	}
	if !newest.Expires.IsZero() {
		d.Message += ", until " + ftl.Clock(newest.Expires)
		if life := newest.Expires.Sub(newest.At); now.Sub(newest.At) > life*2/3 {
			d.Message += ", which is soon"
			d.Hint = "sign it again, where the keys are: " + renewCommand(s.seen.name)
		}
	}
	return d
}

func renewCommand(pkg revision.Package) string { return "ftl renew --master " + pkg.String() }

// distrustHint says what helps against an error of trust.
func distrustHint(pkg revision.Package, err error) string {
	refusal, ok := errors.AsType[*trust.Refusal](err)
	switch {
	case errors.Is(err, catalog.ErrUnsigned):
		return "bless it again, where the keys are: ftl jump --master --again REVISION"
	case ok && refusal.Why == trust.NotListed:
		return "is " + refusal.Fingerprint + " a key of yours? Then it belongs into FTL_ALLOWED_SIGNERS; otherwise find out who can write to the bucket"
	}
	return "find out who has written it: the bucket's own log of accesses tells"
}
