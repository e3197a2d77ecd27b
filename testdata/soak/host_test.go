package soak

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// host is a tree under FTL_ROOT and the environment in which ftl works on it.
type host struct {
	*check
	root string
	env  []string
}

// newHost makes a host with an empty tree.
func newHost(c *check, env ...string) *host {
	c.Helper()
	dir, err := os.MkdirTemp("", "ftl-soak-host-")
	c.must(err)
	c.TB.Cleanup(func() { os.RemoveAll(dir) })
	h := &host{check: c, root: filepath.Join(dir, "root")}
	c.must(os.Mkdir(h.root, 0o755))
	h.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir(), "TZ=UTC", "FTL_ENV_FILE=none",
		"FTL_ROOT=" + h.root, "FTL_NODE=web1", "FTL_LOCK_WAIT=20s", "FTL_HOOK_TIMEOUT=20s", "GORACE=exitcode=66",
	}, env...)
	return h
}

// forget removes the host.
func (h *host) forget() { h.must(os.RemoveAll(filepath.Dir(h.root))) }

// ftl runs a command.
func (h *host) ftl(args ...string) ended {
	h.Helper()
	return h.execute(h.env, append([]string{binary}, args...)...)
}

// ok runs a command that must succeed, and returns what it printed.
func (h *host) ok(args ...string) string {
	h.Helper()
	e := h.ftl(args...)
	if e.code != 0 {
		h.errorf("ftl %s: %v", strings.Join(args, " "), e)
		panic(errGiveUp)
	}
	return strings.TrimSpace(e.stdout)
}

// active returns what current points to, "" without one.
func (h *host) active(pkg string) string {
	target, err := os.Readlink(filepath.Join(h.root, pkg, "current"))
	if err != nil {
		return ""
	}
	return pkg + "." + filepath.Base(target)
}

// snapshot describes all of the host that a failed command must leave as it was: the trees with
// their times, the links and what is ready. Left out is what ftl keeps for itself, and what the
// next fetch goes on with.
func (h *host) snapshot() string {
	h.Helper()
	lines := h.tree(h.root, func(name string, d fs.DirEntry) bool {
		return d.Name() == ".ftl" || d.Name() == ".lock" || d.Name() == ".stage"
	})
	for pkg := range strings.FieldsSeq(h.ok("list")) {
		lines = append(lines, h.ok("list", pkg))
	}
	return strings.Join(lines, "\n")
}

// tree describes what is in a directory. Directories in which ftl works have no time.
func (h *host) tree(top string, leaveOut func(string, fs.DirEntry) bool) []string {
	h.Helper()
	var lines []string
	h.must(filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if leaveOut != nil && leaveOut(path, d) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(top, path)
		line := fmt.Sprintf("%q %v", name, info.Mode())
		if strings.Count(name, "/") >= 2 && !strings.Contains(name, "revs/.") {
			line += " " + info.ModTime().Format(time.RFC3339Nano)
		}
		switch {
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		lines = append(lines, line)
		return nil
	}))
	return lines
}

// unchanged reports what has changed on a host.
func (h *host) unchanged(before string) {
	h.Helper()
	if after := h.snapshot(); after != before {
		h.errorf("the host has changed: %s", difference(before, after))
	}
}

func difference(before, after string) string {
	old, now := strings.Split(before, "\n"), strings.Split(after, "\n")
	var text []string
	for _, line := range old {
		if !slices.Contains(now, line) {
			text = append(text, "- "+line)
		}
	}
	for _, line := range now {
		if !slices.Contains(old, line) {
			text = append(text, "+ "+line)
		}
	}
	return strings.Join(text, "\n")
}

// isSwept reports what a sync that failed has left behind, but for what the next one goes on with.
func (h *host) isSwept(pkg string) {
	h.Helper()
	for _, dir := range []string{".stage", ".trash"} {
		entries, err := os.ReadDir(filepath.Join(h.root, pkg, "revs", dir))
		h.must(err)
		for _, entry := range entries {
			if name := strings.TrimSuffix(entry.Name(), ".part"); dir != ".stage" || strings.Count(name, ".") != 2 || len(entries) > 2 {
				h.errorf("%s has %v", dir, entries)
			}
		}
	}
}

// isTidy reports what a command has left behind.
func (h *host) isTidy(pkg string) {
	h.Helper()
	for _, dir := range []string{".stage", ".trash"} {
		entries, err := os.ReadDir(filepath.Join(h.root, pkg, "revs", dir))
		h.must(err)
		if len(entries) > 0 {
			h.errorf("%s has %v", dir, entries)
		}
	}
}
