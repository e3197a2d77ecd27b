// Package metrics keeps a file for the textfile collector of Prometheus' node
// exporter. It says for each package when it was last synced, how that went and
// what is active.
//
// Several syncs, each of some packages, share the file. So it is read before it
// is replaced: what it says of other packages stays.
package metrics

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/revision"
)

// Sample is what there is to say of one package after a sync.
type Sample struct {
	Package   revision.Package
	Current   revision.Revision // zero where nothing is active
	Ended     time.Time
	Succeeded time.Time // when a sync last went well; Update sets it
	ExitCode  int       // of ftl, as if this had been the only package
	Took      time.Duration
	Bytes     int64
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
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all := parse(old)
	for _, sample := range samples {
		sample.Succeeded = all[sample.Package].Succeeded
		if sample.ExitCode == 0 {
			sample.Succeeded = sample.Ended
		}
		all[sample.Package] = sample
	}
	maps.DeleteFunc(all, func(pkg revision.Package, _ Sample) bool { return !slices.Contains(subscribed, pkg) })
	return durable.ReplaceFile(path, format(all), 0o644)
}

// lockDirectory keeps other syncs away from the file. The lock is on the
// directory, so that nothing but metrics lies in it.
func lockDirectory(path string) (unlock func() error, err error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return dir.Close, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), dir.Close())
		}
	}
}

// family is one metric, of all packages.
type family struct {
	name, help string
	value      func(Sample) (float64, bool) // false: the package has none
	read       func(*Sample, float64)
}

var families = []family{
	{
		name: "ftl_sync_timestamp_seconds", help: "When the package was last synced.",
		value: func(s Sample) (float64, bool) { return seconds(s.Ended), true },
		read:  func(s *Sample, v float64) { s.Ended = moment(v) },
	}, {
		name: "ftl_sync_success_timestamp_seconds", help: "When a sync of the package last went well.",
		value: func(s Sample) (float64, bool) { return seconds(s.Succeeded), !s.Succeeded.IsZero() },
		read:  func(s *Sample, v float64) { s.Succeeded = moment(v) },
	}, {
		name: "ftl_sync_exit_code", help: "How the last sync ended: an exit code of ftl, 0 is well.",
		value: func(s Sample) (float64, bool) { return float64(s.ExitCode), true },
		read:  func(s *Sample, v float64) { s.ExitCode = int(v) },
	}, {
		name: "ftl_sync_duration_seconds", help: "How long the last sync took.",
		value: func(s Sample) (float64, bool) { return s.Took.Seconds(), true },
		read:  func(s *Sample, v float64) { s.Took = time.Duration(v * float64(time.Second)) },
	}, {
		name: "ftl_sync_fetched_bytes", help: "What the last sync read from the bucket.",
		value: func(s Sample) (float64, bool) { return float64(s.Bytes), true },
		read:  func(s *Sample, v float64) { s.Bytes = int64(v) },
	}, {
		name: currentName, help: "The active revision, as a label.",
		value: func(s Sample) (float64, bool) { return 1, s.Current != revision.Revision{} },
		read:  func(*Sample, float64) {},
	},
}

// currentName is the metric that has the revision as a label.
const currentName = "ftl_current_revision_info"

func format(all map[revision.Package]Sample) []byte {
	samples := slices.SortedFunc(maps.Values(all), func(a, b Sample) int {
		return cmp.Compare(a.Package.String(), b.Package.String())
	})
	var out bytes.Buffer
	for _, family := range families {
		fmt.Fprintf(&out, "# HELP %s %s\n# TYPE %[1]s gauge\n", family.name, family.help)
		for _, sample := range samples {
			value, known := family.value(sample)
			if !known {
				continue
			}
			// Names of packages and revisions have nothing that needs an escape.
			labels := fmt.Sprintf(`package="%s"`, sample.Package)
			if family.name == currentName {
				labels += fmt.Sprintf(`,revision="%s"`, sample.Current)
			}
			fmt.Fprintf(&out, "%s{%s} %s\n", family.name, labels, strconv.FormatFloat(value, 'f', -1, 64))
		}
	}
	return out.Bytes()
}

var sampleLine = regexp.MustCompile(`^(ftl_[a-z_]+)\{package="([^"]*)"(?:,revision="([^"]*)")?\} ([0-9.]+)\n$`)

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
		value, err := strconv.ParseFloat(string(match[4]), 64)
		if err != nil {
			continue
		}
		sample := all[pkg]
		sample.Package = pkg
		if r, err := revision.Parse(string(match[3])); err == nil {
			sample.Current = r
		}
		for _, family := range families {
			if family.name == string(match[1]) {
				family.read(&sample, value)
			}
		}
		all[pkg] = sample
	}
	return all
}

// Times have milliseconds, which a float64 holds exactly enough.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
func moment(v float64) time.Time  { return time.UnixMilli(int64(v*1000 + 0.5)) }
