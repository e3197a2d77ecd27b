// Command fleet simulates rollouts: the decision and the catalog that hosts use, over a bucket in
// memory, in virtual time.
//
//	go run ./testdata/fleet               the table of what a revision does to fleets of 2 to 10,000 hosts
//	go run ./testdata/fleet -random N     N scenarios at random, of which the properties must hold
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	random := flag.Int("random", 0, "how many scenarios at random to run, instead of the table")
	seed := flag.Uint64("seed", 41, "of the first scenario")
	rounds := flag.Int("rounds", 5, "how often to run each row of the table, with other seeds")
	sizes := flag.String("sizes", "2,5,40,400,10000", "of the fleets in the table")
	flag.Parse()
	err := error(nil)
	if *random > 0 {
		err = runRandom(*random, *seed)
	} else {
		err = printTable(*sizes, *rounds, *seed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// runRandom runs scenarios at random, several at once.
func runRandom(n int, seed uint64) error {
	began := time.Now()
	var group errgroup.Group
	group.SetLimit(4)
	var mutex sync.Mutex
	failed, kinds := 0, map[fate]int{}
	for i := range n {
		group.Go(func() error {
			sc := randomScenario(seed + uint64(i))
			result, err := simulate(sc)
			if err != nil {
				return err
			}
			violations := append(result.Violations, judge(sc, result)...)
			mutex.Lock()
			defer mutex.Unlock()
			kinds[sc.Fate]++
			if len(violations) > 0 {
				failed++
				fmt.Printf("seed %d: %+v\n  got %+v\n", sc.Seed, sc, result)
				for _, violation := range violations {
					fmt.Println(" ", violation)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Printf("%d scenarios, %d failed, %v (seeds %d to %d): %v\n", n, failed, time.Since(began).Round(time.Second), seed, seed+uint64(n)-1, kinds)
	if failed > 0 {
		return fmt.Errorf("%d scenarios failed", failed)
	}
	return nil
}

func median[T int | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
