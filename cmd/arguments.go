package cmd

import (
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
		name := "PACKAGE"
		if pkg, err := revision.ParsePackage(arg); err == nil { // which has revisions
			name = pkg.String()
		}
		return r, usage(err, fmt.Sprintf("ftl list %s shows the revisions of this host, ftl list --master %[1]s the bucket's", name))
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

func parsePackages(args []string) ([]revision.Package, error) {
	var packages []revision.Package
	for _, arg := range args {
		pkg, err := parsePackage(arg)
		if err != nil {
			return nil, err
		}
		packages = append(packages, pkg)
	}
	return packages, nil
}
