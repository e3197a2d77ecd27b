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
	program := cmd.Program{Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
	program.PrepareProcess()
	ctx, stop := cmd.WithSignals(context.Background())
	defer stop()
	return program.Run(ctx, os.Args[1:])
}
