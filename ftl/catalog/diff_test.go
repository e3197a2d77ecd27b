package catalog

import (
	"crypto/sha256"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl/archive"
)

func TestTreeSince(t *testing.T) {
	file := func(name, content string, mode fs.FileMode) archive.IndexEntry {
		e := archive.IndexEntry{Entry: archive.Entry{Name: name, Mode: mode, Size: int64(len(content))}}
		if content != "" {
			sum := sha256.Sum256([]byte(content))
			e.Digest = archive.Digest(sum[:len(e.Digest)])
		}
		return e
	}
	dir := func(name string, mode fs.FileMode) archive.IndexEntry {
		return archive.IndexEntry{Entry: archive.Entry{Name: name, Mode: fs.ModeDir | mode}}
	}
	symlink := func(name, target string) archive.IndexEntry {
		return archive.IndexEntry{Entry: archive.Entry{Name: name, Mode: fs.ModeSymlink | 0o777, Link: target}}
	}
	hard := func(name, target string) archive.IndexEntry {
		return archive.IndexEntry{Entry: archive.Entry{Name: name, Mode: 0o644, Link: target}}
	}
	tests := []struct {
		name     string
		from, to []archive.IndexEntry
		want     []string
		bytes    int64
	}{
		{"the same", []archive.IndexEntry{dir("a", 0o755), file("a/b", "x", 0o644)}, []archive.IndexEntry{file("a/b", "x", 0o644), dir("a", 0o755)}, nil, 0},
		{"added and removed", []archive.IndexEntry{file("old", "12345", 0o644)}, []archive.IndexEntry{dir("d", 0o755), file("d/new", "123", 0o755)},
			[]string{"+ d/  0755", "+ d/new  0755  3 bytes", "- old  0644  5 bytes"}, 3},
		{"content", []archive.IndexEntry{file("f", "12", 0o644)}, []archive.IndexEntry{file("f", "123", 0o644)}, []string{"~ f  2 -> 3 bytes"}, 3},
		{"content of the same size", []archive.IndexEntry{file("f", "12", 0o644)}, []archive.IndexEntry{file("f", "21", 0o644)}, []string{"~ f  2 -> 2 bytes"}, 2},
		{"emptied", []archive.IndexEntry{file("f", "12", 0o644)}, []archive.IndexEntry{file("f", "", 0o644)}, []string{"~ f  2 -> 0 bytes"}, 0},
		{"mode", []archive.IndexEntry{file("f", "12", 0o644), dir("d", 0o755)}, []archive.IndexEntry{file("f", "12", 0o755), dir("d", 0o700)},
			[]string{"~ d/  mode 0755 -> 0700", "~ f  mode 0644 -> 0755"}, 0},
		{"mode and content", []archive.IndexEntry{file("f", "12", 0o644)}, []archive.IndexEntry{file("f", "123", 0o755)}, []string{"~ f  mode 0644 -> 0755  2 -> 3 bytes"}, 3},
		{"target", []archive.IndexEntry{symlink("l", "a")}, []archive.IndexEntry{symlink("l", "b")}, []string{"~ l  -> b (was a)"}, 0},
		{"type", []archive.IndexEntry{file("x", "12", 0o644)}, []archive.IndexEntry{symlink("x", "a")}, []string{"~ x  file 0644  2 bytes -> symlink -> a"}, 0},
		{"moved", []archive.IndexEntry{file("a", "12", 0o644)}, []archive.IndexEntry{file("b", "12", 0o644)}, []string{"- a  0644  2 bytes", "+ b  0644  2 bytes"}, 0},
		{"a hard link instead of a copy", []archive.IndexEntry{file("a", "12", 0o644), file("b", "12", 0o644)}, []archive.IndexEntry{file("a", "12", 0o644), hard("b", "a")}, nil, 0},
		{"a hard link to something else", []archive.IndexEntry{file("a", "12", 0o644), hard("b", "a")}, []archive.IndexEntry{file("a", "123", 0o644), hard("b", "a")},
			[]string{"~ a  2 -> 3 bytes", "~ b  2 -> 3 bytes"}, 3},
	}
	for _, test := range tests {
		from, to := Tree{test.from}, Tree{test.to}
		var got []string
		for _, change := range to.Since(from) {
			got = append(got, change.String())
		}
		if !slices.Equal(got, test.want) || to.NewBytes(from) != test.bytes {
			t.Errorf("%s: got\n%s\nand %d new bytes, want\n%s\nand %d", test.name,
				strings.Join(got, "\n"), to.NewBytes(from), strings.Join(test.want, "\n"), test.bytes)
		}
	}
}
