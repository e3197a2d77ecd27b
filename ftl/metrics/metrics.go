// Package metrics keeps a file for the textfile collector of Prometheus' node
// exporter. It says for each package when it was last synced and how that went,
// which state it is in, what is active and what is blessed, and counts what has
// gone well and badly.
//
// Several syncs, each of some packages, share the file. So it is read before it
// is replaced: what it says of other packages stays.
package metrics

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/revision"
)

// Sample is what there is to say of one package after a sync.
type Sample struct {
	Package  revision.Package
	State    ftl.Condition     // "" where it is not known
	Current  revision.Revision // zero where nothing is active
	Blessed  revision.Revision // zero where nothing is blessed
	Ended    time.Time
	ExitCode int // of ftl, as if this had been the only package
	Took     time.Duration
	Bytes    int64
	Trusts   bool // signatures are required
	Refused  bool // what is in the bucket is not trusted
	// JumpsSince counts the jumps that have ended since a time: those that went well and those that
	// failed, of which some were rejections. Nil counts none.
	JumpsSince func(time.Time) (well, failed, rejected int)

	succeeded time.Time     // when a sync last went well, zero where none has
	behind    time.Duration // how long something else than what is current is blessed, when it ended
	total     totals
}

// totals only ever grow.
type totals struct{ syncFailures, jumps, jumpFailures, rejections int }

// after completes a sample with what is carried on from the one before.
func (s Sample) after(old Sample) Sample {
	s.succeeded, s.behind, s.total = old.succeeded, 0, old.total
	if s.ExitCode == 0 {
		s.succeeded = s.Ended
	} else {
		s.total.syncFailures++
	}
	if s.isBehind() && old.isBehind() {
		s.behind = old.behind + max(0, s.Ended.Sub(old.Ended))
	}
	if s.JumpsSince != nil {
		well, failed, rejected := s.JumpsSince(old.Ended)
		s.total.jumps += well
		s.total.jumpFailures += failed
		s.total.rejections += rejected
	}
	return s
}

func (s Sample) isBehind() bool {
	return s.Blessed != revision.Revision{} && s.Blessed != s.Current
}

// patience is how long Update waits for another one, which only takes as long
// as to write a small file.
const patience = 5 * time.Second

// Update brings these samples into the file at path, and takes out what is
// there of packages that are not subscribed any more. The directory has to be
// there. Readers see the old or the new file, never a part.
func Update(path string, subscribed []revision.Package, samples []Sample) error {
	unlock, err := lockDirectory(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	old, err := readOld(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all := parse(old)
	for _, sample := range samples {
		all[sample.Package] = sample.after(all[sample.Package])
	}
	maps.DeleteFunc(all, func(pkg revision.Package, _ Sample) bool { return !slices.Contains(subscribed, pkg) })
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return durable.ReplaceFile(dir, filepath.Base(path), format(all), 0o644)
}

// maxSize is how many bytes of an old file are read.
const maxSize = 16 << 20

// readOld reads the file, if that is one: whoever collects it may own the directory.
func readOld(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxSize:
		return nil, fmt.Errorf("%s has more than %d MiB", path, maxSize>>20)
	}
	return io.ReadAll(io.LimitReader(file, maxSize))
}

// lockDirectory keeps other syncs away from the file. The lock is on the
// directory, so that nothing but metrics lies in it.
func lockDirectory(path string) (unlock func() error, err error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		locked, err := directory.TryLock(dir)
		if locked {
			return dir.Close, nil
		}
		if err == nil && time.Now().After(deadline) {
			err = fmt.Errorf("somebody else has locked %s for %v", path, patience)
		}
		if err != nil {
			return nil, errors.Join(err, dir.Close())
		}
	}
}

// family is one metric, of all packages.
type family struct {
	name, kind, help string
	series           func(Sample) []series
	read             func(*Sample, series)
}

// series is a value, and the label that it has beside the package, if it has one.
type series struct {
	label, text string
	value       float64
}

func one(value float64) []series { return []series{{value: value}} }

// gauge, counter and revisionInfo return the families of their kind.
func gauge(name, help string, value func(Sample) float64, read func(*Sample, float64)) family {
	return family{
		name: name, kind: "gauge", help: help,
		series: func(s Sample) []series { return one(value(s)) },
		read:   func(s *Sample, line series) { read(s, line.value) },
	}
}

func counter(name, help string, total func(*Sample) *int) family {
	return family{
		name: name, kind: "counter", help: help,
		series: func(s Sample) []series { return one(float64(*total(&s))) },
		read:   func(s *Sample, line series) { *total(s) = int(line.value) },
	}
}

func revisionInfo(name, help string, field func(*Sample) *revision.Revision) family {
	return family{
		name: name, kind: "gauge", help: help,
		series: func(s Sample) []series {
			if r := *field(&s); r != (revision.Revision{}) {
				return []series{{"revision", r.String(), 1}}
			}
			return nil
		},
		read: func(s *Sample, line series) {
			if r, err := revision.Parse(line.text); err == nil {
				*field(s) = r
			}
		},
	}
}

