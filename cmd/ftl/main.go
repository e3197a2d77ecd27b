// A second net below the archive's own checks of names:
//go:debug tarinsecurepath=0

// Ftl deploys software with nothing but a bucket.
package main

import (
	"context"
	"os"

	"github.com/rhettg/ftl/cmd"
)

func main() { os.Exit(run()) }

func run() int {
	program := cmd.Program{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Setenv: os.Setenv}
	program.PrepareProcess()
	ctx, stop := program.WithSignals(context.Background())
	defer stop()
	return program.Run(ctx, os.Args[1:])
}
