package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/master"
)

func (p *Program) newPurge() *cobra.Command {
	var (
		s    settings
		opts master.PurgeOptions
	)
	command := &cobra.Command{
		Use:   "purge --master REVISION",
		Short: "Remove a revision from the bucket",
		Long: `Purge removes a revision from the bucket; hosts then remove it too when they next
sync. The active revision of the master is refused, and without --force the previous.`,
		Example: `  ftl purge --master my_site.2026112145296Wq`,
		Args:    one("REVISION"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.purge(command.Context(), s, args[0], opts)
		},
	}
	p.addSettings(command, &s, settingBucket, settingNode)
	addMaster(command, &s, "act on the bucket, for all hosts (required)")
	addDryRun(command, &s)
	command.Flags().BoolVar(&opts.Force, "force", false, "also the master's previous revision")
	return command
}

func (p *Program) purge(ctx context.Context, s settings, arg string, opts master.PurgeOptions) error {
	r, err := parseRevision(arg)
	if err != nil {
		return err
	}
	if !s.onMaster {
		return usage(errors.New("purge removes from the bucket, for all hosts, so it needs --master"),
			"from this host alone: ftl remove "+r.String())
	}
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	return m.Purge(ctx, r, opts)
}
