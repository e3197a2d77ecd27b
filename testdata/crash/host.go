package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// host is a copy of a scenario's host on a volume, where one case happens.
type host struct {
	*stage
	scenario *scenario
	volume   *volume
	log      string // that the hooks write, on a disk that has power all the time
	spared   string // a cache that could not be removed, and may stay

	asked   []string // the ids of revisions that the recovery wanted active
	healthy bool     // the hook that the scenario has failing does not fail
}

func (h *host) root() string { return filepath.Join(h.volume.dir, "root") }
func (h *host) pkg() string  { return filepath.Join(h.root(), pkg) }

// begin makes the host anew.
func (h *host) begin() error {
	h.asked, h.healthy = nil, false
	if err := h.volume.letGo(); err != nil {
		return err
	}
	if err := os.WriteFile(h.log, nil, 0o600); err != nil {
		return err
	}
	if err := h.volume.fill(h.ctx, h.template()); err != nil {
		return err
	}
	if h.scenario.stays == 0 {
		return nil
	}
	return h.volume.keep(filepath.Join(h.pkg(), "revs", h.revisions[h.scenario.stays-1].id(), "lib", "deep", "mode"))
}

func (h *host) argv(args []string) []string { return append([]string{h.ftl}, args...) }

func (h *host) env() []string {
	fails := h.scenario.fails
	if h.healthy {
		fails = ""
	}
	return h.environment(h.root(), h.log, fails)
}

// traced runs ftl, and asks before each change on the way.
func (h *host) traced(args []string, visit func(call) verdict) (ended, error) {
	return trace(h.argv(args), h.env(), visit)
}

// run runs ftl undisturbed. That it fails is no error here.
func (h *host) run(args ...string) (code int, stdout, all string, err error) {
	ctx, cancel := context.WithTimeout(h.ctx, patience)
	defer cancel()
	var out, errs strings.Builder
	command := exec.CommandContext(ctx, h.ftl, args...)
	command.Env, command.Stdout, command.Stderr = h.env(), &out, &errs
	err = command.Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if ok && exit.Exited() {
		return exit.ExitCode(), out.String(), out.String() + errs.String(), nil
	}
	return 0, out.String(), out.String() + errs.String(), err
}

// facts is what there is to see of a host.
type facts struct {
	code     int // of ftl list
	listed   []string
	current  string // the id
	previous string
	// What list says of them, which are revisions.
	shownCurrent, shownPrevious string
	state                       hostState
	paths                       []string // in FTL_ROOT, without what may come and go
}

// hostState is what of state.json concerns the invariants.
type hostState struct {
	Acted struct {
		Serial int64 `json:"serial"`
	} `json:"acted"`
	Seen struct {
		Serial int64 `json:"serial"`
	} `json:"seen"`
	Jump *struct {
		Phase string `json:"phase"`
	} `json:"jump"`
}

// look collects the facts. An error is one already: a state or a link that is
// not what it may be.
func (h *host) look() (f facts, err error) {
	code, text, all, err := h.run("list", pkg)
	if err != nil {
		return f, err
	}
	f.code = code
	if code != 0 && code != notFound {
		return f, fmt.Errorf("list exits with %d: %s", code, all)
	}
	for line := range strings.Lines(text) {
		name, mark, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		f.listed = append(f.listed, name)
		switch mark {
		case "(active)":
			f.shownCurrent = name
		case "(previous)":
			f.shownPrevious = name
		}
	}
	if f.current, err = h.link("current"); err != nil {
		return f, err
	}
	if f.previous, err = h.link("previous"); err != nil {
		return f, err
	}
	data, err := os.ReadFile(filepath.Join(h.pkg(), ".ftl", "state.json"))
	if err == nil {
		err = json.Unmarshal(data, &f.state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("state.json: %w", err)
	}
	f.paths, err = h.paths()
	return f, err
}

// link returns the id of the revision that a link points to, "" if there is none.
func (h *host) link(name string) (string, error) {
	target, err := os.Readlink(filepath.Join(h.pkg(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	id, ok := strings.CutPrefix(target, "revs/")
	if err == nil && !ok {
		err = fmt.Errorf("%s points to %s", name, target)
	}
	return id, err
}

// paths lists the host. What hooks have printed is left out.
func (h *host) paths() ([]string, error) {
	var paths []string
	err := filepath.WalkDir(h.root(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(h.root(), path)
		if name == pkg+"/.ftl/log" {
			return filepath.SkipDir
		}
		paths = append(paths, name)
		return err
	})
	return paths, err
}

// isTemporary reports whether a path is where a file is written before it gets
// its name. There is one for each file, and the next who writes it removes it.
func isTemporary(path string) bool {
	inMeta, _ := filepath.Match(pkg+"/.ftl/.*.tmp", path)
	inReserve, _ := filepath.Match(pkg+"/.ftl/reserve/.*.tmp", path)
	inRoot, _ := filepath.Match(".ftl/.*.tmp", path)
	return inMeta || inReserve || inRoot
}

// isLeftover reports whether a path is of what can't be deleted, or of the note that ftl takes of
// it.
func isLeftover(path string) bool {
	below, inRevs := strings.CutPrefix(path, pkg+"/revs/")
	if !inRevs {
		return strings.HasPrefix(path, pkg+"/.ftl/leftovers.json")
	}
	where, below, _ := strings.Cut(below, "/")
	tree, _, _ := strings.Cut(below, "/")
	return where == ".trash" && tree != "" || where == ".stage" && strings.HasSuffix(tree, ".old")
}

// isCache reports whether a path may be missing after a crash for good: nothing
// depends on it. The records of who holds a lock are among them after a reboot.
func isCache(path string) bool {
	name := strings.TrimPrefix(path, pkg+"/.ftl/")
	return path == ".ftl" || strings.HasPrefix(path, ".ftl/") || strings.HasPrefix(name, "manifest") || name == "synced" || strings.HasPrefix(name, "reserve") || strings.HasPrefix(name, "index") || strings.HasSuffix(name, ".holder")
}

// entry is all of a file that a crash must not change.
type entry struct {
	mode   fs.FileMode
	size   int64
	time   int64
	target string
	text   string
}

// snapshot reads a small tree. Of a directory only the mode counts, since hooks
// change the rest.
func snapshot(dir string) (map[string]entry, error) {
	entries := make(map[string]entry)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{mode: info.Mode()}
		switch {
		case info.Mode().IsRegular():
			e.size, e.time = info.Size(), info.ModTime().UnixNano()
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			e.text = string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			if e.target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		name, err := filepath.Rel(dir, path)
		entries[name] = e
		return err
	})
	return entries, err
}

// end ends what a run has left behind, as the end of the power does.
func end(processes []int) {
	for _, pid := range processes {
		unix.Kill(-pid, unix.SIGKILL)
		unix.Kill(pid, unix.SIGKILL)
	}
}

// hookEvents reads the log of the hooks.
func (h *host) hookEvents() ([]string, error) {
	data, err := os.ReadFile(h.log)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(string(data), "\n"), func(line string) bool { return line == "" }), nil
}
