package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (p *Program) newAdopt() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "adopt --master PACKAGE",
		Short: "Take over what an FTL of 2014 has left in the bucket",
		Long: `Adopt makes revisions of the archives of a package that an FTL of 2014 has spooled: it
reads each of them and writes its manifest. The archives stay as they are. Of what
that FTL noted as active and as previous it makes a marker. Its own notes stay, for
the hosts that still go by them. It can be run again at any time.`,
		Example: `  ftl adopt --master my_site --dry-run
  ftl adopt --master my_site`,
		Args: one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.adopt(command.Context(), s, args[0])
		},
	}
	p.addSettings(command, &s, settingBucket, settingNode)
	addMaster(command, &s, "act on the bucket, for all hosts (required)")
	addDryRun(command, &s)
	return command
}

func (p *Program) adopt(ctx context.Context, s settings, arg string) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	if !s.onMaster {
		return usage(errors.New("adopt changes the bucket, for all hosts, so it needs --master"),
			"for example: ftl adopt --master "+pkg.String()+"; a host goes by its links as they are")
	}
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	return m.Adopt(ctx, pkg)
}
