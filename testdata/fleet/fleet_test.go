package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The properties hold in scenarios at random; "go run ./testdata/fleet -random N" runs more of them.
func TestRandomScenarios(t *testing.T) {
	const scenarios = 1000
	for i := range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := uint64(i); seed < scenarios; seed += 4 {
				sc := randomScenario(seed)
				got, err := simulate(sc)
				if err != nil {
					t.Fatal(err)
				}
				for _, violation := range append(got.Violations, judge(sc, got)...) {
					t.Errorf("seed %d: %s", seed, violation)
				}
			}
		})
	}
}

// A revision that kills its hosts five minutes after all seemed well reaches two hosts, whatever the size of the fleet.
func TestExposure(t *testing.T) {
	for _, row := range []struct {
		fate fate
		part float64
		n    int
		most int
	}{
		{failsCheck, 0, 2, 1}, {failsCheck, 0, 40, 2}, {failsCheck, 0, 400, 2},
		{kills, 0, 2, 2}, {kills, 0, 40, 2}, {kills, 0, 400, 2},
		{killsLater, 0, 2, 2}, {killsLater, 0, 40, 2}, {killsLater, 0, 400, 2},
	} {
		var ran []int
		for seed := range uint64(5) {
			got, err := simulate(scenario{
				Seed: seed, Hosts: row.n, Waves: "1,5%,25%", Every: 5 * time.Minute, Hook: time.Minute, Fate: row.fate, Part: row.part,
				Dead: 0.05, Churn: 0.05, Long: 4 * time.Hour,
			})
			if err != nil {
				t.Fatal(err)
			}
			ran = append(ran, got.Ran)
		}
		if slices.Max(ran) > row.most {
			t.Errorf("%d hosts, %s: it ran on %v, want at most %d", row.n, row.fate, ran, row.most)
		}
	}
}

// The simulation has to notice what it looks for: each of these breaks one thing of the decision.
func TestMutationsAreNoticed(t *testing.T) {
	for name, row := range map[string]struct {
		damage func(*simulation)
		want   string
	}{
		"waves open by time alone": {func(s *simulation) {
			for k := range s.plan.Waves {
				s.plan.Waves[k].Need = 0
			}
		}, "ran on"},
		"nothing halts": {func(s *simulation) {
			for k := range s.plan.Waves {
				s.plan.Waves[k].Halt = 0
			}
		}, "not halted"},
		"hosts that die count for nothing": {func(s *simulation) { s.plan.Verdict = 1000 * time.Hour }, "not halted"},
	} {
		sc := scenario{Seed: 1, Hosts: 100, Waves: "1,5%,25%", Every: 5 * time.Minute, Hook: time.Minute, Fate: kills, Long: 6 * time.Hour}
		got, err := simulateBroken(sc, row.damage)
		if err != nil {
			t.Fatal(err)
		}
		violations := append(got.Violations, judge(sc, got)...)
		if got.Halted == 0 {
			violations = append(violations, "not halted")
		}
		if !strings.Contains(strings.Join(violations, "\n"), row.want) {
			t.Errorf("%s: got %+v, want %q", name, got, row.want)
		}
	}
}
