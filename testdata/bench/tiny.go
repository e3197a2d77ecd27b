package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tinyFiles are how many files there are in the trees of which only the memory is measured.
var tinyFiles = []int{300_000, 1_000_000}

// tiny is what commands take of memory for trees of very many files, one run each.
func (b *bench) tiny(ctx context.Context) (lines []line, err error) {
	for _, files := range tinyFiles {
		more, err := b.tinyTree(ctx, files)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

const (
	tinyPerDir  = 40
	tinyChanged = 1000 // one of so many files differs between two revisions
)

// tinyTree goes through the life of a tree of so many files: three revisions, of which the second
// finds one tree on the host, and the third two.
func (b *bench) tinyTree(ctx context.Context, files int) (lines []line, err error) {
	prefix := fmt.Sprintf("tiny%d", files)
	dir, root := filepath.Join(b.dir, prefix, "app"), filepath.Join(b.dir, prefix+"-host")
	if err := os.MkdirAll(filepath.Join(root, "app"), 0o755); err != nil {
		return nil, err
	}
	measure := func(what string, cmd *exec.Cmd) (string, error) {
		var out strings.Builder
		cmd.Stdout = &out
		s, err := timed(cmd)
		if b.verbose {
			progress(fmt.Sprintf("%8.3f s  %8.3f s of processors  %s  %s", s.wall.Seconds(), s.cpu.Seconds(), mebibytes(s.peak).text, what))
		}
		lines = append(lines, line{what: fmt.Sprintf("peak memory of %s, %d files (one run)", what, files), ftl: mebibytes(s.peak), goal: atMost(64 << 20)})
		return strings.TrimSpace(out.String()), err
	}
	var revision string
	for i, trees := range []string{"a first sync", "a sync with one local tree", "a sync with two local trees"} {
		if err := writeTiny(dir, files, i); err != nil {
			return nil, err
		}
		if revision, err = measure("a spool", b.ftl(ctx, b.bucket, prefix, "", "spool", dir)); err != nil {
			return nil, err
		}
		if i > 0 {
			lines = lines[:len(lines)-1] // the first one says it
		}
		if _, err := output(b.ftl(ctx, b.bucket, prefix, "", "jump", "--master", revision)); err != nil {
			return nil, err
		}
		if _, err := measure(trees, b.ftl(ctx, b.bucket, prefix, root, "sync")); err != nil {
			return nil, err
		}
	}
	if _, err := measure("a status", b.ftl(ctx, b.bucket, prefix, root, "status")); err != nil {
		return nil, err
	}
	if _, err := measure("a jump-back", b.ftl(ctx, b.bucket, prefix, root, "jump-back", "app")); err != nil {
		return nil, err
	}
	return lines, errors.Join(os.RemoveAll(dir), os.RemoveAll(root), os.RemoveAll(b.bucket.path(prefix)))
}

// writeTiny writes the files of a version, or those that differ from the one before.
func writeTiny(dir string, files, version int) error {
	for i := range files {
		if version > 0 && i%tinyChanged != 0 {
			continue
		}
		sub := filepath.Join(dir, fmt.Sprintf("part%d", i/tinyPerDir/100), fmt.Sprintf("module%d", i/tinyPerDir%100))
		if i%tinyPerDir == 0 {
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return err
			}
		}
		text := fmt.Sprintf("export const number = %d, version = %d\n", i, version)
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file%d.js", i%tinyPerDir)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
