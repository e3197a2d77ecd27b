package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// snapshot describes a tree, one line for each entry: type, mode, time, content or target, and
// which names are one file.
func snapshot(t testing.TB, dir string) []string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) { // a closed directory, and this is not root
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		st := i.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%q %v %d:%d %v", name, i.Mode(), st.Uid, st.Gid, i.ModTime().UnixNano())
		switch {
		case i.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrPermission) {
				return err
			}
			if first[st.Ino] == "" {
				first[st.Ino] = name
			}
			line += fmt.Sprintf(" %q = %q", content, first[st.Ino])
		case d.Type() == fs.ModeSymlink:
			to, _ := os.Readlink(path)
			line += fmt.Sprintf(" -> %q", to)
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// open makes a tree removable for those whom its modes stop.
func open(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && err == nil {
			os.Chmod(path, 0o700)
		} else if err != nil && os.Chmod(path, 0o700) == nil {
			open(path)
		}
		return nil
	})
}

// sentinel is what lies around a stage and must never change.
type sentinel struct {
	dir   string
	lines []string
}

func newSentinel(t testing.TB, dir string) sentinel {
	t.Helper()
	for name, mode := range map[string]fs.FileMode{"victim": 0o600, "x": 0o644, "moo": 0o444} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Unix(1_000_000_000, 0)
	for _, name := range []string{"victim", "x", "moo", "."} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	s := sentinel{dir: dir}
	s.lines = s.look(t)
	return s
}

// look leaves out the stage itself.
func (s sentinel) look(t testing.TB) []string {
	return slices.DeleteFunc(snapshot(t, s.dir), func(line string) bool { return strings.HasPrefix(line, `"stage`) })
}

func (s sentinel) check(t testing.TB) {
	t.Helper()
	if got := s.look(t); !slices.Equal(got, s.lines) {
		t.Errorf("outside the stage: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(s.lines, "\n"))
	}
}

// openFiles counts this process' descriptors, where the system tells them.
func openFiles(t testing.TB) int {
	if runtime.GOOS != "linux" {
		return 0
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// checkAsGNU compares a tree with what GNU tar makes of the same archive. What no entry lists has
// the time of unpacking in both, so times of the last hour are equal.
func checkAsGNU(t testing.TB, got string, h hostile) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	want := filepath.Join(t.TempDir(), "gnu")
	t.Cleanup(func() { open(want) })
	command := map[Form]string{Gzip: "-z", Zstd: "--zstd", Raw: "--no-same-owner"}[h.formOrTar().compression()]
	cmd := exec.Command("sh", "-c", `umask 022 && mkdir "$1" && exec tar -C "$1" --no-same-owner --no-same-permissions `+command+" -xf -", "sh", want)
	cmd.Stdin = bytes.NewReader(h.content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	g, w := settled(t, got), settled(t, want)
	if !slices.Equal(g, w) {
		t.Errorf("got\n%s\nGNU tar makes\n%s", strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

// settled is a snapshot without recent times.
func settled(t testing.TB, dir string) []string {
	lines := snapshot(t, dir)
	for i, line := range lines {
		var sec int64
		fields := strings.Fields(line)
		for j, f := range fields {
			if len(f) == 19 && strings.Trim(f, "0123456789") == "" {
				fmt.Sscan(f[:10], &sec)
				if time.Since(time.Unix(sec, 0)) < time.Hour {
					fields[j] = "now"
				}
			}
		}
		lines[i] = strings.Join(fields, " ")
	}
	return lines
}
