package tree

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Before anything is fetched, both figures are told: what is needed, and what
// there is.
func TestLacking(t *testing.T) {
	const mib = 1 << 20
	disk := func(free, inodes uint64) unix.Statfs_t {
		return unix.Statfs_t{Bsize: 4096, Bavail: free / 4096, Files: 1 << 20, Ffree: inodes}
	}
	for _, test := range []struct {
		name           string
		fs             unix.Statfs_t
		bytes, entries uint64
		want           string // "" is enough
	}{
		{"enough", disk(27*mib, 200), 10 * mib, 100, ""},
		{"a little more", disk(27*mib, 200), 15 * mib, 100, "it needs 32 MiB, 27 MiB are free"},
		{"nothing", disk(0, 200), 10 * mib, 100, "it needs 27 MiB, 0 MiB are free"},
		{"no inodes", disk(100*mib, 0), 10 * mib, 100, "it needs 116, 0 are free"},
		{"inodes for the entries only", disk(100*mib, 100), 10 * mib, 100, "it needs 116, 100 are free"},
		{"inodes without a limit", unix.Statfs_t{Bsize: 4096, Bavail: 100 * mib / 4096}, 10 * mib, 100, ""},
		{"blocks of many small files", disk(27*mib, 1<<20), 0, 3000, "it needs 28 MiB, 27 MiB are free"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := lacking(test.fs, test.bytes, test.entries)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
