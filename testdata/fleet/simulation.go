package main

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// A simulation runs the decision that hosts make, over the bucket that they make it from, with a
// clock that jumps from one event to the next. Reports, the plan, the marker, votes and the
// decision are the product's own. What a host does with them is as package host does it; how long
// hooks take, and what becomes of the revision, is up to the scenario.
type simulation struct {
	scenario
	damage
	random  *rand.Rand
	now     time.Time
	turn    int
	queue   queue
	bucket  *memory
	catalog *catalog.Catalog
	hosts   []*host
	reports []fleet.Host // that the blessing was planned by
	first   catalog.Entry
	votes   votesAt
	oracle  oracle

	seen seen
}

// scenario says what happens to a fleet.
type scenario struct {
	Seed    uint64
	Hosts   int
	Waves   string
	Every   time.Duration // between two syncs of a host
	Splay   time.Duration
	Hook    time.Duration // how long the hooks of a jump take, at most
	Fate    fate
	Part    float64       // of the hosts that a fate meets; 0 is all
	Dead    float64       // part of the hosts that are off, though they have reported lately
	Off     int           // so many are off, beside those
	Churn   float64       // part of the hosts that leave within an hour, and are replaced by new ones
	Failing float64       // part of the listings that fail
	Clock   time.Duration // by which the clocks of some hosts are set to another time once, while it goes on
	Liars   int           // hosts that vote that all is well from the beginning, in their own wave or the first one
	Newer   time.Duration // after which another revision is blessed, without waves; 0 is never
	Long    time.Duration
}

// fate is what becomes of the revision on a host.
type fate string

const (
	good       fate = "good"
	failsCheck fate = "fails its check"
	kills      fate = "kills the host at the flip"
	killsLater fate = "kills the host 5 minutes after its ok"
	failsLate  fate = "fails its check after 40 minutes"
)

// What is later than the flip.
const (
	killedAfter = 5 * time.Minute
	failedAfter = 40 * time.Minute
)

// damage breaks one of the rules, to see that the simulation notices. The zero value breaks none.
type damage struct {
	plan   func(*rollout.Plan)
	count  func(*rollout.Count) *rollout.Count
	votes  func([]rollout.Vote) []rollout.Vote
	decide func(*rollout.Count, rollout.Host) rollout.Decision

	noLastLook, noHealth, noTry, unknownIsNothing, followsOlder bool
}

// seen is what the simulation saw.
type seen struct {
	Ran               int           // hosts that ever ran the revision
	RanAtHalt         int           // when it was halted
	Halted            time.Duration // since the blessing; 0 is never
	Finished          time.Duration // when 95 % of the hosts that live ran it; 0 is never
	Settled           bool
	Reached           int      // the last wave that opened, from 0
	Violations        []string // of the properties
	Gets, Lists, Puts int
}

// host is one of the hosts.
type host struct {
	name  string
	place float64 // in the order, from 0 to 1
	own   int     // wave of its place, from 0
	dead  bool
	met   bool // by the fate
	liar  bool
	lies  int  // the wave of which it says that it is well
	isNew bool // it came after the blessing

	seen     int64             // the newest serial that it has read
	current  revision.Revision // zero where nothing is active
	joined   int               // wave, from 1
	flipped  time.Time
	verdict  rollout.Kind // its last vote
	voted    time.Time
	sawHalt  bool // at its last look
	settled  bool
	rejected bool
	busy     bool // in a jump
	clock    time.Duration
}

// runs reports whether the revision that is rolled out is active on the host.
func (h *host) runs() bool { return h.current == rev }

var (
	begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	base  = mustParse("my_site.2026112140000Ab")
	rev   = mustParse("my_site.2026112143200Wq")
	newer = mustParse("my_site.2026112150000Xy")
)

func mustParse(name string) revision.Revision {
	r, err := revision.Parse(name)
	if err != nil {
		panic(err)
	}
	return r
}

