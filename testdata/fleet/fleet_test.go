package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/rollout"
)

// run simulates a scenario, and reports what goes against a property.
func run(t *testing.T, sc scenario) seen {
	t.Helper()
	got, err := simulate(sc)
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range append(got.Violations, judge(sc, got)...) {
		t.Errorf("seed %d: %s", sc.Seed, violation)
	}
	return got
}

// usual is a fleet as in the table.
func usual(seed uint64, hosts int, fate fate) scenario {
	return scenario{
		Seed: seed, Hosts: hosts, Waves: "1,5%,25%", Every: 5 * time.Minute, Hook: time.Minute, Fate: fate, Dead: 0.05, Churn: 0.05, Long: 4 * time.Hour,
	}
}

// calm is a fleet in which nothing but the revision goes wrong.
func calm(seed uint64, hosts int, fate fate) scenario {
	sc := usual(seed, hosts, fate)
	sc.Dead, sc.Churn = 0, 0
	return sc
}

// All properties hold in scenarios at random; "go run ./testdata/fleet -random N" runs more of
// them.
func TestRandomScenarios(t *testing.T) {
	const scenarios = 1000
	for i := range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := uint64(i); seed < scenarios; seed += 4 {
				run(t, randomScenario(seed))
			}
		})
	}
}

// P1: a bad revision reaches the waves that were open and those who took the place of others, and
// nobody else.
func TestExposure(t *testing.T) {
	for _, row := range []struct {
		fate fate
		part float64
		n    int
		most int
	}{
		{failsCheck, 0, 2, 1}, {failsCheck, 0, 5, 2}, {failsCheck, 0, 40, 2}, {failsCheck, 0, 400, 2},
		{kills, 0, 2, 2}, {kills, 0, 5, 2}, {kills, 0, 40, 2}, {kills, 0, 400, 2},
		{killsLater, 0, 2, 2}, {killsLater, 0, 5, 2}, {killsLater, 0, 40, 2}, {killsLater, 0, 400, 2},
	} {
		var ran []int
		for seed := range uint64(5) {
			sc := usual(seed, row.n, row.fate)
			sc.Part = row.part
			ran = append(ran, run(t, sc).Ran)
		}
		if slices.Max(ran) > row.most {
			t.Errorf("%d hosts, %s: it ran on %v, want at most %d", row.n, row.fate, ran, row.most)
		}
	}
}

// P2: who has seen that a rollout is halted does not begin. How many ran it at the halt is how many
// ever do, but for those who were just under way.
func TestNobodyBeginsAfterAHalt(t *testing.T) {
	for seed := range uint64(20) {
		sc := usual(seed, 200, failsCheck)
		sc.Part, sc.Hook = 0.1, 5*time.Minute
		got := run(t, sc)
		if got.Halted == 0 || got.Ran-got.RanAtHalt > 30 {
			t.Errorf("seed %d: %d ran it when it was halted after %v, and %d in the end", seed, got.RanAtHalt, got.Halted, got.Ran)
		}
	}
}

// P3: however many of the hosts that the last wave can do without are off, it opens.
func TestLiveness(t *testing.T) {
	for seed := range uint64(20) {
		for _, off := range []int{1, 3, 5} {
			sc := calm(seed, 40, good)
			sc.Off, sc.Long = off, 24*time.Hour
			if got := run(t, sc); got.Reached != 3 || got.Halted != 0 {
				t.Errorf("seed %d, %d hosts off: it came to wave %d of 4, halted %v", seed, off, got.Reached+1, got.Halted)
			}
		}
	}
}

// P4: a new host has what the fleet had before, at once, and later the revision.
func TestNewHosts(t *testing.T) {
	for seed := range uint64(20) {
		for _, fate := range []fate{good, failsCheck, killsLater} {
			sc := usual(seed, 40, fate)
			sc.Churn = 0.5
			run(t, sc)
		}
	}
}

// P5: who has seen the newer of two entries never flips to the older one.
func TestNewerEntry(t *testing.T) {
	for seed := range uint64(20) {
		sc := usual(seed, 40, good)
		sc.Newer, sc.Hook = time.Duration(seed)*5*time.Minute, 20*time.Minute
		run(t, sc)
	}
}

// P6: listings that fail only delay.
func TestListingsThatFail(t *testing.T) {
	for seed := range uint64(20) {
		sc := calm(seed, 40, good)
		sc.Failing, sc.Long = 0.7, 24*time.Hour
		run(t, sc) // which wants it to settle, and not to be halted
		sc.Fate = kills
		run(t, sc)
	}
}

// P8: hosts that lie, fewer than a wave needs, open nothing.
func TestLiars(t *testing.T) {
	for seed := range uint64(20) {
		sc := calm(seed, 40, kills)
		sc.Liars = 3
		if got := run(t, sc); got.Reached > 1 {
			t.Errorf("seed %d: three hosts that lie opened wave %d", seed, got.Reached+1)
		}
	}
}

// Clocks of hosts don't matter, but for how long a revision soaks there.
func TestClocks(t *testing.T) {
	for seed := range uint64(20) {
		sc := calm(seed, 40, good)
		sc.Clock, sc.Long = 10*time.Minute, 8*time.Hour
		run(t, sc)
	}
}

