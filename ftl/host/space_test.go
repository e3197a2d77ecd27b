package host

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/master"
)

// Before anything is fetched, both figures are told: what is needed, and what
// there is.
func TestTooFullFor(t *testing.T) {
	const mib = 1 << 20
	small := archive.Totals{Bytes: 10 * mib, Entries: 100}
	disk := func(free, inodes uint64) unix.Statfs_t {
		return unix.Statfs_t{Bsize: 4096, Bavail: free / 4096, Files: 1 << 20, Ffree: inodes}
	}
	for _, test := range []struct {
		name        string
		fs          unix.Statfs_t
		unpacked    archive.Totals
		withArchive bool
		want        string // "" is enough
	}{
		{"enough", disk(27*mib, 200), small, false, ""},
		{"enough but for the archive", disk(27*mib, 200), small, true, "it needs 32 MiB, 27 MiB are free"},
		{"nothing", disk(0, 200), small, false, "it needs 27 MiB, 0 MiB are free"},
		{"no inodes", disk(100*mib, 0), small, false, "it needs 116, 0 are free"},
		{"inodes for the entries only", disk(100*mib, 100), small, false, "it needs 116, 100 are free"},
		{"inodes without a limit", unix.Statfs_t{Bsize: 4096, Bavail: 100 * mib / 4096}, small, false, ""},
		{"blocks of many small files", disk(27*mib, 1<<20), archive.Totals{Entries: 3000}, false, "it needs 28 MiB, 27 MiB are free"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := tooFullFor(test.fs, master.Manifest{Unpacked: test.unpacked, Size: 5 * mib}, test.withArchive)
			switch {
			case err == nil && test.want != "":
				t.Errorf("got no error, want %q", test.want)
			case err != nil && (test.want == "" || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %q, want %q", err, test.want)
			}
		})
	}
}
