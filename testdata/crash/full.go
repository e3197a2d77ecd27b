package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A fullDisk is a small file system on which nothing is left of one thing.
type fullDisk struct {
	name    string
	options []string // for mkfs.ext4
	fill    func(dir string) error
}

var fullDiskKinds = []fullDisk{
	{"no blocks left", nil, fillBlocks},
	{"no inodes left", []string{"-N", "256"}, fillInodes},
	{"neither left", []string{"-N", "256"}, func(dir string) error { return errors.Join(fillInodes(dir), fillBlocks(dir)) }},
}

const fullDiskSize = 32 << 20

// whenFull are the scenarios that have to work on a full disk: the way back, and
// all that makes room.
var whenFull = []string{"jump", "jump-back", "remove", "clean", "remove package"}

// tooFull are those that can't, and have to say so before they change anything.
var tooFull = []string{"upgrade", "sync and blessing", "jump that fetches"}

func (h *harness) fullDisks() []job {
	if !slices.Contains(h.kinds, "ext4") {
		return nil
	}
	var jobs []job
	for _, disk := range fullDiskKinds {
		jobs = append(jobs, func(ctx context.Context, w *worker) (err error) {
			v, err := newVolume(ctx, filepath.Join(h.dir, w.name+"-full"), "ext4", fullDiskSize, disk.options...)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, v.close(), os.Remove(v.dir)) }()
			for i := range scenarios {
				s := &scenarios[i]
				works, refused := slices.Contains(whenFull, s.name), slices.Contains(tooFull, s.name)
				if !h.only.MatchString(s.name) || !works && !refused {
					continue
				}
				host := w.hostOn(ctx, s, v)
				try := host.workWhenFull
				if refused {
					try = host.refuseWhenFull
				}
				found, err := try(disk)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, disk.name, err)
				}
				h.report.count(h.report.row(s.name, disk.name, "ext4"), "", found)
			}
			return nil
		})
	}
	return jobs
}

// workWhenFull checks that a command does on a full disk what it does on
// another one.
func (h *host) workWhenFull(disk fullDisk) (found problems, err error) {
	want, err := h.expect()
	if err != nil {
		return nil, err
	}
	if err := h.fillUp(disk); err != nil {
		return nil, err
	}
	code, _, all, err := h.run(h.scenario.command(h.stage)...)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		found.add("it exits with %d: %s", code, all)
	}
	f, at := h.atAnyTime(want)
	found = append(found, at...)
	if f.current != want.done.current || f.previous != want.done.previous || !slices.Equal(f.listed, want.done.listed) {
		found.add("current, previous and ready are %q, %q and %v: %s", f.current, f.previous, f.listed, all)
	}
	after, err := h.empty(want)
	return append(found, after...), err
}

// refuseWhenFull checks that a command which needs room says how much it needs
// and how much there is, and changes nothing.
func (h *host) refuseWhenFull(disk fullDisk) (found problems, err error) {
	want, err := h.expect()
	if err != nil {
		return nil, err
	}
	if err := h.fillUp(disk); err != nil {
		return nil, err
	}
	code, _, all, err := h.run(h.scenario.command(h.stage)...)
	if err != nil {
		return nil, err
	}
	if code != 1 || !strings.Contains(all, "too few inodes") && !strings.Contains(all, "too little space") {
		found.add("it exits with %d: %s", code, all)
	}
	f, at := h.atAnyTime(want)
	found = append(found, at...)
	if f.current != want.start.current || !slices.Equal(f.listed, want.start.listed) {
		found.add("current and ready are %q and %v", f.current, f.listed)
	}
	if err := h.makeRoom(); err != nil {
		return nil, err
	}
	after, err := h.recover(want, h.ways(h.scenario)[0], true)
	return append(found, after...), err
}

// empty makes room again, after which one sync has to put everything right.
func (h *host) empty(want *expectation) (found problems, err error) {
	if err := h.makeRoom(); err != nil {
		return nil, err
	}
	code, _, all, err := h.run("sync")
	if err != nil || code != 0 {
		found.add("the next sync exits with %d: %s", code, all)
	}
	if _, err := os.Lstat(filepath.Join(h.pkg(), ".ftl", "reserve")); err != nil && !h.scenario.gone {
		found.add("the next sync: %v", err)
	}
	return append(found, h.recovered(want, &ending{facts: want.done, exact: true}, true)...), err
}

const filler = "filler"

func (h *host) fillUp(disk fullDisk) error {
	if err := h.begin(); err != nil {
		return err
	}
	dir := filepath.Join(h.volume.dir, filler)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return disk.fill(dir)
}

func (h *host) makeRoom() error { return os.RemoveAll(filepath.Join(h.volume.dir, filler)) }

// fillBlocks appends to a file until not even a byte fits.
func fillBlocks(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "blocks"), os.O_WRONLY|os.O_CREATE, 0o600)
	if errors.Is(err, unix.ENOSPC) { // no inode: then one of those that took them grows
		f, err = os.OpenFile(filepath.Join(dir, "0"), os.O_WRONLY, 0)
	}
	if err != nil {
		return err
	}
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			return errors.Join(err, f.Close())
		}
		if err := f.Sync(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// fillInodes makes empty files until there can be none more.
func fillInodes(dir string) error {
	for i := 0; ; i++ {
		err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600)
		if errors.Is(err, unix.ENOSPC) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
