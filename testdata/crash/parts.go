package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// each makes a job of each scenario, on each file system.
func (h *harness) each(do func(*scenario, string) job) []job {
	var jobs []job
	for i := range scenarios {
		if !h.only.MatchString(scenarios[i].name) {
			continue
		}
		for _, kind := range h.kinds {
			jobs = append(jobs, do(&scenarios[i], kind))
		}
	}
	return jobs
}

// random returns the numbers of one job, which depend on the seed only.
func (h *harness) random(job string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(job))
	return rand.New(rand.NewPCG(h.seed, hash.Sum64()))
}

// Of so many points one is tried at the scale 1.
const (
	crashStep = 16
	wayStep   = 64
	errorStep = 64
)

// scaled is how many points there are for each that is tried.
func (h *harness) scaled(step float64) int { return max(1, int(step/h.scale+0.5)) }

// orders checks in which order each command makes its changes.
func (h *harness) orders() []job {
	return h.each(func(s *scenario, kind string) job {
		to := h.report.row(s.name, "order of the calls", kind)
		return func(ctx context.Context, w *worker) error {
			return w.series(ctx, s, kind, func(_ *host, want *expectation, _ int) (bool, error) {
				h.report.count(to, "", want.order)
				return false, nil
			})
		}
	})
}

// crashes stops each command at its changes, in each mode.
func (h *harness) crashes() []job {
	var jobs []job
	for _, m := range modes {
		jobs = append(jobs, h.each(func(s *scenario, kind string) job {
			to := h.report.row(s.name, m.name, kind)
			return func(ctx context.Context, w *worker) error {
				step := h.scaled(crashStep)
				first := 1 + h.random(s.name+m.name+kind).IntN(step)
				return w.series(ctx, s, kind, func(host *host, want *expectation, n int) (bool, error) {
					moment := first + n*step
					reached, found, err := host.crash(want, m, host.ways(s)[0], []int{moment})
					if reached {
						h.report.count(to, fmt.Sprintf("at change %d", moment), found)
					}
					return reached, err
				})
			}
		})...)
	}
	return jobs
}

// recoveries stops each command at its changes, and has it recovered in the ways
// that are not the usual one.
func (h *harness) recoveries() []job {
	return h.each(func(s *scenario, kind string) job {
		to := h.report.row(s.name, "another recovery", kind)
		return func(ctx context.Context, w *worker) error {
			step := h.scaled(wayStep)
			first := h.random(s.name + "recovery" + kind).IntN(step)
			return w.series(ctx, s, kind, func(host *host, want *expectation, n int) (bool, error) {
				others := host.ways(s)[1:]
				point := first + n*step
				by, point := others[point%len(others)], point/len(others)
				m, moment := modes[point%len(modes)], 1+point/len(modes)
				reached, found, err := host.crash(want, m, by, []int{moment})
				if reached {
					h.report.count(to, fmt.Sprintf("%s at change %d, then %s", m.name, moment, by.name), found)
				}
				return reached, err
			})
		}
	})
}

// crashesAgain stops a command, its recovery, and the recovery of that, each at
// random.
func (h *harness) crashesAgain() []job {
	count := int(3*h.scale + 0.5)
	return h.each(func(s *scenario, kind string) job {
		to := h.report.row(s.name, "three crashes", kind)
		return func(ctx context.Context, w *worker) error {
			random := h.random(s.name + "again" + kind)
			return w.series(ctx, s, kind, func(host *host, want *expectation, n int) (bool, error) {
				if n == count {
					return false, nil
				}
				m := modes[random.IntN(len(modes))]
				ways := host.ways(s)
				by := ways[random.IntN(len(ways))]
				moments := []int{1 + random.IntN(want.calls), 1 + random.IntN(want.calls), 1 + random.IntN(want.calls)}
				reached, found, err := host.crash(want, m, by, moments)
				if reached {
					h.report.count(to, fmt.Sprintf("%s at changes %v, then %s", m.name, moments, by.name), found)
				}
				return true, err
			})
		}
	})
}

// errors makes each change on the disk fail.
func (h *harness) errors() []job {
	return h.each(func(s *scenario, kind string) job {
		to := h.report.row(s.name, "error", kind)
		return func(ctx context.Context, w *worker) error {
			step := h.scaled(errorStep)
			first := h.random(s.name + "error" + kind).IntN(step)
			return w.series(ctx, s, kind, func(host *host, want *expectation, n int) (bool, error) {
				point := first + n*step
				moment, errno := 1+point/len(errnos), errnos[point%len(errnos)]
				reached, found, err := host.fail(want, errno, moment)
				if reached {
					h.report.count(to, fmt.Sprintf("at change %d", moment), found)
				}
				return reached, err
			})
		}
	})
}

// series does one case after the other until one says that it was the last.
func (w *worker) series(ctx context.Context, s *scenario, kind string, do func(*host, *expectation, int) (bool, error)) error {
	host, err := w.host(ctx, s, kind)
	if err != nil {
		return err
	}
	want, err := host.expect()
	if err != nil {
		return fmt.Errorf("%s, %s: %w", s.name, kind, err)
	}
	for n := 0; ctx.Err() == nil; n++ {
		more, err := do(host, want, n)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", s.name, kind, err)
		}
		if !more {
			return nil
		}
	}
	return ctx.Err()
}