// event is something that happens at a time.
type event struct {
	at   time.Time
	turn int // of those at the same time, the one that was planned first
	do   func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(q[i].at.Compare(q[j].at), cmp.Compare(q[i].turn, q[j].turn)) < 0
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(e any)   { *q = append(*q, e.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (s *simulation) after(wait time.Duration, do func()) {
	s.turn++
	heap.Push(&s.queue, event{s.now.Add(wait), s.turn, do})
}

// simulate runs a scenario to its end.
func simulate(sc scenario) (seen, error) { return simulateBroken(sc, damage{}) }

// simulateBroken does so with a rule that is broken.
func simulateBroken(sc scenario, broken damage) (seen, error) {
	s := &simulation{scenario: sc, damage: broken, random: rand.New(rand.NewPCG(sc.Seed, 1)), now: begin}
	s.bucket = &memory{now: func() time.Time { return s.now }, random: s.random, objects: make(map[string]object)}
	s.catalog = &catalog.Catalog{Bucket: s.bucket}
	if err := s.bless(); err != nil {
		return seen{}, err
	}
	s.bucket.failing = sc.Failing
	for _, h := range s.hosts {
		s.after(s.part(s.Every), func() { s.sync(h) })
		if h.liar {
			s.lie(h)
		}
		if s.Clock > 0 && s.random.IntN(2) == 0 {
			s.after(s.part(2*time.Hour), func() { h.clock = s.part(2*s.Clock) - s.Clock })
		}
	}
	if s.Churn > 0 {
		s.after(s.untilChurn(), s.churn)
	}
	if s.Newer > 0 {
		s.after(s.Newer, func() { s.must(s.write(catalog.Entry{Revision: newer, Kind: catalog.KindJump})) })
	}
	s.after(observed, s.observe)
	for len(s.queue) > 0 {
		next := heap.Pop(&s.queue).(event)
		if s.now = next.at; s.now.Sub(begin) > s.Long {
			break
		}
		next.do()
	}
	s.seen.Gets, s.seen.Lists, s.seen.Puts = s.bucket.gets, s.bucket.lists, s.bucket.puts
	return s.seen, nil
}

// must notes that the simulation itself does not work.
func (s *simulation) must(err error) {
	if err != nil {
		s.violation("the simulation: %v", err)
	}
}

// bless makes the hosts, which report, and blesses the revision in waves that are computed from
// what they report.
func (s *simulation) bless() error {
	for i := range s.Hosts {
		h := s.newHost(fmt.Sprintf("web-%d", i))
		h.current = base
		h.dead = s.random.Float64() < s.Dead
		if err := s.report(h); err != nil {
			return err
		}
	}
	s.bucket.gets, s.bucket.lists, s.bucket.puts = 0, 0, 0
	var err error
	if s.reports, _, err = (&fleet.Fleet{Catalog: s.catalog}).Read(context.Background()); err != nil {
		return err
	}
	steps, err := rollout.ParseSteps(s.Waves)
	if err != nil {
		return err
	}
	plan, err := rollout.New(rev, begin, fleet.Roster(s.reports, rev.Package()), rollout.Options{Waves: steps})
	if err != nil {
		return err
	}
	entry := catalog.Entry{Revision: rev, Kind: catalog.KindJump, Base: base, Rollout: plan}
	if err := s.write(entry); err != nil {
		return err
	}
	s.first, err = s.newest()
	if err == nil && s.first.Rollout == nil {
		err = fmt.Errorf("the entry was written with a plan, and read without: %s", s.first)
	}
	if err != nil {
		return err
	}
	s.oracle.set(s.first.Rollout)
	for _, h := range s.hosts {
		s.oracle.putIn(h)
	}
	for i, which := range s.random.Perm(len(s.hosts))[:s.Liars+s.Off] {
		s.hosts[which].liar = i < s.Liars
		s.hosts[which].dead = i >= s.Liars
	}
	if s.plan != nil {
		s.plan(s.first.Rollout)
	}
	return nil
}

// report writes what a host says of itself.
func (s *simulation) report(h *host) error {
	r := catalog.Report{
		Host: h.name, Machine: h.name, Version: "1", Time: s.now, Every: catalog.Duration(s.Every), Splay: catalog.Duration(s.Splay),
		Heartbeat: catalog.Duration(time.Hour), Hook: catalog.Duration(s.Hook), Check: catalog.Duration(time.Minute),
		Packages: []catalog.PackageReport{{Status: ftl.Status{Package: rev.Package(), Condition: ftl.OK, Current: h.current}}},
	}
	_, err := s.catalog.PutReport(context.Background(), catalog.NodeOf(h.name), r)
	return err
}

// write adds an entry to the marker.
func (s *simulation) write(entry catalog.Entry) error {
	marker, err := s.catalog.Marker(context.Background(), rev.Package())
	if err != nil {
		return err
	}
	entry.Serial, entry.At, entry.By = s.now.Unix(), s.now, "ops@simulation"
	text, err := marker.Add(&entry)
	if err != nil {
		return err
	}
	_, err = s.bucket.Put(context.Background(), catalog.MarkerKey(rev.Package()), bytes.NewReader(text), store.PutOptions{SHA256: sha256.Sum256(text)})
	return err
}

// newest reads the newest entry of the marker.
func (s *simulation) newest() (catalog.Entry, error) {
	marker, err := s.catalog.Marker(context.Background(), rev.Package())
	if err != nil {
		return catalog.Entry{}, err
	}
	entry, _ := marker.Active()
	return entry, entry.Understood()
}

func (s *simulation) newHost(name string) *host {
	h := &host{name: name, met: s.Fate != good && (s.Part == 0 || s.random.Float64() < s.Part)}
	s.hosts = append(s.hosts, h)
	return h
}

// part returns a random part of a time.
func (s *simulation) part(of time.Duration) time.Duration {
	return time.Duration(s.random.Float64() * float64(of))
}

func (s *simulation) untilChurn() time.Duration {
	perHour := s.Churn * float64(s.Hosts)
	return time.Duration(s.random.ExpFloat64() / perHour * float64(time.Hour))
}

// churn takes a host out of service, and brings a new one.
func (s *simulation) churn() {
	s.hosts[s.random.IntN(len(s.hosts))].dead = true
	h := s.newHost(fmt.Sprintf("new-%d", len(s.hosts)))
	h.isNew = true
	s.oracle.putIn(h)
	s.after(s.part(s.Every), func() { s.sync(h) })
	s.after(s.untilChurn(), s.churn)
}

// sync is one of a host, and plans the next one. It reads the epoch, and where the host is not at
// rest, the marker, the revisions there are, and the votes.
func (s *simulation) sync(h *host) {
	if h.dead {
		return
	}
	jitter := s.part(s.Every/5) - s.Every/10
	s.after(s.Every+jitter+s.part(s.Splay/10), func() { s.sync(h) })
	s.bucket.gets++
	if h.busy || s.atRest(h) {
		return
	}
	entry, err := s.read(h)
	if err != nil {
		return
	}
	if entry.Rollout == nil {
		s.run(h, entry.Revision)
		return
	}
	h.seen = max(h.seen, entry.Serial)
	switch c, ok := s.look(); {
	case h.runs():
		if ok {
			h.settled = !c.Settled.IsZero()
		}
		s.stayWell(h)
	case ok:
		s.follow(h, c)
	}
}

// atRest reports whether a host has nothing to wait for. A newer entry changes the epoch.
func (s *simulation) atRest(h *host) bool {
	if s.Newer > 0 && s.now.Sub(begin) >= s.Newer {
		return h.current == newer && !s.followsOlder
	}
	return h.rejected || h.runs() && h.settled
}

// read returns the newest entry. A simulation of many hosts parses a marker once.
func (s *simulation) read(h *host) (catalog.Entry, error) {
	s.bucket.gets++
	s.bucket.lists++ // the revisions
	if s.Newer == 0 || s.now.Sub(begin) < s.Newer || s.followsOlder && h.seen > s.first.Serial {
		return s.first, nil
	}
	s.bucket.gets--
	return s.newest()
}

// run makes a revision active.
func (s *simulation) run(h *host, r revision.Revision) {
	if r != base && r != rev && r != newer || h.isNew && h.current != (revision.Revision{}) && h.current != base && r == base {
		s.violation("P4: %s goes from %s to %s", h.name, h.current, r)
	}
	if r == rev && h.seen > s.first.Serial {
		s.violation("P5: %s flips to %s, and has seen a newer entry", h.name, r)
	}
	h.current = r
	if r == newer {
		h.seen = s.first.Serial + 1
	}
}

// votesAt is the last listing of the votes, and what it comes to. Listing many of them takes a
// while, so a host goes by what is some seconds old, as in life.
type votesAt struct {
	at      time.Time
	pages   int
	count   *rollout.Count
	version int // of the bucket
	listing catalog.Votes
}

const pageTakes = 200 * time.Millisecond

// look returns what the votes say, and false where they could not be listed.
func (s *simulation) look() (*rollout.Count, bool) {
	pages := max(1, s.votes.pages)
	if s.votes.count != nil && s.now.Sub(s.votes.at) < time.Duration(pages)*pageTakes {
		if s.bucket.listAgain(pages) != nil {
			return s.unknown()
		}
		return s.votes.count, true
	}
	before := s.bucket.lists
	votes, err := s.listed()
	if err != nil {
		return s.unknown()
	}
	s.votes.at, s.votes.pages, s.votes.count = s.now, s.bucket.lists-before, s.counted(votes)
	s.note(s.votes.count)
	return s.votes.count, true
}

// listed lists the votes. Those of a bucket that has not changed are not read anew.
func (s *simulation) listed() (catalog.Votes, error) {
	if s.votes.version == s.bucket.version {
		votes := s.votes.listing
		votes.Date = s.now
		return votes, s.bucket.listAgain(s.votes.pages)
	}
	votes, err := s.catalog.Votes(context.Background(), rev.Package(), s.first.Serial)
	if err == nil {
		s.votes.version, s.votes.listing = s.bucket.version, votes
	}
	return votes, err
}

// unknown is what a host makes of votes that it could not list.
func (s *simulation) unknown() (*rollout.Count, bool) {
	if s.unknownIsNothing {
		return s.counted(catalog.Votes{Date: s.now}), true
	}
	return nil, false
}

func (s *simulation) counted(votes catalog.Votes) *rollout.Count {
	if s.damage.votes != nil {
		votes.Votes = s.damage.votes(votes.Votes)
	}
	c := votes.Count(s.first.Rollout)
	if s.damage.count != nil {
		c = s.damage.count(c)
	}
	return c
}

func (s *simulation) violation(format string, args ...any) {
	s.seen.Violations = append(s.seen.Violations, fmt.Sprintf("after %v: ", s.now.Sub(begin).Round(time.Second))+fmt.Sprintf(format, args...))
}

// decision is what a host may do by what the votes say.
func (s *simulation) decision(h *host, c *rollout.Count) rollout.Decision {
	decide := (*rollout.Count).Decide
	if s.decide != nil {
		decide = s.decide
	}
	empty := h.current == revision.Revision{}
	d := decide(c, rollout.Host{Name: h.name, Joined: h.joined, Runs: h.runs(), Empty: empty})
	h.sawHalt = c.Halt != nil
	s.judgeDecision(h, d, empty)
	return d
}

// follow is what a host does that does not run the revision yet.
func (s *simulation) follow(h *host, c *rollout.Count) {
	switch d := s.decision(h, c); d.Act {
	case rollout.Base:
		s.run(h, base)
	case rollout.Go:
		h.joined, h.busy = d.Wave+1, true
		s.after(s.part(s.Hook)/2, func() { s.begin(h) }) // fetch, post-sync, pre-jump
	}
}

// begin is the last look, the vote that says so, and the flip.
func (s *simulation) begin(h *host) {
	if h.dead {
		return
	}
	if !s.noLastLook {
		c, ok := s.look()
		if !ok || s.decision(h, c).Act != rollout.Go {
			h.busy = false
			return
		}
	}
	s.judgeBegin(h)
	if !s.noTry {
		s.vote(h, rollout.Try)
	}
	s.after(s.part(s.Hook)/2, func() { s.flip(h) })
}

func (s *simulation) vote(h *host, kind rollout.Kind) {
	h.verdict, h.voted = kind, s.now
	if h.liar {
		return
	}
	s.noteOpen()
	vote := rollout.Vote{Host: catalog.NodeOf(h.name).String(), Kind: kind, Wave: h.joined - 1}
	s.must(s.catalog.Vote(context.Background(), rev.Package(), s.first.Serial, vote))
}

// lie says that all is well, though the host does not even run it.
func (s *simulation) lie(h *host) {
	h.lies = h.own * s.random.IntN(2)
	vote := rollout.Vote{Host: catalog.NodeOf(h.name).String(), Kind: rollout.Well, Wave: h.lies}
	s.must(s.catalog.Vote(context.Background(), rev.Package(), s.first.Serial, vote))
	s.noteOpen()
}

// flip is what comes after the last look: the host runs the revision, for whatever that is worth.
func (s *simulation) flip(h *host) {
	if h.dead {
		return
	}
	h.busy, h.flipped = false, s.now
	s.run(h, rev)
	s.seen.Ran++
	switch {
	case h.met && s.Fate == kills:
		h.dead = true
	case h.met && s.Fate == failsCheck:
		s.reject(h)
	default:
		s.vote(h, rollout.OK)
		if h.met && s.Fate == killsLater {
			s.after(killedAfter, func() { h.dead = true })
		}
	}
	s.finished()
}

func (s *simulation) reject(h *host) {
	s.vote(h, rollout.Bad)
	h.rejected, h.current = true, base
}

// stayWell is what a host does at a sync that runs the revision: its check is asked until the
// rollout is settled, also where the votes could not be listed.
func (s *simulation) stayWell(h *host) {
	failed := h.met && s.Fate == failsLate && s.now.Sub(h.flipped) >= failedAfter && !s.noHealth
	switch {
	case failed && h.verdict != rollout.Bad:
		c, ok := s.look()
		if !ok || c.Halt != nil { // what all suffer from is not mended by all going back
			s.vote(h, rollout.Bad)
			return
		}
		s.reject(h)
	case !failed && h.verdict == rollout.OK && s.now.Add(h.clock).Sub(h.flipped) >= s.oracle.waves[h.joined-1].Soak:
		s.vote(h, rollout.Well)
	}
}

// finished notes when nearly all hosts that live run the revision.
func (s *simulation) finished() {
	if s.seen.Finished != 0 || s.seen.Ran*100 < s.Hosts*80 {
		return
	}
	living, running := 0, 0
	for _, h := range s.hosts {
		if !h.dead {
			living++
			if h.runs() {
				running++
			}
		}
	}
	if running*100 >= living*95 {
		s.seen.Finished = s.now.Sub(begin)
	}
}
