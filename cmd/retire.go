package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (p *Program) newRetire() *cobra.Command {
	var (
		s    settings
		note string
	)
	command := &cobra.Command{
		Use:   "retire --master PACKAGE",
		Short: "Take a package out of the bucket",
		Long: `Retire writes into the marker that the package is gone on purpose, and then removes its
revisions from the bucket. The marker stays. Hosts keep what they have and run it on,
say that it is retired, and no longer fail, until it is removed there by ftl remove.

To bring the package back, spool it and bless that.`,
		Example: `  ftl retire --master my_site --note "replaced by web"`,
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.retire(command.Context(), s, args[0], note)
		},
	}
	p.addSettings(command, &s, append(signing, settingBucket, settingNode)...)
	addMaster(command, &s, "act on the bucket, for all hosts (required)")
	addDryRun(command, &s)
	command.Flags().StringVar(&note, "note", "", "a note to keep in the marker")
	return command
}

func (p *Program) retire(ctx context.Context, s settings, arg, note string) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	if !s.onMaster {
		return usage(errors.New("retire removes from the bucket, for all hosts, so it needs --master"),
			"from this host alone: ftl remove "+pkg.String())
	}
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	return m.Retire(ctx, pkg, note)
}
