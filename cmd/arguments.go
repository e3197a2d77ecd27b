package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/revision"
)

// one returns a check that there is exactly one argument, which is called so.
func one(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("%s is missing", name)
		case len(args) > 1:
			return fmt.Errorf("one %s at a time; %q is too much", name, args[1])
		}
		return nil
	}
}

// atMostOne returns a check that there is no argument but this one.
func atMostOne(name string) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return one(name)(command, args)
	}
}

func none(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("no argument is wanted; %q is too much", args[0])
	}
	return nil
}

func parseRevision(arg string) (revision.Revision, error) {
	r, err := revision.Parse(arg)
	if err != nil {
		return r, usage(err, "ftl list PACKAGE shows the revisions of this host, ftl list --master PACKAGE the bucket's")
	}
	return r, nil
}

func parsePackage(arg string) (revision.Package, error) {
	pkg, err := revision.ParsePackage(arg)
	if err != nil {
		return pkg, usage(err, "ftl list shows the packages of this host, ftl list --master the bucket's")
	}
	return pkg, nil
}

// onlyWith refuses flags that mean nothing without --master, or with it.
func onlyWith(command *cobra.Command, master bool, flags ...string) error {
	for _, name := range flags {
		if command.Flags().Changed(name) {
			if master {
				return usage(errors.New("--"+name+" needs --master"), command.CommandPath()+" --help")
			}
			return usage(errors.New("--"+name+" does not go with --master"), command.CommandPath()+" --help")
		}
	}
	return nil
}
