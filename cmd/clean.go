package cmd

import "github.com/spf13/cobra"

func (p *Program) newClean() *cobra.Command {
	var onMaster bool
	command := &cobra.Command{
		Use:   "clean PACKAGE",
		Short: "Remove old revisions from this host, or with --master from the bucket",
		Long: `Clean removes all revisions of a package but the newest ones, the active and the
previous. With --master it does so in the bucket, and also removes what a spool left
there when it broke off, a day after.`,
		Example: `  ftl clean my_site --keep 3
  ftl clean --master my_site --keep 20`,
		Args: one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			pkg, err := parsePackage(args[0])
			if err != nil {
				return err
			}
			keep, err := p.keep(command)
			if err != nil {
				return err
			}
			if onMaster {
				m, err := p.master(command.Context(), command)
				if err != nil {
					return err
				}
				return m.Clean(command.Context(), pkg, keep)
			}
			h, err := p.host(command)
			if err != nil {
				return err
			}
			return h.Clean(command.Context(), pkg, keep)
		},
	}
	addFlags(command, append(hostSettings, settingBucket, settingKeep)...)
	addDryRun(command)
	command.Flags().BoolVar(&onMaster, "master", false, "act on the bucket")
	return command
}
