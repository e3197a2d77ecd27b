package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// line is a row of the table.
type line struct {
	what    string
	ftl     quantity
	peer    string // what it is compared with, "" for nothing
	against quantity
	ratio   float64 // of the two, 0 for none
	goal    goal
}

// quantity is a figure with its unit.
type quantity struct {
	value float64
	text  string
}

func seconds(d time.Duration) quantity {
	if d < time.Second {
		return quantity{d.Seconds(), fmt.Sprintf("%.1f ms", d.Seconds()*1000)}
	}
	return quantity{d.Seconds(), fmt.Sprintf("%.2f s", d.Seconds())}
}

func mebibytes(n int64) quantity {
	return quantity{float64(n), fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))}
}
func megabytes(n int64) quantity { return quantity{float64(n), fmt.Sprintf("%.2f MB", float64(n)/1e6)} }
func number(n int64) quantity    { return quantity{float64(n), fmt.Sprint(n)} }

// goal is the most that a figure or a ratio may be. The zero goal is none.
type goal struct {
	limit float64
	ratio bool
}

func atMost(limit float64) goal  { return goal{limit, false} }
func ratioOf(limit float64) goal { return goal{limit, true} }

// columns are the line as text.
func (l line) columns() []string {
	columns := []string{l.what, l.ftl.text, l.peer, l.against.text, "", "", ""}
	if l.ratio > 0 {
		columns[4] = fmt.Sprintf("%.3f", l.ratio)
	}
	if l.goal == (goal{}) {
		return columns
	}
	figure := l.ftl.value
	if l.goal.ratio {
		figure = l.ratio
		columns[5] = fmt.Sprintf("%.2f", l.goal.limit)
	} else {
		columns[5] = l.limit()
	}
	columns[6] = "met"
	if figure > l.goal.limit {
		columns[6] = "NOT met"
	}
	return columns
}

// limit is the goal in the unit of the figure.
func (l line) limit() string {
	switch {
	case strings.HasSuffix(l.ftl.text, "MiB"):
		return mebibytes(int64(l.goal.limit)).text
	case strings.HasSuffix(l.ftl.text, "MB"):
		return megabytes(int64(l.goal.limit)).text
	case strings.HasSuffix(l.ftl.text, "s"):
		return seconds(time.Duration(l.goal.limit * float64(time.Second))).text
	}
	return number(int64(l.goal.limit)).text
}

// table is what is printed at the end.
type table struct {
	machine string
	count   int
	took    time.Duration
	missing []string
	lines   []line
}

func (t table) print(w io.Writer) error {
	fmt.Fprintf(w, "%s\nmedians of %d runs in turn, after one that does not count; took %s; load at the end %s\n",
		t.machine, t.count, t.took.Round(time.Second), load())
	fmt.Fprintf(w, "this program's own memory, below which none is measured: %s\n", mebibytes(ownPeak()).text)
	if len(t.missing) > 0 {
		fmt.Fprintf(w, "not installed, so not measured: %s\n", strings.Join(t.missing, ", "))
	}
	fmt.Fprintln(w)
	tab := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	for _, columns := range append([][]string{
		{"row", "ftl", "peer", "peer's", "ratio", "goal", ""},
		{"---", "---", "---", "---", "---", "---", "---"},
	}, t.rows()...) {
		fmt.Fprintf(tab, "| %s\t|\n", strings.Join(columns, "\t| "))
	}
	return tab.Flush()
}

func (t table) rows() (rows [][]string) {
	for _, l := range t.lines {
		rows = append(rows, l.columns())
	}
	return rows
}

// describeMachine says what the figures are of.
func describeMachine(dir string) string {
	var name unix.Utsname
	_ = unix.Uname(&name) // what is not known is left out
	var memory unix.Sysinfo_t
	_ = unix.Sysinfo(&memory)
	return fmt.Sprintf("%s; %d cores; %.0f GiB; Linux %s; %s; %s", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(),
		float64(memory.Totalram)*float64(memory.Unit)/(1<<30), unix.ByteSliceToString(name.Release[:]), fileSystem(dir), runtime.Version())
}

// fileSystem is the type of the one that dir is on: that of the longest mount point above it.
func fileSystem(dir string) string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "unknown file system"
	}
	kind, longest := "unknown file system", -1
	for mount := range strings.Lines(string(mounts)) {
		fields := strings.Fields(mount)
		if len(fields) < 3 || len(fields[1]) <= longest {
			continue
		}
		if below := strings.TrimSuffix(fields[1], "/") + "/"; strings.HasPrefix(dir+"/", below) {
			kind, longest = fields[2], len(fields[1])
		}
	}
	return kind
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// ownPeak is the most memory that this process has had. A child shares it until it has become
// another program, and the kernel counts that as the child's.
func ownPeak() int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Maxrss << 10
}
