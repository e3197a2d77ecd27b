package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A mutation is a fault that is built into ftl, to see that the harness would
// notice it.
type mutation struct {
	name     string
	edits    []edit
	scenario string
	mode     mode
	by       way    // that the host is recovered
	kind     string // the file system that shows it; "" is none, but the order of the calls does
	near     int    // the change from which on a crash may show it, to begin there; 0 is anywhere
}

// edit replaces a text of a source file, wherever it is. It has to be there.
type edit struct{ file, old, new string }

// apply returns the source with the fault in it.
func (e edit) apply(source string) (string, error) {
	if !strings.Contains(source, e.old) {
		return "", fmt.Errorf("%s does not have %q any more; the mutation has to follow it", e.file, e.old)
	}
	return strings.ReplaceAll(source, e.old, e.new), nil
}

var mutations = []mutation{
	{"nothing is synced", []edit{
		{"ftl/durable/durable.go", "(*os.File).Sync)", "func(*os.File) error { return nil })"},
		{"ftl/durable/durable.go", "err := dir.Sync()", "err := error(nil)"},
		{"ftl/durable/tree_linux.go", "err = unix.Syncfs(int(dir.Fd()))", "err = nil"},
	}, "sync and blessing", modes[1], bySync, "ext4", 15},
	{"no sync after post-sync", []edit{
		{"ftl/host/obtain.go", "err := p.Files.SyncTree(p.RevisionDir(r))", "err := error(nil)"},
	}, "upgrade", modes[1], bySync, "ext4", 90},
	{"the state is not synced", []edit{
		{"ftl/host/tree/locked.go", "Files.WriteFile(", "Files.ReplaceFile("},
	}, "sync and blessing", modes[1], bySync, "xfs", 15},
	{"no directory is synced", []edit{
		{"ftl/durable/durable.go", "err := dir.Sync()", "err := error(nil)"},
	}, "sync and blessing", mode{name: "none"}, bySync, "", 0},
	{"no journal of a jump", []edit{
		{"ftl/host/advance.go", "\t\tt.Rounds++\n\t}\n\treturn l.WriteState()", "\t\tt.Rounds++\n\t}\n\treturn nil"},
	}, "sync and blessing", modes[0], bySync, "ext4", 165},
	{"a link is removed and made anew", []edit{
		{"ftl/durable/durable.go", "if err := in.Rename(temporary, name); err", "in.Remove(name)\n\tif err := in.Rename(temporary, name); err"},
	}, "jump", modes[0], bySame, "ext4", 65},
	{"a jump-back that is given again goes back from there", []edit{
		{"ftl/host/jump.go", "; err != nil || !busy {", "; err != nil || busy && false {"},
		{"ftl/host/tree/transition.go", "!t.Phase.GoesBack() && t.To == shown.Previous", "false"},
	}, "jump-back", modes[0], bySame, "ext4", 50},
	{"an extra file survives", []edit{
		{"ftl/archive/recycle_linux.go", "err = unlink(int(dir.Fd()), entry.Name())",
			"if err = nil; !entry.Type().IsRegular() {\n\t\t\t\terr = unlink(int(dir.Fd()), entry.Name())\n\t\t\t}"},
	}, "recycle", modes[0], bySync, "ext4", 20},
	{"a directory is a ready revision", []edit{
		{"ftl/host/tree/statefile.go", "\treturn st, nil\n}\n\n// unusable",
			"\tlocal, err := t.Local()\n\tfor _, r := range local {\n\t\tst.Ready[r] = Ready{}\n\t}\n\treturn st, err\n}\n\n// unusable"},
	}, "upgrade", modes[0], bySync, "ext4", 50},
}

// mutations builds each fault into ftl and crashes that. It counts as failed
// when no crash shows it.
func (h *harness) mutations() []job {
	var jobs []job
	for i := range mutations {
		jobs = append(jobs, func(ctx context.Context, w *worker) error {
			m := &mutations[i]
			if err := h.mutate(ctx, w, m); err != nil {
				return fmt.Errorf("mutation %q: %w", m.name, err)
			}
			return nil
		})
	}
	return jobs
}

func (h *harness) mutate(ctx context.Context, w *worker, m *mutation) error {
	binary := filepath.Join(h.dir, "mutant-"+strings.ReplaceAll(m.name, " ", "-"))
	if err := h.buildMutant(ctx, m, binary); err != nil {
		return err
	}
	kind := m.kind
	if !slices.Contains(h.kinds, kind) {
		kind = h.kinds[0]
	}
	host, err := w.host(ctx, scenarioNamed(m.scenario), kind)
	if err != nil {
		return err
	}
	if m.kind == "" {
		host.ftl = binary
		want, err := host.expect()
		if err == nil {
			h.notice(m, kind, 1, min(1, len(want.order)), strings.Join(want.order, "; "))
		}
		return err
	}
	want, err := host.expect() // of a sound ftl
	if err != nil {
		return err
	}
	host.ftl = binary
	points, noticed, first, err := host.crashMutant(want, m, h.scaled(crashStep) > 1)
	if err == nil {
		h.notice(m, kind, points, noticed, first)
	}
	return err
}

// crashMutant counts at how many points a crash shows the fault, up to the first
// one if that is enough. Then it begins where that is likely.
func (h *host) crashMutant(want *expectation, m *mutation, once bool) (points, noticed int, first string, err error) {
	near := 1
	if once {
		near = max(1, m.near)
	}
	wrapped := false
	for moment := near; !wrapped || moment < near; moment++ {
		reached, found, err := h.crash(want, m.mode, m.by, []int{moment})
		if err != nil {
			return points, noticed, first, err
		}
		if !reached {
			if wrapped || near == 1 {
				break
			}
			moment, wrapped = 0, true
			continue
		}
		points++
		if len(found) == 0 {
			continue
		}
		if noticed++; noticed == 1 {
			first, _, _ = strings.Cut(fmt.Sprintf("at change %d: %s", moment, found[0]), "\n")
		}
		if once {
			return points, noticed, first, h.ctx.Err()
		}
	}
	return points, noticed, first, nil
}

// notice counts a fault, and tells what showed it.
func (h *harness) notice(m *mutation, kind string, points, noticed int, first string) {
	var found problems
	if noticed == 0 {
		found.add("nobody noticed, at %d points", points)
	}
	h.report.count(h.report.row("fault: "+m.name, m.mode.name, kind), "", found)
	h.report.say("fault %q, %s: noticed at %d of %d points; %s", m.name, m.scenario, noticed, points, first)
}

func scenarioNamed(name string) *scenario {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	return &scenarios[i]
}

// buildMutant builds ftl with edited copies of its sources.
func (h *harness) buildMutant(ctx context.Context, m *mutation, binary string) error {
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for _, e := range m.edits {
		original := filepath.Join(h.module, e.file)
		edited := overlay.Replace[original]
		if edited == "" {
			edited = fmt.Sprintf("%s-%d.go", binary, len(overlay.Replace))
			overlay.Replace[original] = edited
			source, err := os.ReadFile(original)
			if err == nil {
				err = os.WriteFile(edited, source, 0o600)
			}
			if err != nil {
				return err
			}
		}
		source, err := os.ReadFile(edited)
		if err != nil {
			return err
		}
		mutated, err := e.apply(string(source))
		if err != nil {
			return err
		}
		if err := os.WriteFile(edited, []byte(mutated), 0o600); err != nil {
			return err
		}
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return err
	}
	if err := os.WriteFile(binary+".json", text, 0o600); err != nil {
		return err
	}
	return h.build(ctx, binary, "-overlay", binary+".json")
}
