package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/rollout"
)

// The price of requests in S3, us-east-1, in dollars for a thousand.
const (
	priceGet  = 0.0004
	priceList = 0.005 // and of a PUT
)

// randomScenario returns the scenario of a seed.
func randomScenario(seed uint64) scenario {
	r := rand.New(rand.NewPCG(seed, 2))
	pick := func(values ...float64) float64 { return values[r.IntN(len(values))] }
	sc := scenario{
		Seed: seed, Hosts: 2 + r.IntN(1+r.IntN(120)), Waves: []string{"1,5%,25%", "1", "10%/3m,50%", "2,20%"}[r.IntN(4)],
		Every: time.Duration(1+r.IntN(10)) * time.Minute, Hook: time.Duration(1+r.IntN(300)) * time.Second,
		Fate: []fate{good, failsCheck, kills, killsLater, failsLate}[r.IntN(5)], Part: pick(0, 0, 0.03, 0.5),
		Dead: pick(0, 0, 0.05, 0.1), Churn: pick(0, 0, 0.05, 0.3), Failing: pick(0, 0, 0.1, 0.5), Long: 5 * time.Hour,
		Splay: time.Duration(r.IntN(60)) * time.Second,
	}
	if r.IntN(4) == 0 {
		sc.Newer = time.Duration(r.IntN(120)) * time.Minute
	}
	if r.IntN(4) == 0 {
		sc.Liars = min(sc.Hosts/4, 3)
	}
	if r.IntN(4) == 0 {
		sc.Clock = time.Duration(1+r.IntN(600)) * time.Second
	}
	return sc
}

// judge says what a scenario must have come to, beside the properties that hold at each moment.
func judge(sc scenario, got seen) (violations []string) {
	calm := sc.Dead == 0 && sc.Churn == 0 && sc.Newer == 0 && sc.Liars == 0 // who lies helps nobody
	if sc.Fate == good && calm && !got.Settled {
		violations = append(violations, "P3, P6: a good revision did not come to its end")
	}
	if sc.Fate == good && calm && got.Halted != 0 {
		violations = append(violations, "P6: a good revision was halted")
	}
	// What works nowhere is noticed where it dies before a wave has soaked, and somebody is left to
	// miss it.
	everywhere := sc.Part == 0 && sc.Newer == 0 && sc.Liars == 0
	soaks := sc.Fate != killsLater || !strings.Contains(sc.Waves, "/3m") && sc.Clock == 0
	if everywhere && soaks && (sc.Fate == failsCheck || sc.Fate == kills || sc.Fate == killsLater) {
		if got.Ran > firstWave(sc)+4 {
			violations = append(violations, fmt.Sprintf("P1: a revision that works nowhere ran on %d hosts", got.Ran))
		}
		if got.Ran > 0 && got.Halted == 0 {
			violations = append(violations, "P2: a revision that works nowhere was not halted")
		}
	}
	return violations
}

// firstWave returns how many hosts the first wave of a scenario has.
func firstWave(sc scenario) int {
	steps, err := rollout.ParseSteps(sc.Waves)
	if err != nil {
		return 0
	}
	return steps[0].Upto.Of(sc.Hosts)
}

// rows are those of the table.
var rows = []struct {
	name string
	fate fate
	part float64
}{
	{"good", good, 0},
	{"fails its check", failsCheck, 0},
	{"kills at the flip", kills, 0},
	{"kills 5 min after ok", killsLater, 0},
	{"check fails after 40 min", failsLate, 0},
	{"3 % of hosts fail", failsCheck, 0.03},
}

// printTable prints, in Markdown, what revisions do to fleets.
func printTable(sizes string, rounds int, seed uint64) error {
	fmt.Println("| hosts | revision | ran it at the halt, median / most | ran it at the end | halted | until halted | 95 % run it | requests | their price |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := printRow(n, row.name, row.fate, row.part, rounds, seed); err != nil {
				return err
			}
		}
	}
	return nil
}

func printRow(n int, name string, fate fate, part float64, rounds int, seed uint64) error {
	var atHalt, atEnd, requests []int
	var untilHalt, until95 []time.Duration
	price := 0.0
	for i := range rounds {
		got, err := simulate(scenario{
			Seed: seed + uint64(i), Hosts: n, Waves: "1,5%,25%", Every: 5 * time.Minute, Hook: time.Minute, Fate: fate, Part: part,
			Dead: 0.05, Churn: 0.05, Long: 6 * time.Hour,
		})
		if err != nil {
			return err
		}
		if got.Halted > 0 {
			untilHalt, atHalt = append(untilHalt, got.Halted), append(atHalt, got.RanAtHalt)
		}
		if got.Finished > 0 {
			until95 = append(until95, got.Finished)
		}
		atEnd, requests = append(atEnd, got.Ran), append(requests, got.Gets+got.Lists+got.Puts)
		price += (float64(got.Gets)*priceGet + float64(got.Lists+got.Puts)*priceList) / 1000 / float64(rounds)
	}
	ran := "–"
	if len(atHalt) > 0 {
		middle := median(atHalt)
		ran = fmt.Sprintf("%d / %d", middle, atHalt[len(atHalt)-1])
	}
	fmt.Printf("| %d | %s | %s | %d | %d of %d | %s | %s | %d | $%.2f |\n", n, name, ran, median(atEnd), len(untilHalt), rounds,
		minutes(untilHalt), minutes(until95), median(requests), price)
	return nil
}

func minutes(values []time.Duration) string {
	if len(values) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f min", median(values).Minutes())
}