// The simulation has to notice when a rule is broken: each of these breaks one. P7 and P9 are
// judged in all scenarios.
func TestBrokenRulesAreNoticed(t *testing.T) {
	unhalted := func(c *rollout.Count) *rollout.Count {
		changed := *c
		changed.Halt = nil
		return &changed
	}
	without := func(kinds ...rollout.Kind) func([]rollout.Vote) []rollout.Vote {
		return func(votes []rollout.Vote) []rollout.Vote {
			return slices.DeleteFunc(slices.Clone(votes), func(v rollout.Vote) bool { return slices.Contains(kinds, v.Kind) })
		}
	}
	as := func(from, to rollout.Kind) func([]rollout.Vote) []rollout.Vote {
		return func(votes []rollout.Vote) []rollout.Vote {
			votes = slices.Clone(votes)
			for i := range votes {
				if votes[i].Kind == from {
					votes[i].Kind = to
				}
			}
			return votes
		}
	}
	waves := func(change func(*rollout.Wave)) func(*rollout.Plan) {
		return func(p *rollout.Plan) {
			for k := range p.Waves {
				change(&p.Waves[k])
			}
		}
	}
	busy := func(fate fate) func(uint64) scenario {
		return func(seed uint64) scenario {
			sc := usual(seed, 100, fate)
			sc.Dead = 0.1
			return sc
		}
	}
	partly := func(seed uint64) scenario {
		sc := busy(failsCheck)(seed)
		sc.Part = 0.2
		return sc
	}
	slowly := func(seed uint64) scenario {
		sc := partly(seed)
		sc.Hook = 10 * time.Minute
		return sc
	}
	lying := func(seed uint64) scenario {
		sc := calm(seed, 40, good)
		sc.Liars, sc.Waves = 9, "10%,25%"
		return sc
	}
	listing := func(seed uint64) scenario {
		sc := partly(seed)
		sc.Failing = 0.3
		return sc
	}
	replaced := func(seed uint64) scenario {
		sc := busy(good)(seed)
		sc.Newer, sc.Hook = 20*time.Minute, 10*time.Minute
		return sc
	}
	dead := func(seed uint64) scenario {
		sc := calm(seed, 40, good)
		sc.Off, sc.Long = 5, 24*time.Hour
		return sc
	}
	for _, row := range []struct {
		name     string
		scenario func(uint64) scenario
		damage   damage
		want     string
	}{
		{"waves open by time alone", busy(kills), damage{plan: waves(func(w *rollout.Wave) { w.Need = 0 })}, "P1"},
		{"half of the need will do", busy(good), damage{plan: waves(func(w *rollout.Wave) { w.Need = (w.Need + 1) / 2 })}, "P1"},
		{"nothing halts", partly, damage{plan: waves(func(w *rollout.Wave) { w.Halt = 0 })}, "P2"},
		{"one more may fail", partly, damage{plan: waves(func(w *rollout.Wave) { w.Halt++ })}, "P2"},
		{"silence is health", busy(kills), damage{plan: func(p *rollout.Plan) { p.Verdict = 1000 * time.Hour }}, "P2"},
		{"a halt is not heard", partly, damage{decide: func(c *rollout.Count, h rollout.Host) rollout.Decision { return unhalted(c).Decide(h) }}, "P2"},
		{"no last look", slowly, damage{noLastLook: true}, "P2"},
		{"nobody says that it begins", busy(kills), damage{noTry: true}, "P1"},
		{"ok opens the next wave", busy(killsLater), damage{votes: as(rollout.OK, rollout.Well)}, "P1"},
		{"failures are not counted", partly, damage{votes: without(rollout.Bad)}, "P2"},
		{"tries are not counted", busy(kills), damage{votes: without(rollout.Try)}, "P"},
		{"the check is asked once", busy(failsLate), damage{noHealth: true}, "late"},
		{"what is unknown is nothing", listing, damage{unknownIsNothing: true}, "P2"},
		{"everybody may join", busy(good), damage{plan: func(p *rollout.Plan) { p.Patience = time.Second }}, "P1"},
		{"nobody may join", dead, damage{plan: func(p *rollout.Plan) { p.Patience = 1000 * time.Hour }}, "P3"},
		{"any host counts in any wave", lying, damage{votes: func(votes []rollout.Vote) []rollout.Vote {
			votes = slices.Clone(votes)
			for i := range votes {
				votes[i].Wave = 2
			}
			return votes
		}}, "P"},
		{"a new host waits", busy(good), damage{decide: func(c *rollout.Count, h rollout.Host) rollout.Decision {
			h.Empty = false
			return c.Decide(h)
		}}, "P4"},
		{"the older entry is followed", replaced, damage{followsOlder: true}, "P5"},
		{"nothing is said", busy(good), damage{decide: func(c *rollout.Count, h rollout.Host) rollout.Decision {
			d := c.Decide(h)
			d.Reason = ""
			return d
		}}, "P9"},
		{"a halt names nobody", partly, damage{count: func(c *rollout.Count) *rollout.Count {
			if c.Halt != nil {
				c.Halt.Failures = nil
			}
			return c
		}}, "P9"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if intact := strings.Join(violations(t, row.scenario, damage{}), "\n"); intact != "" {
				t.Fatalf("with all rules intact: %s", intact)
			}
			got := strings.Join(violations(t, row.scenario, row.damage), "\n")
			if !strings.Contains(got, row.want) {
				t.Errorf("nobody notices: %q, want %q", got, row.want)
			}
		})
	}
}

// violations returns what goes wrong in a few scenarios.
func violations(t *testing.T, of func(uint64) scenario, broken damage) (all []string) {
	t.Helper()
	for seed := range uint64(4) {
		sc := of(seed)
		got, err := simulateBroken(sc, broken)
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, got.Violations...), judge(sc, got)...)
		if sc.Off > 0 && got.Reached != 3 {
			all = append(all, fmt.Sprintf("P3: it came to wave %d of 4", got.Reached+1))
		}
		if sc.Fate == failsLate && got.Halted == 0 {
			all = append(all, "what fails late was not halted")
		}
	}
	return all
}
