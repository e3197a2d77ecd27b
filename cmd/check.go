package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newCheck() *cobra.Command {
	var (
		s    settings
		opts catalog.CheckOptions
	)
	command := &cobra.Command{
		Use:   "check --master [PACKAGE]",
		Short: "Check that all in the bucket fits together",
		Long: `Check compares every marker, manifest, index and archive in the bucket, or those of one
package, with each other. For each thing that is broken it prints a line, and below it
what to do, and ends with exit code 1; it prints nothing else, so that cron can run it
each night. With --read-data it reads every byte of the archives, which takes as long
as fetching all of them.`,
		Example: `  ftl check --master
  ftl check --master --read-data my_site`,
		Args: atMostOne("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.check(command.Context(), s, args, opts)
		},
	}
	p.addSettings(command, &s, settingBucket)
	addMaster(command, &s, "check the bucket (required)")
	command.Flags().BoolVar(&opts.ReadData, "read-data", false, "every byte of the archives too")
	return command
}

func (p *Program) check(ctx context.Context, s settings, args []string, opts catalog.CheckOptions) error {
	if !s.onMaster {
		return usage(errors.New("check is about the bucket, so it needs --master"), "about this host: ftl status")
	}
	packages, err := parsePackages(args)
	if err != nil {
		return err
	}
	bucket, err := p.bucket(ctx, s)
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		if packages, err = bucket.AllPackages(ctx); err != nil {
			return err
		}
	}
	return p.checkPackages(ctx, bucket, packages, opts)
}

func (p *Program) checkPackages(ctx context.Context, bucket *catalog.Catalog, packages []revision.Package, opts catalog.CheckOptions) error {
	found := 0
	for _, pkg := range packages {
		problems, err := bucket.Check(ctx, pkg, opts)
		for _, problem := range problems {
			p.printProblem(problem)
		}
		if err != nil {
			return fmt.Errorf("check %s: %w", pkg, err)
		}
		found += len(problems)
	}
	switch found {
	case 0:
		return nil
	case 1:
		return errors.New("something in the bucket is broken")
	}
	return fmt.Errorf("%d things in the bucket are broken", found)
}

func (p *Program) printProblem(problem catalog.Problem) {
	if p.json {
		p.writeJSON(problem)
		return
	}
	p.print("%s: %s", problem.Key, problem.Message)
	p.print("    %s", problem.Hint)
}
