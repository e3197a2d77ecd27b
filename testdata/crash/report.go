package main

import (
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
)

// A row counts the cases of one kind.
type row struct {
	scenario, mode, volume string
	cases, failed          int
}

// report counts cases, for several workers.
type report struct {
	mu    sync.Mutex
	rows  []*row
	shown int // failures
	log   io.Writer
}

// row adds a line to the table.
func (r *report) row(scenario, mode, volume string) *row {
	r.mu.Lock()
	defer r.mu.Unlock()
	added := &row{scenario: scenario, mode: mode, volume: volume}
	r.rows = append(r.rows, added)
	return added
}

// shownFailures is how many failures are told in full.
const shownFailures = 40

// count adds a case to a row, and tells what is wrong with it.
func (r *report) count(to *row, which string, found problems) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to.cases++
	if len(found) == 0 {
		return
	}
	to.failed++
	if r.shown++; r.shown > shownFailures {
		return
	}
	fmt.Fprintf(r.log, "FAILED %s, %s, %s, %s\n", to.scenario, to.mode, to.volume, which)
	for i, problem := range found {
		if i == 8 {
			fmt.Fprintf(r.log, "    and %d more\n", len(found)-i)
			break
		}
		fmt.Fprintf(r.log, "    %s\n", problem)
	}
}

// say tells something that is no failure.
func (r *report) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.log, format+"\n", args...)
}

// totals returns the sums.
func (r *report) totals() (cases, failed int) {
	for _, row := range r.rows {
		cases += row.cases
		failed += row.failed
	}
	return cases, failed
}

// print prints the table, as Markdown has it.
func (r *report) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| scenario\t| mode\t| file system\t| cases\t| failed\t|")
	fmt.Fprintln(table, "|---\t|---\t|---\t|---\t|---\t|")
	for _, row := range r.rows {
		fmt.Fprintf(table, "| %s\t| %s\t| %s\t| %d\t| %d\t|\n", row.scenario, row.mode, row.volume, row.cases, row.failed)
	}
	cases, failed := r.totals()
	fmt.Fprintf(table, "| all\t| \t| \t| %d\t| %d\t|\n", cases, failed)
	return table.Flush()
}