var families = []family{
	gauge("ftl_sync_timestamp_seconds", "When the package was last synced.",
		func(s Sample) float64 { return seconds(s.Ended) },
		func(s *Sample, v float64) { s.Ended = moment(v) }),
	gauge("ftl_sync_success_timestamp_seconds", "When a sync of the package last went well; 0 is never.",
		func(s Sample) float64 { return seconds(s.succeeded) },
		func(s *Sample, v float64) { s.succeeded = moment(v) }),
	gauge("ftl_sync_exit_code", "How the last sync ended: an exit code of ftl, 0 is well.",
		func(s Sample) float64 { return float64(s.ExitCode) },
		func(s *Sample, v float64) { s.ExitCode = int(v) }),
	gauge("ftl_sync_duration_seconds", "How long the last sync took.",
		func(s Sample) float64 { return s.Took.Seconds() },
		func(s *Sample, v float64) { s.Took = duration(v) }),
	gauge("ftl_sync_fetched_bytes", "What the last sync read from the bucket.",
		func(s Sample) float64 { return float64(s.Bytes) },
		func(s *Sample, v float64) { s.Bytes = int64(v) }),
	{
		name: "ftl_package_state", kind: "gauge", help: "1 for the state that ftl status shows, 0 for the others.",
		series: func(s Sample) []series {
			var all []series
			for _, state := range ftl.Conditions() {
				value := 0.0
				if s.State == state {
					value = 1
				}
				all = append(all, series{"state", string(state), value})
			}
			return all
		},
		read: func(s *Sample, line series) {
			if line.value == 1 {
				s.State = ftl.Condition(line.text)
			}
		},
	},
	{
		name: "ftl_trust_refused", kind: "gauge", help: "1 where what is in the bucket is not signed by somebody who is trusted; absent where nobody looks.",
		series: func(s Sample) []series {
			switch {
			case !s.Trusts:
				return nil
			case s.Refused:
				return one(1)
			}
			return one(0)
		},
		read: func(s *Sample, line series) { s.Trusts, s.Refused = true, line.value == 1 },
	},
	gauge("ftl_package_behind_seconds", "How long another revision than the current one is blessed; 0 where none is.",
		func(s Sample) float64 { return s.behind.Seconds() },
		func(s *Sample, v float64) { s.behind = duration(v) }),
	revisionInfo("ftl_current_revision_info", "The active revision, as a label.", func(s *Sample) *revision.Revision { return &s.Current }),
	revisionInfo("ftl_blessed_revision_info", "The revision that is blessed, as a label.", func(s *Sample) *revision.Revision { return &s.Blessed }),
	counter("ftl_sync_failures_total", "Syncs that failed.", func(s *Sample) *int { return &s.total.syncFailures }),
	counter("ftl_jumps_total", "Jumps that went well, by hand too.", func(s *Sample) *int { return &s.total.jumps }),
	counter("ftl_jump_failures_total", "Jumps that failed, each try, rejections too.", func(s *Sample) *int { return &s.total.jumpFailures }),
	counter("ftl_rejections_total", "Revisions that were activated, did not work and were left again.", func(s *Sample) *int { return &s.total.rejections }),
}

func format(all map[revision.Package]Sample) []byte {
	samples := slices.SortedFunc(maps.Values(all), func(a, b Sample) int {
		return cmp.Compare(a.Package.String(), b.Package.String())
	})
	var out bytes.Buffer
	for _, family := range families {
		fmt.Fprintf(&out, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", family.name, family.help, family.kind)
		for _, sample := range samples {
			for _, line := range family.series(sample) {
				// Names of packages and revisions have nothing that needs an escape.
				labels := fmt.Sprintf(`package="%s"`, sample.Package)
				if line.label != "" {
					labels += fmt.Sprintf(`,%s="%s"`, line.label, line.text)
				}
				fmt.Fprintf(&out, "%s{%s} %s\n", family.name, labels, strconv.FormatFloat(line.value, 'f', -1, 64))
			}
		}
	}
	return out.Bytes()
}

var sampleLine = regexp.MustCompile(`^(ftl_[a-z_]+)\{package="([^"]*)"(?:,([a-z]+)="([^"]*)")?\} ([0-9.]+)\n$`)

// parse reads what format wrote. What it can't make sense of is left out: the
// next sync of that package says it anew.
func parse(text []byte) map[revision.Package]Sample {
	all := make(map[revision.Package]Sample)
	for line := range bytes.Lines(text) {
		match := sampleLine.FindSubmatch(line)
		if match == nil {
			continue
		}
		pkg, err := revision.ParsePackage(string(match[2]))
		if err != nil {
			continue
		}
		value, err := strconv.ParseFloat(string(match[5]), 64)
		if err != nil {
			continue
		}
		sample := all[pkg]
		sample.Package = pkg
		for _, family := range families {
			if family.name == string(match[1]) {
				family.read(&sample, series{string(match[3]), string(match[4]), value})
			}
		}
		all[pkg] = sample
	}
	return all
}

// Times have milliseconds, which a float64 holds exactly enough. 0 is never.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func moment(v float64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(v*1000 + 0.5))
}

func duration(v float64) time.Duration { return time.Duration(v * float64(time.Second)) }
