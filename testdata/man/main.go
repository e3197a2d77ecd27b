// Man writes the man pages of ftl into a directory, which it makes:
//
//	go run ./testdata/man DIRECTORY [VERSION]
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/rhettg/ftl/cmd/manual"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || len(args) > 2 {
		return errors.New("usage: man DIRECTORY [VERSION]")
	}
	version := "devel"
	if len(args) == 2 {
		version = args[1]
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	return manual.Write(args[0], version)
}
