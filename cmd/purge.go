package cmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/master"
)

func (p *Program) newPurge() *cobra.Command {
	var (
		onMaster bool
		opts     master.PurgeOptions
	)
	command := &cobra.Command{
		Use:   "purge --master REVISION",
		Short: "Remove a revision from the bucket",
		Long: `Purge removes a revision from the bucket; hosts then remove it too when they next
sync. The active revision of the master is refused, and without --force the previous.`,
		Example: `  ftl purge --master my_site.2026112145296Wq`,
		Args:    one("REVISION"),
		RunE: func(command *cobra.Command, args []string) error {
			r, err := parseRevision(args[0])
			if err != nil {
				return err
			}
			if !onMaster {
				return usage(errors.New("purge removes from the bucket, for all hosts, so it needs --master"),
					"from this host alone: ftl remove "+r.String())
			}
			m, err := p.master(command.Context(), command)
			if err != nil {
				return err
			}
			return m.Purge(command.Context(), r, opts)
		},
	}
	addFlags(command, settingBucket, settingNode)
	addDryRun(command)
	command.Flags().BoolVar(&onMaster, "master", false, "act on the bucket, for all hosts (required)")
	command.Flags().BoolVar(&opts.Force, "force", false, "also the master's previous revision")
	return command
}
