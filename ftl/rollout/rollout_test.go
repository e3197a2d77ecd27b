package rollout

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/revision"
)

var (
	rev   = mustParse("my_site.2026112145296Wq")
	begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
)

func mustParse(name string) revision.Revision {
	r, err := revision.Parse(name)
	if err != nil {
		panic(err)
	}
	return r
}

func after(minutes float64) time.Time {
	return begin.Add(time.Duration(minutes * float64(time.Minute)))
}

// fleet returns n members that sync each five minutes.
func fleet(n int) []Member {
	members := make([]Member, n)
	for i := range members {
		members[i] = Member{Host: fmt.Sprintf("web-%d", i), Every: 5 * time.Minute, Hook: 10 * time.Minute, Checks: time.Minute}
	}
	return members
}

// inOrder returns the names of the members in the order of a rollout.
func inOrder(p *Plan, members []Member) []string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Host
	}
	slices.SortFunc(names, func(a, b string) int {
		if p.place(a) < p.place(b) {
			return -1
		}
		return 1
	})
	return names
}

func newPlan(t testing.TB, members []Member, opts Options) *Plan {
	t.Helper()
	if opts.Waves == nil {
		opts.Waves = waves(t, "1,5%,25%")
	}
	p, err := New(rev, begin, members, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func waves(t testing.TB, text string) []Step {
	t.Helper()
	steps, err := ParseSteps(text)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// Every ftl has to put a host in the same place, so this must never change.
func TestPlaceOf(t *testing.T) {
	for host, want := range map[string]string{"web-1": "0b86f051de160565", "web-2": "188a7e22a2e42b19"} {
		if got := PlaceOf(rev, host).String(); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

func TestNewWaves(t *testing.T) {
	for n, want := range map[int]struct{ upto, need, halt []int }{
		1:      {[]int{1}, []int{1}, []int{1}},
		2:      {[]int{1, 2}, []int{1, 1}, []int{1, 1}},
		5:      {[]int{1, 2, 5}, []int{1, 1, 3}, []int{1, 1, 1}},
		40:     {[]int{1, 2, 10, 40}, []int{1, 1, 7, 24}, []int{1, 1, 1, 1}},
		400:    {[]int{1, 20, 100, 400}, []int{1, 16, 64, 240}, []int{1, 1, 3, 9}},
		10_000: {[]int{1, 500, 2500, 10_000}, []int{1, 400, 900, 6000}, []int{1, 11, 51, 201}},
	} {
		members := fleet(n)
		p := newPlan(t, members, Options{})
		var upto, need, halt []int
		for _, w := range p.Waves {
			upto, need, halt = append(upto, w.Upto), append(need, w.Need), append(halt, w.Halt)
		}
		if !slices.Equal(upto, want.upto) || !slices.Equal(need, want.need) || !slices.Equal(halt, want.halt) {
			t.Errorf("%d hosts: got %v %v %v, want %v", n, upto, need, halt, want)
		}
		for i, host := range inOrder(p, members) {
			k, reached := p.wave(p.place(host))
			if i >= p.Waves[k].Upto || k > 0 && i < p.Waves[k-1].Upto || !reached {
				t.Fatalf("%d hosts: host %d is in wave %d", n, i, k)
			}
		}
	}
}

func TestNewTimes(t *testing.T) {
	members := fleet(400)
	p := newPlan(t, members, Options{})
	if want := 31 * time.Minute; p.Verdict != want { // 2 × 10m + 1m + 2 × 5m
		t.Errorf("verdict: got %v, want %v", p.Verdict, want)
	}
	if want := 15 * time.Minute; p.Patience != want {
		t.Errorf("patience: got %v, want %v", p.Patience, want)
	}
	if got := p.Waves[3].Over; got != 0 {
		t.Errorf("over: got %v for hosts that sync each five minutes, want 0", got)
	}
	for i := range members {
		members[i].Every = time.Minute
	}
	p = newPlan(t, members, Options{AtOnce: Amount{Count: 10}})
	if got, want := p.Waves[3].Over, 30*time.Second; got != want {
		t.Errorf("over: got %v, want %v", got, want)
	}
	if got, want := p.Patience, 30*23*time.Minute; got != want { // 300 hosts, ten at once
		t.Errorf("patience: got %v, want %v", got, want)
	}
}

func TestNewOrder(t *testing.T) {
	members := fleet(10)
	members[3].Last = true
	members[5].First = true
	p := newPlan(t, members, Options{Waves: waves(t, "1,50%,90%"), First: []string{"web-7", "elsewhere"}, Canaries: true})
	if want := []string{"web-5", "web-7"}; !slices.Equal(p.First, want) || p.Waves[0].Upto != 2 {
		t.Errorf("got %v in a wave of %d, want %v", p.First, p.Waves[0].Upto, want)
	}
	for _, name := range p.First {
		if k, _ := p.wave(p.place(name)); k != 0 {
			t.Errorf("%s is in wave %d, want 0", name, k)
		}
	}
	votes := []Vote{{"web-5", Well, 0, after(10)}, {"web-7", Well, 0, after(10)}}
	d := p.Count(votes, after(11)).Decide(Host{Name: "web-3", Last: true})
	if d.Own != len(p.Waves)-1 || d.Act != Wait {
		t.Errorf("the host that wants to come last: got %+v", d)
	}
}

func TestNewUntil(t *testing.T) {
	members := fleet(100)
	p := newPlan(t, members, Options{Until: Amount{Percent: 5}})
	if got := p.Waves[p.last()].Upto; got != 5 || !p.Limited {
		t.Fatalf("got %d hosts, limited %v; want 5, true", got, p.Limited)
	}
	order := inOrder(p, members)
	if d := p.Count(nil, begin).Decide(Host{Name: order[50]}); d.Act != Wait || d.Reason != IsBeyond || !d.Next.IsZero() {
		t.Errorf("a host beyond: got %+v", d)
	}
}

func TestNewWithoutMembers(t *testing.T) {
	if _, err := New(rev, begin, nil, Options{}); err != ErrNobody {
		t.Errorf("got %v, want %v", err, ErrNobody)
	}
	p, err := New(rev, begin, nil, Options{Over: 2 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	went := 0
	for i := range 1000 {
		if p.Count(nil, after(60)).Decide(Host{Name: fmt.Sprint(i)}).Act == Go {
			went++
		}
	}
	if went < 400 || went > 600 {
		t.Errorf("after half of the time %d of 1000 hosts go", went)
	}
}

func TestTextRoundTrip(t *testing.T) {
	members := fleet(40)
	members[4].First = true
	p := newPlan(t, members, Options{Canaries: true, AtOnce: Amount{Percent: 10}, Back: true, Until: Amount{Count: 20}, Over: time.Minute})
	p.Waves[0].Hosts = []string{"web-4"}
	got, err := Parse(p.String())
	if err != nil {
		t.Fatal(err)
	}
	got.Revision, got.Opened = p.Revision, p.Opened
	if !reflect.DeepEqual(got, p) {
		t.Errorf("got %v, want %v", got, p)
	}
}

func TestParseRefuses(t *testing.T) {
	good := newPlan(t, fleet(40), Options{}).String()
	if _, err := Parse(good); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"1 n=", "2 n="},
		{"verdict=", "verdicts="},
		{"verdict=31m", "verdict=-31m"},
		{" verdict=31m", ""},
		{"patience=15m", "patience=0s"},
		{"w=*/40/24/1/10m", "w=*/10/24/1/10m"},
		{"w=*/40/24/1/10m", "w=*/41/24/1/10m"},
		{"w=*/40/24/1/10m", "w=0000000000000000/40/24/1/10m"},
		{"w=*/40/24/1/10m", "w=*/40/24/1"},
		{"n=40", "n=4e1"},
		{"n=40", "n=40 hosts=9:a"},
		{"n=40", "n=40 first=a,,b"},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if text == good {
			t.Errorf("%q is not in %q", change[0], good)
		}
		if _, err := Parse(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(newPlan(f, fleet(40), Options{}).String())
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(p.String())
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%q: got %v, %v; want %v", text, again, err, p)
		}
		p.Revision, p.Opened = rev, begin
		p.Count([]Vote{{"a", Try, 0, begin}}, after(600)).Decide(Host{Name: "b"}) // returns
	})
}

func TestWavesOpenByVotes(t *testing.T) {
	members := fleet(5)
	p := newPlan(t, members, Options{})
	order := inOrder(p, members)
	act := func(votes []Vote, minutes float64, host int) Decision {
		return p.Count(votes, after(minutes)).Decide(Host{Name: order[host]})
	}
	if d := act(nil, 0, 0); d.Act != Go || d.Wave != 0 {
		t.Errorf("the first host: got %+v", d)
	}
	if d := act(nil, 0, 1); d.Act != Wait || d.Reason != IsShut || !d.Next.Equal(after(10)) {
		t.Errorf("the second host: got %+v", d)
	}
	votes := []Vote{{order[0], Try, 0, after(1)}, {order[0], OK, 0, after(2)}}
	if d := act(votes, 12, 1); d.Act != Wait {
		t.Errorf("after an ok: got %+v; a wave opens by those that are well", d)
	}
	votes = append(votes, Vote{order[0], Well, 0, after(12)})
	if d := act(votes, 12, 1); d.Act != Go || d.Wave != 1 {
		t.Errorf("after a well: got %+v", d)
	}
	if d := act(votes, 12, 2); d.Act != Wait {
		t.Errorf("the third host: got %+v", d)
	}
	votes = append(votes, Vote{order[1], Well, 1, after(24)})
	for _, host := range order[2:4] {
		votes = append(votes, Vote{host, Well, 2, after(40)})
	}
	if c := p.Count(votes, after(41)); !c.Settled.IsZero() {
		t.Errorf("settled at %v, with two of three", c.Settled)
	}
	votes = append(votes, Vote{order[4], Well, 2, after(45)})
	if c := p.Count(votes, after(45)); !c.Settled.Equal(after(45)) {
		t.Errorf("settled at %v, want %v", c.Settled, after(45))
	}
	votes = append(votes, Vote{order[4], Bad, 2, after(50)})
	if c := p.Count(votes, after(51)); c.Halt == nil {
		t.Error("not halted: the host that was well then failed, so the wave was never settled")
	}
}

// A canary that is off blocks nothing: others join, and not all at once.
func TestNoShowsAreReplaced(t *testing.T) {
	members := fleet(400)
	p := newPlan(t, members, Options{})
	order := inOrder(p, members)
	joined := func(votes []Vote, minutes float64) (n int) {
		for _, host := range order[1:] {
			if p.Count(votes, after(minutes)).Decide(Host{Name: host}).Act == Go {
				n++
			}
		}
		return n
	}
	if n := joined(nil, 14.9); n != 0 {
		t.Errorf("before the patience ends %d join", n)
	}
	// Each step lets in two, four, … of 400 by the range of places, which lie at random.
	soon, later := joined(nil, 30), joined(nil, 60)
	if soon < 1 || soon > 15 || later <= soon || later > 60 {
		t.Errorf("after twice the patience %d join, after four times %d", soon, later)
	}
	votes := []Vote{{order[1], Try, 0, after(31)}}
	if n := joined(votes, 61); n != 0 {
		t.Errorf("%d join though one has begun", n)
	}
	if early := []Vote{{order[1], Well, 0, after(14)}}; !p.Count(early, after(20)).Waves[1].Opened.IsZero() {
		t.Error("a vote before the host was free to join has opened a wave")
	}
	votes = append(votes, Vote{order[1], Well, 0, after(45)})
	if c := p.Count(votes, after(45)); !c.Waves[1].Opened.Equal(after(45)) {
		t.Errorf("wave 2 opened at %v", c.Waves[1].Opened)
	}
}

// Hosts that joined an earlier wave are missed in their own by nobody.
func TestJoinedHostsCountInTheirOwnWave(t *testing.T) {
	members := fleet(6)
	p := newPlan(t, members, Options{})
	order := inOrder(p, members)
	votes := []Vote{{order[5], Well, 0, after(200)}} // in the place of the canary, after a long time
	for _, host := range order[:2] {
		votes = append(votes, Vote{host, Well, 1, after(210)})
	}
	for _, host := range order[2:5] {
		votes = append(votes, Vote{host, Well, 2, after(220)})
	}
	c := p.Count(votes, after(221))
	if !c.Settled.Equal(after(220)) {
		t.Errorf("settled at %v, want %v; the waves are %+v", c.Settled, after(220), c.Waves)
	}
}

func TestHalts(t *testing.T) {
	members := fleet(400)
	p := newPlan(t, members, Options{})
	order := inOrder(p, members)
	opened := []Vote{{order[0], Well, 0, after(12)}}
	for _, host := range order[1:18] {
		opened = append(opened, Vote{host, Well, 1, after(30)})
	}
	with := func(votes ...Vote) []Vote { return append(slices.Clone(opened), votes...) }
	third := func(kind Kind, n int, minutes float64) (votes []Vote) {
		for _, host := range order[20 : 20+n] {
			votes = append(votes, Vote{host, kind, 2, after(minutes)})
		}
		return votes
	}
	for _, row := range []struct {
		name  string
		votes []Vote
		at    float64
		halt  float64 // the minute, 0 is not halted
	}{
		{"nobody failed", opened, 100, 0},
		{"fewer than it tolerates", with(third(Bad, 2, 35)...), 100, 0},
		{"as many as halt it", with(third(Bad, 3, 35)...), 100, 35},
		{"of those one is mended", with(append(third(Bad, 3, 35), Vote{order[20], OK, 2, after(60)})...), 65, 0},
		{"begun, and not heard from for less than a verdict", with(third(Try, 3, 35)...), 66, 0},
		{"begun, and not heard from for longer", with(third(Try, 3, 35)...), 66.1, 66},
		{"ran it, and not heard from since: half each", with(third(OK, 5, 35)...), 500, 0},
		{"ran it, six of them", with(third(OK, 6, 35)...), 500, 35 + 10 + 31},
		{"taken back", with(third(Out, 90, 35)...), 500, 0},
		{"the first wave, in a wave that tolerates none", []Vote{{order[0], Bad, 0, after(3)}}, 4, 3},
		{"the first host was not heard from since its ok: whole", []Vote{{order[0], OK, 0, after(3)}}, 44.1, 44},
		{"a person", with(Vote{Operator, Bad, 0, after(33)}), 34, 33},
		{"a person takes nothing back", with(Vote{Operator, Bad, 0, after(33)}, Vote{Operator, OK, 0, after(34)}), 35, 33},
		{"three of the last wave, which is not open, count there", with(Vote{order[200], Bad, 0, after(33)}, Vote{order[201], Bad, 0, after(33)}), 34, 0},
		{"a vote of the future", with(third(Bad, 3, 35)...), 34, 0},
		{"in one second, bad counts", []Vote{{order[0], Well, 0, after(3)}, {order[0], Bad, 0, after(3)}}, 4, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := p.Count(row.votes, after(row.at))
			switch {
			case c.Halt == nil && row.halt != 0:
				t.Errorf("not halted, want at minute %v", row.halt)
			case c.Halt != nil && (row.halt == 0 || !c.Halt.At.Equal(after(row.halt))):
				t.Errorf("halted at %v by %v, want minute %v", c.Halt.At, c.Halt.Failures, row.halt)
			}
			for _, host := range order { // for every host alike
				if d := c.Decide(Host{Name: host}); (d.Reason == IsHalted) != (c.Halt != nil) {
					t.Fatalf("%s: got %+v", host, d)
				}
			}
		})
	}
}

func TestSettledIsNotHalted(t *testing.T) {
	members := fleet(2)
	p := newPlan(t, members, Options{})
	order := inOrder(p, members)
	votes := []Vote{{order[0], Well, 0, after(10)}, {order[1], Well, 1, after(25)}, {Operator, Bad, 0, after(30)}}
	if c := p.Count(votes, after(31)); c.Halt != nil || c.Settled.IsZero() {
		t.Errorf("halt %v, settled %v", c.Halt, c.Settled)
	}
	votes[2].At = after(20)
	if c := p.Count(votes, after(31)); c.Halt == nil {
		t.Error("what was halted before it was settled goes on")
	}
}

func TestDecideOthers(t *testing.T) {
	members := fleet(400)
	p := newPlan(t, members, Options{Back: true})
	order := inOrder(p, members)
	halted := []Vote{{order[0], Bad, 0, after(3)}}
	gone := []Vote{{order[0], Try, 0, after(3)}}
	var broken []Vote
	for _, host := range order[300:309] {
		broken = append(broken, Vote{host, Try, 3, after(5)})
	}
	for _, row := range []struct {
		name  string
		votes []Vote
		at    float64
		host  Host
		act   Act
		why   Reason
	}{
		{"new host, its wave is shut", nil, 1, Host{Name: order[300], Empty: true}, Base, NothingYet},
		{"new host, halted", halted, 4, Host{Name: order[300], Empty: true}, Base, IsHalted},
		{"new host of the first wave", nil, 1, Host{Name: order[0], Empty: true}, Go, IsOpen},
		{"has begun, and the wave shut again", nil, 1, Host{Name: order[30], Joined: 3}, Go, HasBegun},
		{"has begun, and it is halted", halted, 4, Host{Name: order[30], Joined: 3}, Wait, IsHalted},
		{"runs it, and it is halted", halted, 4, Host{Name: order[30], Runs: true}, Back, IsHalted},
		{"runs it, and only silence halts it", gone, 60, Host{Name: order[30], Runs: true}, Wait, IsHalted},
		{"broken, and its wave is shut", nil, 1, Host{Name: order[310], Broken: true}, Go, IsBroken},
		{"broken, and it is halted", halted, 4, Host{Name: order[310], Broken: true}, Wait, IsHalted},
		{"broken, and nine others just went", broken, 10, Host{Name: order[310], Broken: true}, Wait, TooMany},
		{"broken, and nine others went a while ago", broken, 25, Host{Name: order[310], Broken: true}, Go, IsBroken},
	} {
		if d := p.Count(row.votes, after(row.at)).Decide(row.host); d.Act != row.act || d.Reason != row.why {
			t.Errorf("%s: got %+v, want %v %s", row.name, d, row.act, row.why)
		}
	}
}

func TestTurn(t *testing.T) {
	members := fleet(300)
	p := newPlan(t, members, Options{Waves: waves(t, "1"), Over: time.Hour})
	order := inOrder(p, members)
	c := p.Count([]Vote{{order[0], Well, 0, after(60)}}, after(61))
	if d := c.Decide(Host{Name: order[299]}); d.Act != Wait || d.Reason != ItsTurn || d.Next.Before(after(115)) || d.Next.After(after(120)) {
		t.Errorf("the last host: got %+v, want to wait until about %v", d, after(120))
	}
	if d := c.Decide(Host{Name: order[150]}); !d.Next.After(after(80)) || !d.Next.Before(after(100)) {
		t.Errorf("a host in the middle: got %+v", d)
	}
}

// What one more vote may change: an ok or a well never halts, and a bad never opens a wave.
func TestMoreVotes(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		members := fleet(2 + r.IntN(60))
		p := newPlan(t, members, Options{})
		var votes []Vote
		for range r.IntN(3 * len(members)) {
			votes = append(votes, randomVote(r, p, members))
		}
		now := after(float64(r.IntN(200)))
		before := p.Count(votes, now)
		more := randomVote(r, p, members)
		then := p.Count(append(slices.Clone(votes), more), now)
		switch more.Kind {
		case OK, Well:
			if before.Halt == nil && then.Halt != nil && !now.After(more.At.Add(p.Waves[more.Wave].Soak+p.Verdict)) {
				t.Errorf("seed %d: %+v halts", seed, more)
			}
		case Bad:
			for k := range p.Waves {
				if before.Waves[k].Opened.IsZero() && !then.Waves[k].Opened.IsZero() {
					t.Errorf("seed %d: %+v opens wave %d", seed, more, k)
				}
			}
		}
	}
}

// However many hosts lie, the next wave opens only when as many as it needs of those that are in
// the wave do.
func TestLiarsOpenNothing(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 8))
		members := fleet(10 + r.IntN(200))
		p := newPlan(t, members, Options{})
		order := inOrder(p, members)
		var votes []Vote
		for _, host := range order[p.Waves[0].Upto:] { // all but the canary
			votes = append(votes, Vote{host, Well, r.IntN(len(p.Waves)), after(float64(r.IntN(14)))})
		}
		if c := p.Count(votes, after(14)); !c.Waves[1].Opened.IsZero() {
			t.Fatalf("seed %d: wave 2 is open", seed)
		}
	}
}

func randomVote(r *rand.Rand, p *Plan, members []Member) Vote {
	return Vote{
		Host: members[r.IntN(len(members))].Host, Kind: kinds[r.IntN(len(kinds))],
		Wave: r.IntN(len(p.Waves)), At: after(float64(r.IntN(150))),
	}
}
