package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// tools are the programs that run. A peer that is not installed is "".
type tools struct {
	ftl, s5cmd          string
	igzip, pigz, rclone string
	missing             []string // what is not installed, and in what Debian package it is
}

const s5cmdVersion = "v2.3.0"

// findTools builds what is built, and looks for the rest.
func findTools(ctx context.Context, cache, dir string) (t tools, err error) {
	t.ftl = filepath.Join(dir, "ftl")
	build := exec.CommandContext(ctx, "go", "build", "-o", t.ftl, "github.com/rhettg/ftl/cmd/ftl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return t, fmt.Errorf("build ftl: %w\n%s", err, out)
	}
	t.s5cmd = filepath.Join(cache, "s5cmd-"+s5cmdVersion)
	if _, err := os.Stat(t.s5cmd); err != nil {
		if err := buildProgram(ctx, "github.com/peak/s5cmd/v2", s5cmdVersion, "", t.s5cmd); err != nil {
			return t, err
		}
	}
	for _, peer := range []struct {
		path       *string
		name, from string
	}{{&t.igzip, "igzip", "isal"}, {&t.pigz, "pigz", "pigz"}, {&t.rclone, "rclone", "rclone"}} {
		if *peer.path, err = exec.LookPath(peer.name); err != nil {
			t.missing = append(t.missing, fmt.Sprintf("%s (Debian package %s)", peer.name, peer.from))
		}
	}
	return t, nil
}

// A pipe is a peer: a line of shell that unpacks $OBJECT in its working directory, or packs $TREE
// to it, with a name for the table.
type pipe struct {
	name  string
	shell string
	needs []string // what must be installed
}

var (
	catTar   = pipe{"s5cmd cat | tar -xzf -; sync -f", `"$S5CMD" cat "$OBJECT" | tar -xzf - && sync -f .`, nil}
	catIgzip = pipe{"s5cmd cat | igzip -dc | tar -xf -; sync -f", `"$S5CMD" cat "$OBJECT" | igzip -dc | tar -xf - && sync -f .`, []string{"igzip"}}
	rcloneIt = pipe{"rclone cat | pigz -dc | tar -xf -; sync -f", `rclone cat ":s3:${OBJECT#s3://}" | pigz -dc | tar -xf - && sync -f .`, []string{"rclone", "pigz"}}
	copyTar  = pipe{"s5cmd cp; tar -xzf; sync -f", `"$S5CMD" cp "$OBJECT" archive.tgz && tar -xzf archive.tgz && sync -f .`, nil}
	tarPipe  = pipe{"tar -czf - DIR | s5cmd pipe", `tar -czf - -C "$TREE" . | "$S5CMD" pipe "$OBJECT"`, nil}
	pigzPipe = pipe{"tar -cf - DIR | pigz | s5cmd pipe", `tar -cf - -C "$TREE" . | pigz | "$S5CMD" pipe "$OBJECT"`, []string{"pigz"}}
	flip     = pipe{"ln -s; mv -T; sync -f", `ln -s revs/a next && mv -T next current && sync -f .`, nil}
	list     = pipe{"s5cmd ls", `"$S5CMD" ls "$OBJECT"`, nil}
)

// command is the pipe over the bucket.
func (b *bench) command(ctx context.Context, p pipe, at bucket, object, tree, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -euo pipefail; "+p.shell)
	cmd.Dir = dir
	cmd.Env = at.environment("S5CMD="+b.tools.s5cmd, "OBJECT="+at.url(object), "TREE="+tree)
	return cmd
}

// unpacks is the pipe as a contender.
func (b *bench) unpacks(p pipe, at bucket, object string) contender {
	return contender{name: p.name, command: func(ctx context.Context, dir string) *exec.Cmd {
		return b.command(ctx, p, at, object, "", dir)
	}}
}

// installed leaves those pipes that can run here.
func (t tools) installed(pipes ...pipe) (can []pipe) {
	have := map[string]string{"igzip": t.igzip, "pigz": t.pigz, "rclone": t.rclone}
	for _, p := range pipes {
		ok := true
		for _, need := range p.needs {
			ok = ok && have[need] != ""
		}
		if ok {
			can = append(can, p)
		}
	}
	return can
}

// put copies a file into the bucket.
func (b *bench) put(ctx context.Context, file, object string) error {
	cmd := exec.CommandContext(ctx, b.tools.s5cmd, "cp", file, b.bucket.url(object))
	cmd.Env = b.bucket.environment()
	_, err := timed(cmd)
	return err
}
