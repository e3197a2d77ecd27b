package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (p *Program) newClean() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "clean PACKAGE",
		Short: "Remove old revisions from this host, or with --master from the bucket",
		Long: `Clean removes all revisions of a package but the newest ones, the active and the
previous. With --master it does so in the bucket, and also removes what a spool left
there when it broke off, a day after; it then needs --keep, as $FTL_KEEP is a host's.`,
		Example: `  ftl clean my_site --keep 3
  ftl clean --master my_site --keep 20`,
		Args: one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			if s.onMaster && !command.Flags().Changed(settingKeep.flag()) {
				return usage(errors.New("--keep is missing; what a host keeps says nothing about the bucket"),
					"for example: ftl clean --master "+args[0]+" --keep 20")
			}
			return p.clean(command.Context(), s, args[0])
		},
	}
	p.addSettings(command, &s, append(hostSettings, settingBucket, settingKeep)...)
	addMaster(command, &s, "act on the bucket")
	addDryRun(command, &s)
	return command
}

func (p *Program) clean(ctx context.Context, s settings, arg string) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	if s.onMaster {
		m, err := p.master(ctx, s)
		if err != nil {
			return err
		}
		return m.Clean(ctx, pkg, s.keep)
	}
	h, err := p.host(s)
	if err != nil {
		return err
	}
	return h.Clean(ctx, pkg, s.keep)
}
